// What happens to photos while they are looked at: another version of them, their removal, the end of the session.
import { effect } from "@preact/signals";
import type PhotoSwipe from "photoswipe";

import { get } from "../api/client";
import { onHappening } from "../api/live";
import type { Photo } from "../api/types";
import { sessionState } from "../session";

export class Changes {
  private readonly fresh = new Map<string, Photo>();
  private readonly gone = new Set<string>();

  /** The photo as it is by now; null when it has gone. */
  now(photo: Photo): Photo | null {
    return this.gone.has(photo.id) ? null : (this.fresh.get(photo.id) ?? photo);
  }

  /** Keep a viewer up to date while it is open. */
  watch(viewer: PhotoSwipe, photoNow: () => Photo | undefined): void {
    const redraw = (id: string): void => {
      if (photoNow()?.id === id) viewer.refreshSlideContent(viewer.currIndex);
    };
    const stop = onHappening(({ type, data }) => {
      const id = String(data["id"]);
      if (type === "photo.removed") {
        this.gone.add(id);
        redraw(id);
      }
      if (type === "photo.added") this.gone.delete(id);
      if (type === "photo.changed" && (photoNow()?.id === id || this.fresh.has(id))) void this.read(id).then(() => redraw(id));
    });
    const leave = effect(() => {
      if (sessionState.value === "in") return;
      viewer.element?.remove(); // at once: while it is opening, PhotoSwipe does not close
      viewer.destroy();
      viewer.on("openingAnimationEnd", () => viewer.destroy());
    });
    viewer.on("destroy", () => {
      stop();
      leave();
    });
  }

  private async read(id: string): Promise<void> {
    const photo = await get<Photo>(`/api/v1/photos/${id}`).catch(() => null);
    if (photo) this.fresh.set(id, photo);
  }
}
