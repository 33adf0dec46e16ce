// A paged answer of the host, all of it, asked for again when the library changes.
import { useEffect, useState } from "preact/hooks";

import { get } from "../api/client";
import type { Pagination } from "../api/types";
import { afterChanges, type Fresh } from "./fresh";

/** Every item of a list, page after page by its cursor. */
export function useAll<Item, Page extends { pagination: Pagination }>(
  path: string,
  query: Record<string, string | number>,
  itemsOf: (page: Page) => Item[],
): Fresh<Item[]> {
  const [state, setState] = useState<{ value: Item[] | undefined; error: unknown }>({ value: undefined, error: undefined });
  const [round, setRound] = useState(0);
  useEffect(() => {
    const stop = new AbortController();
    const load = async (): Promise<void> => {
      const all: Item[] = [];
      let cursor: string | null = null;
      do {
        const page: Page = await get<Page>(path, { ...query, cursor }, stop.signal);
        all.push(...itemsOf(page));
        cursor = page.pagination.next_cursor;
      } while (cursor);
      setState({ value: all, error: undefined });
    };
    load().catch((error: unknown) => {
      if (!stop.signal.aborted) setState((before) => (before.value === undefined ? { value: undefined, error } : before));
    });
    return () => stop.abort();
  }, [path, round]);
  useEffect(() => afterChanges(() => setRound((before) => before + 1)), []);
  return { ...state, again: () => setRound(round + 1) };
}
