// Blurred pictures from their thumbhash, as data URLs, the last few hundred of them kept.
import { effect } from "@preact/signals";
import { thumbHashToDataURL } from "thumbhash";

import { sessionState } from "../session";

const MOST = 600;
const made = new Map<string, string>();
// Who may not see the photos any more keeps none of them, not even blurred.
effect(() => {
  if (sessionState.value !== "in") made.clear();
});

/** The blurred picture of a thumbhash (base64); an empty address for one that can't be read. */
export function placeholder(thumbhash: string): string {
  const known = made.get(thumbhash);
  if (known !== undefined) return known;
  let url = "";
  try {
    url = thumbHashToDataURL(Uint8Array.from(atob(thumbhash), (char) => char.charCodeAt(0)));
  } catch {
    // a damaged one: the plain colour stays
  }
  if (made.size >= MOST) made.delete(made.keys().next().value ?? "");
  made.set(thumbhash, url);
  return url;
}
