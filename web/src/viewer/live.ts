// Live photos: their moving part is played over the still one, by a button or while a finger rests on it.
import type PhotoSwipe from "photoswipe";

import type { Photo } from "../api/types";
import { texts } from "../i18n";
import { notice } from "../ui/notices";

const RESTING_MS = 450;
const MOVED_PX = 10;

/** Play the moving part once. */
export function playLive(viewer: PhotoSwipe, photo: Photo): void {
  stopLive(viewer);
  if (!photo.live || !viewer.element) return;
  const film = document.createElement("video");
  film.className = "viewer-live";
  film.playsInline = true;
  film.autoplay = true;
  film.src = photo.live.url;
  film.addEventListener("ended", () => film.remove());
  film.addEventListener("error", () => {
    if (film.isConnected) notice(texts.value.viewer.failed);
    film.remove();
  });
  viewer.element.append(film);
}

export function stopLive(viewer: PhotoSwipe): void {
  for (const film of viewer.element?.querySelectorAll<HTMLVideoElement>(".viewer-live") ?? []) {
    film.removeAttribute("src");
    film.remove();
  }
}

/** Play while a finger rests on the photo. */
export function playWhileHeld(viewer: PhotoSwipe, photoNow: () => Photo | undefined): void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let from = { x: 0, y: 0 };
  let isHeld = false;
  const end = (): void => {
    clearTimeout(timer);
    if (isHeld) stopLive(viewer);
    isHeld = false;
  };
  viewer.on("pointerDown", ({ originalEvent }) => {
    end();
    const photo = photoNow();
    if (!photo?.live || !(originalEvent.target as Element).closest(".pswp__item")) return;
    from = { x: originalEvent.clientX, y: originalEvent.clientY };
    timer = setTimeout(() => {
      isHeld = true;
      playLive(viewer, photo);
    }, RESTING_MS);
  });
  viewer.on("pointerMove", ({ originalEvent }) => {
    if (Math.hypot(originalEvent.clientX - from.x, originalEvent.clientY - from.y) > MOVED_PX) clearTimeout(timer);
  });
  viewer.on("pointerUp", end);
  viewer.on("change", () => {
    end();
    stopLive(viewer);
  });
}
