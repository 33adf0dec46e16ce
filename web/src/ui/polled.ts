// An answer of the host that is asked for again after events of some kinds, and every so often while the page is seen.
import { useEffect, useState } from "preact/hooks";

import { get } from "../api/client";
import { onHappening } from "../api/live";
import type { Fresh } from "./fresh";

const PATIENCE_MS = 400;

/** The answer at `path`; `telling` says which events make it old, `everyMs` how old it may become by itself. */
export function usePolled<T>(path: string, telling: RegExp, everyMs: number): Fresh<T> {
  const [state, setState] = useState<{ value: T | undefined; error: unknown }>({ value: undefined, error: undefined });
  const [round, setRound] = useState(0);
  const again = (): void => setRound((before) => before + 1);
  useEffect(() => {
    const stop = new AbortController();
    get<T>(path, {}, stop.signal).then(
      (value) => setState({ value, error: undefined }),
      (error: unknown) => {
        if (!stop.signal.aborted) setState((before) => (before.value === undefined ? { value: undefined, error } : before));
      },
    );
    return () => stop.abort();
  }, [path, round]);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const end = onHappening(({ type }) => {
      if (!telling.test(type) && type !== "resync") return;
      clearTimeout(timer);
      timer = setTimeout(again, PATIENCE_MS);
    });
    const regular = setInterval(() => document.visibilityState === "visible" && again(), everyMs);
    return () => {
      end();
      clearTimeout(timer);
      clearInterval(regular);
    };
  }, [path]);
  return { ...state, again };
}
