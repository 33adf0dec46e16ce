// An answer of the host that is asked for when a view opens, and again when somebody wants it.
import { useEffect, useState } from "preact/hooks";

import type { Fresh } from "./fresh";

export function useOnce<T>(ask: () => Promise<T>): Fresh<T> {
  const [state, setState] = useState<{ value: T | undefined; error: unknown }>({ value: undefined, error: undefined });
  const [round, setRound] = useState(0);
  useEffect(() => {
    let isWanted = true;
    ask().then(
      (value) => isWanted && setState({ value, error: undefined }),
      (error: unknown) => isWanted && setState({ value: undefined, error }),
    );
    return () => {
      isWanted = false;
    };
  }, [round]);
  return { ...state, again: () => setRound((before) => before + 1) };
}
