// What the first view needs, asked for before anything is drawn; the host has begun to send it (http/gallery, `EARLY`).
import { get } from "./client";
import type { Photo, PhotosPage, Timeline } from "./types";

const TIMELINE = "/api/v1/timeline";
/** The newest photos, for the days at the top of the timeline. */
const NEWEST = "/api/v1/photos?sort=date&limit=120";
/** Drawing the frame first and the photos a moment later takes longer than both at once. */
const PATIENCE_MS = 100;
const begun = new Map<string, Promise<unknown>>();
let newest: readonly Photo[] = [];

/** Ask for what the view at this path needs first; ready when that has come, or has taken a while. */
export async function begin(path: string): Promise<void> {
  if (path !== "/") return;
  const timeline = get<Timeline>(TIMELINE);
  const photos = get<PhotosPage>(NEWEST).then(
    (page) => void (newest = page.photos),
    () => undefined,
  );
  // Drawn once with photos instead of twice, the second time with them.
  const both = Promise.all([timeline, photos]).then(([answer]) => answer);
  begun.set(TIMELINE, both);
  const over = both.then(
    () => undefined,
    () => undefined, // whoever takes it is told
  );
  await Promise.race([over, new Promise((resolve) => setTimeout(resolve, PATIENCE_MS))]);
}

/** An answer that was asked for early; once, because it is soon out of date. */
export function take<T>(path: string): Promise<T> | undefined {
  const answer = begun.get(path);
  begun.delete(path);
  return answer as Promise<T> | undefined;
}

/** The newest photos, which came with the timeline that was asked for early; once. */
export function takeNewest(): readonly Photo[] {
  const taken = newest;
  newest = [];
  return taken;
}
