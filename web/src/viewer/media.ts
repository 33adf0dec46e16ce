// What is shown of an original: a picture that browsers can draw, or a player.
import type { Photo } from "../api/types";

const DRAWN = new Set(["jpeg", "png", "webp", "gif", "avif", "bmp", "svg"]);

/** Where the whole picture is, converted by the host where browsers can't draw the original. */
export const fullPicture = (photo: Photo): string =>
  DRAWN.has(photo.format ?? "") ? photo.full_url : `${photo.full_url}?format=jpeg`;

/** A player for a film or a sound. */
export function makePlayer(photo: Photo): HTMLMediaElement {
  const player = document.createElement(photo.kind === "audio" ? "audio" : "video");
  player.className = "viewer-player";
  player.controls = true;
  player.preload = "metadata";
  player.src = photo.full_url;
  if (player instanceof HTMLVideoElement) {
    player.playsInline = true;
    player.poster = `${photo.thumbnail_url}&size=large`;
  }
  return player;
}
