// What is shown of an original: a picture that browsers can draw, or a player; and why neither can be had.
import type { Photo } from "../api/types";
import { texts } from "../i18n";

const DRAWN = new Set(["jpeg", "png", "webp", "gif", "avif", "bmp", "svg"]);

/** Where the whole picture is, converted by the host where browsers can't draw the original. */
export const fullPicture = (photo: Photo): string =>
  DRAWN.has(photo.format ?? "") ? photo.full_url : `${photo.full_url}?format=jpeg`;

/** A player for a film or a sound, in an element of its own. */
export function makePlayer(photo: Photo): HTMLElement {
  const place = document.createElement("div");
  place.className = `viewer-place viewer-${photo.kind}`;
  const player = document.createElement(photo.kind === "audio" ? "audio" : "video");
  player.className = "viewer-player";
  player.controls = true;
  player.preload = "metadata";
  player.src = photo.full_url;
  if (player instanceof HTMLVideoElement) {
    player.playsInline = true;
    player.poster = `${photo.thumbnail_url}&size=large`;
  } else {
    place.append(...soundLines(photo));
  }
  player.addEventListener("error", () => void explain(photo).then((why) => place.replaceChildren(makeMessage(why))));
  place.append(player);
  return place;
}

function soundLines({ metadata, filename }: Photo): HTMLElement[] {
  const made = [metadata.title || filename, metadata.artist, metadata.album].map((text, index) => {
    const line = document.createElement(index === 0 ? "h2" : "p");
    line.dir = "auto";
    line.textContent = text;
    return line;
  });
  return made.filter((line) => line.textContent);
}

/** The player in what is shown, if there is one. */
export const playerIn = (element: HTMLElement | undefined): HTMLMediaElement | null =>
  element?.querySelector<HTMLMediaElement>(".viewer-player") ?? null;

/** A sentence in the place of what can't be shown. */
export function makeMessage(text: string): HTMLElement {
  const message = document.createElement("p");
  message.className = "viewer-message";
  message.setAttribute("role", "status");
  message.textContent = text;
  return message;
}

/** Why a photo's original can't be had, in words; the host is asked for one byte of it. */
export async function explain(photo: Photo): Promise<string> {
  const words = texts.value;
  const answer = await fetch(photo.full_url, { headers: { Range: "bytes=0-0" } }).catch(() => null);
  if (!answer) return words.errors.unreachable;
  if (answer.ok) return words.viewer.failed;
  const said = (await answer.json().catch(() => null)) as { error?: { message?: string; details?: { reason?: string } } } | null;
  if (said?.error?.details?.reason === "offline") return words.viewer.offline;
  if (answer.status === 404) return words.viewer.gone;
  return said?.error?.message || words.errors.unknown;
}
