// Where one photo was taken, on a small map that leads to the large one.
import { useState } from "preact/hooks";

import type { Photo } from "../api/types";
import { texts } from "../i18n";
import { MapCanvas } from "../map/MapCanvas";
import { project, toScreen, type Size } from "../map/projection";
import { closeViewer } from "./viewer";

const ZOOM = 4.5;

export default function SmallMap({ photo }: { photo: Photo }) {
  const [size, setSize] = useState<Size>({ width: 0, height: 0 });
  const { location } = photo.metadata;
  if (!location) return null;
  const place = project(location.latitude, location.longitude);
  const camera = { ...place, zoom: ZOOM };
  const at = toScreen(camera, size, place);
  return (
    <a class="small-map" href={`/map?photo=${photo.id}`} onClick={closeViewer} aria-label={texts.value.details.showOnMap}>
      <MapCanvas camera={camera} onSize={setSize} label={texts.value.details.position}>
        <span class="small-map-pin" style={{ transform: `translate(${at.x}px, ${at.y}px)` }} />
      </MapCanvas>
    </a>
  );
}
