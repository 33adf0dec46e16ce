// The other places in the library where the same bytes lie.
import { useEffect, useState } from "preact/hooks";

import { get } from "../api/client";
import type { Photo, PhotosPage } from "../api/types";
import { closeViewer } from "./viewer";

/** Every copy of these bytes that may be seen, this one included; none while the host has not answered. */
export function useCopies(sha256: string | null): Photo[] {
  const [copies, setCopies] = useState<Photo[]>([]);
  useEffect(() => {
    setCopies([]);
    if (!sha256) return undefined;
    const stop = new AbortController();
    get<PhotosPage>("/api/v1/photos", { sha256, limit: 50 }, stop.signal).then(
      (page) => setCopies(page.photos),
      () => undefined, // the details stand without them
    );
    return () => stop.abort();
  }, [sha256]);
  return copies;
}

export function Copies({ copies }: { copies: readonly Photo[] }) {
  return (
    <ul class="copies">
      {copies.map((copy) => (
        <li key={copy.id}>
          <a href={`/albums/${copy.album_id}`} onClick={closeViewer} dir="auto">
            {copy.path}
          </a>
        </li>
      ))}
    </ul>
  );
}
