// Everything known about the photo that is shown.
import type PhotoSwipe from "photoswipe";
import { render, type ComponentChildren } from "preact";

import type { Photo } from "../api/types";
import { durationText, momentText, numberText, sizeText, texts } from "../i18n";
import { Nothing, patient } from "../ui/patient";
import { Copies, useCopies } from "./Copies";
import { closeViewer } from "./viewer";

const SmallMap = patient(() => import("./SmallMap"), Nothing);

/** Show the details of a photo beside it, or hide them; `stay` keeps them shown. */
export function toggleDetails(viewer: PhotoSwipe, photo: Photo, stay = false): void {
  const root = viewer.element;
  if (!root) return;
  const shown = root.querySelector<HTMLElement>(".details");
  if (shown && !stay) {
    hideDetails(viewer);
    return;
  }
  const place = shown ?? document.createElement("aside");
  if (!shown) {
    place.className = "details";
    place.tabIndex = -1;
    root.append(place);
  }
  place.setAttribute("aria-label", texts.value.details.title);
  render(<Details photo={photo} />, place);
  if (!shown) viewer.updateSize(true);
}

/** So many pixels do the details take from the photo: at the side, or below where they are as wide as the screen. */
export function detailsRoom(viewer: PhotoSwipe): { right: number; bottom: number } {
  const shown = viewer.element?.querySelector<HTMLElement>(".details");
  if (!shown) return { right: 0, bottom: 0 };
  const isBeside = shown.offsetWidth < innerWidth;
  return { right: isBeside ? shown.offsetWidth : 0, bottom: isBeside ? 0 : shown.offsetHeight };
}

/** Hide the details; what they listen to is let go. */
export function hideDetails(viewer: PhotoSwipe): void {
  const shown = viewer.element?.querySelector<HTMLElement>(".details");
  if (!shown) return;
  render(null, shown);
  shown.remove();
  viewer.updateSize(true);
}

function Details({ photo }: { photo: Photo }) {
  const words = texts.value.details;
  const { metadata } = photo;
  const copies = useCopies(photo.sha256);
  const exposure = [metadata.exposure && `${metadata.exposure} s`, metadata.aperture, metadata.iso && `ISO ${metadata.iso}`];
  const source = photo.taken_at_source ? words.takenFrom[photo.taken_at_source] : undefined;
  const shape = photo.width && photo.height ? `${numberText(photo.width)} × ${numberText(photo.height)}` : null;
  return (
    <>
      <h2 dir="auto">{metadata.title || photo.filename}</h2>
      {metadata.caption && <p dir="auto">{metadata.caption}</p>}
      <dl>
        <Fact name={words.taken}>{photo.taken_at_local && momentText(photo.taken_at_local)}{source && ` (${source})`}</Fact>
        <Fact name={words.place}>{photo.place}</Fact>
        <Fact name={words.position}>
          {metadata.location && (
            <a href={`/map?photo=${photo.id}`} onClick={closeViewer}>
              {metadata.location.latitude.toFixed(5)}, {metadata.location.longitude.toFixed(5)}
            </a>
          )}
        </Fact>
        <Fact name={words.camera}>{[metadata.make, metadata.camera].filter(Boolean).join(" ")}</Fact>
        <Fact name={words.lens}>{metadata.lens}</Fact>
        <Fact name={words.exposure}>{exposure.filter(Boolean).join(" · ")}</Fact>
        <Fact name={words.keywords}>{metadata.keywords.join(", ")}</Fact>
        <Fact name={words.artist}>{metadata.artist}</Fact>
        <Fact name={words.duration}>{photo.duration_s && durationText(photo.duration_s)}</Fact>
        <Fact name={words.dimensions}>{shape}</Fact>
        <Fact name={words.size}>{sizeText(photo.size_bytes)}</Fact>
        <Fact name={words.format}>{photo.format?.toUpperCase()}</Fact>
        <Fact name={words.file}>{photo.filename}</Fact>
        <Fact name={words.folder}>
          <a href={`/albums/${photo.album_id}`} onClick={closeViewer}>
            {photo.path.slice(0, photo.path.lastIndexOf("/"))}
          </a>
        </Fact>
        <Fact name={words.copies}>{copies.length > 1 && <Copies copies={copies} />}</Fact>
      </dl>
      {metadata.location && <SmallMap photo={photo} />}
    </>
  );
}

function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  const said = Array.isArray(children) ? children.some(Boolean) : Boolean(children);
  if (!said) return null;
  return (
    <>
      <dt>{name}</dt>
      <dd dir="auto">{children}</dd>
    </>
  );
}
