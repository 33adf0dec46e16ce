// A paged answer of the host, read page by page as somebody asks for more.
import { useEffect, useState } from "preact/hooks";

import { get } from "../api/client";
import type { Pagination } from "../api/types";
import { afterChanges } from "./fresh";

export interface More<Item> {
  items: Item[] | undefined;
  total: number;
  error: unknown;
  hasMore: boolean;
  more: () => void;
  again: () => void;
}

/** The first `limit` items, and `more` of them; begins anew when the library has changed. */
export function useMore<Item, Page extends { pagination: Pagination }>(
  path: string,
  limit: number,
  itemsOf: (page: Page) => Item[],
): More<Item> {
  const [wanted, setWanted] = useState(1);
  const [round, setRound] = useState(0);
  const [state, setState] = useState<{ items: Item[] | undefined; total: number; cursor: string | null; error: unknown }>({
    items: undefined,
    total: 0,
    cursor: null,
    error: undefined,
  });
  useEffect(() => {
    const stop = new AbortController();
    const load = async (): Promise<void> => {
      const items: Item[] = [];
      let cursor: string | null = null;
      let total = 0;
      for (let page = 0; page < wanted && (page === 0 || cursor); page += 1) {
        const answer: Page = await get<Page>(path, { limit, cursor }, stop.signal);
        items.push(...itemsOf(answer));
        ({ next_cursor: cursor, total } = answer.pagination);
      }
      setState({ items, total, cursor, error: undefined });
    };
    load().catch((error: unknown) => {
      if (!stop.signal.aborted) setState((before) => (before.items ? before : { ...before, error }));
    });
    return () => stop.abort();
  }, [path, wanted, round]);
  useEffect(() => afterChanges(() => setRound((before) => before + 1)), []);
  return {
    items: state.items,
    total: state.total,
    error: state.error,
    hasMore: state.cursor !== null,
    more: () => setWanted(wanted + 1),
    again: () => setRound(round + 1),
  };
}
