// What the first view needs, asked for before anything is drawn; the host has begun to send it (http/gallery, `EARLY`).
import { get } from "./client";

/** The newest photos, for the days at the top of the timeline. */
export const NEWEST = "/api/v1/photos?sort=date&limit=120";
const EARLY = ["/api/v1/timeline", NEWEST];
const begun = new Map<string, Promise<unknown>>();

/** Ask for what the view at this path needs first. */
export function begin(path: string): void {
  if (path !== "/") return;
  for (const wanted of EARLY) {
    const answer = get(wanted);
    answer.catch(() => undefined); // whoever takes it is told
    begun.set(wanted, answer);
  }
}

/** An answer that was asked for early; once, because it is soon out of date. */
export function take<T>(path: string): Promise<T> | undefined {
  const answer = begun.get(path);
  begun.delete(path);
  return answer as Promise<T> | undefined;
}
