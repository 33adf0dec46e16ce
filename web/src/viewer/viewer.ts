// One photo at a time: PhotoSwipe over a list, with films, sounds, live photos and the details beside it.
import PhotoSwipe, { type SlideData } from "photoswipe";
import "photoswipe/style.css";
import "../styles/viewer.css";

import { get } from "../api/client";
import type { Photo } from "../api/types";
import { placeholder } from "../grid/placeholder";
import { describe } from "../grid/Tile";
import { texts } from "../i18n";
import { cover, go, path } from "../router";
import { notice } from "../ui/notices";
import { sentence } from "../ui/Message";
import { Changes } from "./changes";
import { detailsRoom, hideDetails, toggleDetails } from "./details";
import { iconHtml } from "./icons";
import { playLive, playWhileHeld } from "./live";
import { explain, fullPicture, makeMessage, makePlayer, playerIn } from "./media";

/** What the viewer leafs through. */
export interface Shelf {
  readonly total: number;
  at(index: number): Photo | undefined;
  need(index: number): Promise<Photo | undefined>;
}

/** Whoever leafs on sooner than that does not want the whole picture. */
const RESTED_MS = 200;

interface Slide extends SlideData {
  photo?: Photo;
}

/** Show the photo at `index`; `onLeave` is told the last one that was shown. */
export function openViewer(shelf: Shelf, index: number, onLeave: (index: number) => void = () => undefined): void {
  const words = texts.value.viewer;
  const isStill = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const opener = document.activeElement;
  const viewer = new PhotoSwipe({
    index,
    dataSource: { gallery: document.createElement("div"), items: [] },
    loop: false,
    preload: [1, 2],
    bgOpacity: 1,
    paddingFn: () => ({ top: 0, left: 0, ...detailsRoom(viewer) }),
    wheelToZoom: true,
    showHideAnimationType: isStill ? "none" : "fade",
    closeTitle: words.close,
    zoomTitle: words.zoom,
    arrowPrevTitle: words.previous,
    arrowNextTitle: words.next,
    errorMsg: words.failed,
    returnFocus: false,
  });
  viewer.addFilter("numItems", () => shelf.total);
  const changes = new Changes();
  viewer.addFilter("itemData", (_, at) => slideFor(shelf, at, changes, () => viewer.refreshSlideContent(at)));
  const photoNow = (): Photo | undefined => (viewer.currSlide?.data as Slide | undefined)?.photo;

  viewer.addFilter("contentErrorElement", (element, content) => {
    const { photo } = content.data as Slide;
    if (!photo) return element;
    const message = makeMessage(words.failed);
    void explain(photo).then((why) => (message.textContent = why));
    return message;
  });
  viewer.on("contentLoad", (event) => {
    const { photo, type } = event.content.data as Slide;
    if (type !== "gone" && (!photo || photo.kind === "photo")) return;
    event.preventDefault();
    event.content.element = (photo ? makePlayer(photo) : makeMessage(words.gone)) as HTMLDivElement;
    event.content.onLoaded();
  });
  viewer.on("contentActivate", ({ content }) => {
    const { photo } = content.data as Slide;
    if (photo?.kind === "photo") sharpen(content.element, photo, () => photoNow()?.id === photo.id);
    if (!isStill) void playerIn(content.element)?.play().catch(() => undefined);
  });
  viewer.on("contentDeactivate", ({ content }) => {
    playerIn(content.element)?.pause();
  });
  viewer.on("uiRegister", () => addButtons(viewer, photoNow));
  viewer.on("change", () => {
    const photo = photoNow();
    if (viewer.element) viewer.element.dataset["live"] = String(Boolean(photo?.live));
    if (photo) showAddress(photo, viewer);
  });
  playWhileHeld(viewer, photoNow);
  changes.watch(viewer, photoNow);
  viewer.on("keydown", ({ originalEvent }) => {
    const photo = photoNow();
    if (originalEvent.key === "i" && !originalEvent.ctrlKey && !originalEvent.metaKey && photo) toggleDetails(viewer, photo);
  });

  const origin = path.peek().startsWith("/photo/") ? "/" : location.pathname + location.search;
  const onBack = (): void => {
    if (!location.pathname.startsWith("/photo/")) viewer.close();
  };
  addEventListener("popstate", onBack);
  viewer.on("close", () => hideDetails(viewer));
  viewer.on("destroy", () => {
    if (opener instanceof HTMLElement) opener.focus({ preventScroll: true });
    onLeave(viewer.currIndex);
    removeEventListener("popstate", onBack);
    if (location.pathname.startsWith("/photo/")) go(origin, { replace: true });
  });
  document.documentElement.dataset["viewer"] = "open";
  viewer.on("destroy", () => delete document.documentElement.dataset["viewer"]);
  keepEarlyKeys(viewer, photoNow);
  viewer.on("afterInit", () => viewer.element?.setAttribute("aria-label", texts.value.timeline.title));
  viewer.init();
  close = () => viewer.close();
}

/** Keys pressed before the viewer listens are not lost: a quick arrow right after opening still leafs on. */
function keepEarlyKeys(viewer: PhotoSwipe, photoNow: () => Photo | undefined): void {
  const early: string[] = [];
  const acts: Record<string, () => void> = {
    ArrowRight: () => viewer.next(),
    ArrowLeft: () => viewer.prev(),
    Escape: () => viewer.close(),
    i: () => {
      const photo = photoNow();
      if (photo) toggleDetails(viewer, photo);
    },
  };
  const note = (event: KeyboardEvent): void => {
    if (!acts[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    early.push(event.key);
  };
  document.addEventListener("keydown", note, { capture: true });
  const stop = (): void => document.removeEventListener("keydown", note, { capture: true });
  viewer.on("destroy", stop);
  viewer.on("bindEvents", () => {
    stop();
    for (const key of early) setTimeout(() => acts[key]?.());
  });
}

let close: () => void = () => undefined;
/** End the viewer, if one is open. */
export const closeViewer = (): void => close();

/** Show one photo by its id. */
export async function openSingle(id: string): Promise<void> {
  try {
    const photo = await get<Photo>(`/api/v1/photos/${id}`);
    openViewer({ total: 1, at: () => photo, need: () => Promise.resolve(photo) }, 0);
  } catch (error) {
    notice(sentence(error));
    go("/", { replace: true });
  }
}

function slideFor(shelf: Shelf, index: number, changes: Changes, onThere: () => void): Slide {
  const known = shelf.at(index);
  const photo = known && changes.now(known);
  if (photo === null) return { type: "gone" };
  if (!photo) {
    void shelf.need(index).then((found) => found && onThere(), () => undefined);
    return { html: `<div class="viewer-wait"></div>` };
  }
  const slide: Slide = { photo, alt: describe(photo) };
  if (photo.kind !== "photo") return { ...slide, type: photo.kind };
  const blur = photo.thumbhash ? placeholder(photo.thumbhash) : "";
  return {
    ...slide,
    src: `${photo.thumbnail_url}&size=large`,
    width: photo.width ?? 800,
    height: photo.height ?? 600,
    ...(blur ? { msrc: blur } : {}),
  };
}

/** Put the whole picture in the place of the large thumbnail once it has come. */
function sharpen(element: HTMLElement | undefined, photo: Photo, isShown: () => boolean): void {
  if (!(element instanceof HTMLImageElement) || element.dataset["full"] === photo.sha256) return;
  const load = async (): Promise<void> => {
    if (!isShown() || element.dataset["full"] === photo.sha256) return;
    element.dataset["full"] = photo.sha256 ?? "";
    const full = new Image();
    full.src = fullPicture(photo);
    try {
      await full.decode();
      element.src = full.src;
    } catch {
      // The large thumbnail stays, with the reason.
      delete element.dataset["full"];
      if (isShown()) notice(await explain(photo));
    }
  };
  setTimeout(() => void load(), RESTED_MS);
}

function showAddress(photo: Photo, viewer: PhotoSwipe): void {
  const address = `/photo/${photo.id}`;
  if (location.pathname === address) return;
  cover(address, { replace: location.pathname.startsWith("/photo/") });
  if (viewer.element?.querySelector(".details")) toggleDetails(viewer, photo, true);
}

function addButtons(viewer: PhotoSwipe, photoNow: () => Photo | undefined): void {
  const words = texts.value.viewer;
  const add = (name: string, title: string, order: number, act: (photo: Photo) => void): void => {
    viewer.ui?.registerElement({
      name,
      title,
      order,
      isButton: true,
      html: iconHtml(name as "info"),
      onClick: () => {
        const photo = photoNow();
        if (photo) act(photo);
      },
    });
  };
  add("play", words.playLive, 6, (photo) => playLive(viewer, photo));
  add("info", words.details, 7, (photo) => toggleDetails(viewer, photo));
  add("download", words.download, 8, (photo) => {
    const link = document.createElement("a");
    link.href = `${photo.full_url}?download=true`;
    link.download = photo.filename;
    link.click();
  });
  add("share", words.share, 9, (photo) => void share(photo));
}

async function share(photo: Photo): Promise<void> {
  const url = `${location.origin}/photo/${photo.id}`;
  if (navigator.share) {
    await navigator.share({ title: photo.filename, url }).catch(() => undefined);
    return;
  }
  // Without HTTPS browsers offer no clipboard to scripts; the old way still works there.
  const field = document.createElement("textarea");
  field.value = url;
  document.body.append(field);
  field.select();
  document.execCommand("copy");
  field.remove();
  notice(texts.value.viewer.linkCopied);
}
