// An answer of the host that is asked for again when the library changes.
import { useEffect, useState } from "preact/hooks";

import { get } from "../api/client";
import { take } from "../api/early";
import { onHappening } from "../api/live";

const PATIENCE_MS = 300;
/** So long at most while events keep coming. */
const LONGEST_MS = 1_000;
const TELLING = /^(photo\.|album\.|scan\.finished|root\.state|resync)/;

export interface Fresh<T> {
  value: T | undefined;
  error: unknown;
  again: () => void;
}

/** The answer at `path`, and again soon after the library has changed. */
export function useFresh<T>(path: string): Fresh<T> {
  const [state, setState] = useState<{ value: T | undefined; error: unknown }>({ value: undefined, error: undefined });
  const [round, setRound] = useState(0);
  useEffect(() => {
    const stop = new AbortController();
    (take<T>(path) ?? get<T>(path, {}, stop.signal)).then(
      (value) => setState({ value, error: undefined }),
      (error: unknown) => {
        if (!stop.signal.aborted) setState((before) => (before.value === undefined ? { value: undefined, error } : before));
      },
    );
    return () => stop.abort();
  }, [path, round]);
  useEffect(() => afterChanges(() => setRound((before) => before + 1)), []);
  return { ...state, again: () => setRound(round + 1) };
}

/** Have `act` called once the library has changed and been quiet for a moment; the answer ends that. */
export function afterChanges(act: () => void): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let since = 0;
  const end = onHappening(({ type }) => {
    if (!TELLING.test(type)) return;
    const now = performance.now();
    if (timer === undefined) since = now;
    clearTimeout(timer);
    const run = (): void => {
      timer = undefined;
      act();
    };
    timer = setTimeout(run, Math.max(0, Math.min(PATIENCE_MS, since + LONGEST_MS - now)));
  });
  return () => {
    clearTimeout(timer);
    end();
  };
}
