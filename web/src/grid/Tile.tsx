// One photo in a list: its blurred shape at once, its thumbnail when that has come.
import { useEffect, useState } from "preact/hooks";

import type { Photo } from "../api/types";
import { durationText, momentText, texts } from "../i18n";
import { steady } from "../ui/steady";
import { placeholder } from "./placeholder";

interface Props {
  photo: Photo;
  index: number;
  total: number;
  left: number;
  top: number;
  width: number;
  height: number;
  isFocus: boolean;
  onOpen: (index: number) => void;
}

/** A thumbnail's address, in the smallest size that is sharp at this height (CSS pixels). */
export function thumbnail(photo: { thumbnail_url: string }, longest: number): string {
  const wanted = longest * Math.min(devicePixelRatio, 2);
  const size = wanted <= 230 ? "small" : wanted <= 460 ? "medium" : "large";
  return `${photo.thumbnail_url}&size=${size}`;
}

/** What a photo is, in words. */
export function describe(photo: Photo): string {
  const words = texts.value.photo;
  const said = photo.metadata.caption || photo.metadata.title;
  const what = said || `${photo.live ? words.live : words[photo.kind]} ${photo.filename}`;
  const when = photo.taken_at_local ? `, ${words.takenOn(momentText(photo.taken_at_local))}` : "";
  return `${what}${when}${photo.place ? `, ${photo.place}` : ""}`;
}

export const Tile = steady(({ photo, index, total, left, top, width, height, isFocus, onOpen }: Props) => {
  const place = { left: `${left}px`, top: `${top}px`, width: `${width}px`, height: `${height}px` };
  const open = (event: MouseEvent): void => {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    event.stopPropagation();
    onOpen(index);
  };
  return (
    <div class="tile" role="listitem" aria-posinset={index + 1} aria-setsize={total} style={place}>
      <a href={`/photo/${photo.id}`} data-index={index} tabIndex={isFocus ? 0 : -1} aria-label={describe(photo)} onClick={open}>
        <Picture photo={photo} longest={Math.max(width, height)} />
        {photo.kind === "video" && <span class="tile-mark" data-text={`▶ ${photo.duration_s ? durationText(photo.duration_s) : ""}`} />}
        {photo.live && <span class="tile-mark" data-text="◉" />}
      </a>
    </div>
  );
});

/** A thumbnail may not be made yet while the host is busy; so long until it is asked for again. */
const RETRY_MS = [3_000, 15_000, 60_000];

function Picture({ photo, longest }: { photo: Photo; longest: number }) {
  const [state, setState] = useState<"coming" | "there" | "missing">("coming");
  const [attempt, setAttempt] = useState(0);
  useEffect(() => {
    const pause = RETRY_MS[attempt];
    if (state !== "missing" || pause === undefined) return undefined;
    const timer = setTimeout(() => {
      setAttempt(attempt + 1);
      setState("coming");
    }, pause);
    return () => clearTimeout(timer);
  }, [state, attempt]);
  const blur = photo.thumbhash && state !== "there" ? `url(${placeholder(photo.thumbhash)})` : undefined;
  return (
    <span class={`picture picture-${state}`} style={blur ? { backgroundImage: blur } : {}}>
      {state === "missing" ? (
        <span class="picture-missing">{photo.filename}</span>
      ) : (
        <img
          src={thumbnail(photo, longest)}
          alt=""
          decoding="async"
          draggable={false}
          onLoad={() => setState("there")}
          onError={() => setState("missing")}
        />
      )}
    </span>
  );
}
