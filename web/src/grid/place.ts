// Where the reader is in a list, kept with its step of the history: going back, or a reload, leads there again.
import type { Anchor } from "./model";

interface Kept {
  place?: Anchor;
}

/** The place kept with the present step of the history. */
export const keptPlace = (): Anchor | null => (history.state as Kept | null)?.place ?? null;

/** Keep the place in a list, unless a photo's address covers the list's own. */
export function keepPlace(place: Anchor | null): void {
  if (!place || location.pathname.startsWith("/photo/")) return;
  history.replaceState({ ...(history.state as Kept | null), place }, "");
}
