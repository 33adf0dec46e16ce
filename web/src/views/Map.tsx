// Where photos were taken: clusters on a map, or the same places as a list.
import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";

import { get } from "../api/client";
import type { Photo, PhotosPage } from "../api/types";
import { GridModel } from "../grid/model";
import { measuresFor } from "../grid/PhotoGrid";
import { thumbnail } from "../grid/Tile";
import { UNIT_SIZE } from "../grid/units";
import { count, texts } from "../i18n";
import { gather, request, type Cluster, type Spot } from "../map/clusters";
import { MapCanvas } from "../map/MapCanvas";
import { fit, project, toScreen, zoomAt, type Camera, type Size } from "../map/projection";
import { query } from "../router";
import { afterChanges } from "../ui/fresh";
import { Failure, Message, sentence } from "../ui/Message";
import { notice } from "../ui/notices";

interface MapAnswer {
  photos: Spot[];
  total: number;
}

const SETTLED_MS = 150;
const CLOSE = 6;
/** From here on there is room for the names of places. */
const NAMED = 4;
/** The room there is before the map itself is drawn. */
function room(): Size {
  const view = document.getElementById("view");
  return { width: view?.clientWidth || innerWidth, height: view?.clientHeight || innerHeight };
}

export default function MapView() {
  const [size, setSize] = useState<Size>(room);
  const [camera, setCamera] = useState<Camera | null>(null);
  const [hasAny, setHasAny] = useState(true);
  const [error, setError] = useState<unknown>(undefined);
  const [isList, setList] = useState(false);
  const wanted = query.value.get("photo");
  const words = texts.value.map;

  const begin = useCallback((): void => {
    setError(undefined);
    firstCamera(wanted).then(
      (first) => {
        setHasAny(first !== null);
        setCamera(first ?? fit([], room()));
      },
      (failed: unknown) => setError(failed),
    );
  }, [wanted]);
  useEffect(begin, [begin]);
  useEffect(() => afterChanges(() => setHasAny(true)), []);
  useEffect(() => {
    document.title = `${texts.value.nav.map} · ${texts.value.appName}`;
  }, [texts.value]);

  const clusters = useClusters(camera, size);
  if (error !== undefined) return <Failure error={error} onRetry={begin} />;
  if (!camera) return <p class="loading">{texts.value.loading}</p>;
  if (!hasAny && clusters.length === 0) return <Message title={words.empty} hint={words.emptyHint} />;
  const middle = { x: size.width / 2, y: size.height / 2 };
  return (
    <div class="map-view">
      <h1 class="only-read">{texts.value.nav.map}</h1>
      {isList ? (
        <Places clusters={clusters} />
      ) : (
        <MapCanvas camera={camera} onMove={setCamera} onSize={setSize} label={words.label}>
          <Markers clusters={clusters} camera={camera} size={size} wanted={wanted} />
        </MapCanvas>
      )}
      <div class="map-tools">
        {!isList && (
          <>
            <button type="button" aria-label={words.closer} onClick={() => setCamera(zoomAt(camera, size, middle, 1))}>
              +
            </button>
            <button type="button" aria-label={words.further} onClick={() => setCamera(zoomAt(camera, size, middle, -1))}>
              −
            </button>
          </>
        )}
        <button type="button" aria-pressed={isList} onClick={() => setList(!isList)}>
          {words.list}
        </button>
      </div>
    </div>
  );
}

/** Where to look first: at one photo, or at all that have a place; null where none has. */
async function firstCamera(wanted: string | null): Promise<Camera | null> {
  const photo = wanted ? await get<Photo>(`/api/v1/photos/${encodeURIComponent(wanted)}`) : null;
  const at = photo?.metadata.location;
  if (at) return { ...project(at.latitude, at.longitude), zoom: CLOSE };
  const { photos } = await get<MapAnswer>("/api/v1/photos/map", { limit: 256 });
  if (photos.length === 0) return null;
  return fit(photos.map(({ latitude, longitude }) => project(latitude, longitude)), room());
}

/** The clusters of what the camera sees, asked for again once it rests and when the library changes. */
function useClusters(camera: Camera | null, size: Size): Cluster[] {
  const [found, setFound] = useState<{ spots: Spot[]; zoom: number }>({ spots: [], zoom: 0 });
  const [round, setRound] = useState(0);
  const asked = camera ? JSON.stringify(request(camera, size)) : "";
  const zoom = camera?.zoom ?? 0;
  const isFirst = useRef(true);
  useEffect(() => {
    if (!asked) return undefined;
    const stop = new AbortController();
    const load = (): void => {
      get<MapAnswer>("/api/v1/photos/map", JSON.parse(asked) as Record<string, number>, stop.signal).then(
        ({ photos }) => setFound({ spots: photos, zoom }),
        (error: unknown) => !stop.signal.aborted && notice(sentence(error)),
      );
    };
    const timer = setTimeout(load, isFirst.current ? 0 : SETTLED_MS);
    isFirst.current = false;
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [asked, round]);
  useEffect(() => afterChanges(() => setRound((before) => before + 1)), []);
  return useMemo(() => gather(found.spots, found.zoom), [found]);
}

interface MarkersProps {
  clusters: readonly Cluster[];
  camera: Camera;
  size: Size;
  wanted: string | null;
}

function Markers({ clusters, camera, size, wanted }: MarkersProps) {
  const seen = clusters
    .map((cluster) => ({ cluster, at: toScreen(camera, size, cluster.middle) }))
    .filter(({ at }) => at.x > -40 && at.y > -40 && at.x < size.width + 40 && at.y < size.height + 40)
    .sort((a, b) => a.cluster.count - b.cluster.count);
  return (
    <ul class="map-markers" aria-label={texts.value.map.places}>
      {seen.map(({ cluster, at }) => (
        <li key={cluster.key} style={{ transform: `translate(${at.x}px, ${at.y}px)` }}>
          <button
            type="button"
            class={cluster.spot.id === wanted ? "map-marker map-marker-wanted" : "map-marker"}
            aria-label={say(cluster)}
            onClick={() => void show(cluster)}
          >
            <img src={thumbnail(cluster.spot, 60)} alt="" draggable={false} decoding="async" />
            {cluster.count > 1 && <span class="map-count">{short(cluster.count)}</span>}
          </button>
          {camera.zoom >= NAMED && cluster.spot.place && (
            <span class="map-name" dir="auto" aria-hidden="true">
              {cluster.spot.place.split(",")[0]}
            </span>
          )}
        </li>
      ))}
    </ul>
  );
}

function Places({ clusters }: { clusters: readonly Cluster[] }) {
  const largest = clusters.toSorted((a, b) => b.count - a.count);
  return (
    <div class="page">
      <p class="soft">{texts.value.map.listHint}</p>
      <ul class="map-places">
        {largest.map((cluster) => (
          <li key={cluster.key}>
            <button type="button" onClick={() => void show(cluster)}>
              <img src={thumbnail(cluster.spot, 60)} alt="" loading="lazy" />
              <span dir="auto">{cluster.spot.place ?? texts.value.map.unnamed}</span>
              <span class="soft">{count(cluster.count, texts.value.counts.photos)}</span>
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}

const say = (cluster: Cluster): string =>
  [count(cluster.count, texts.value.counts.photos), cluster.spot.place].filter(Boolean).join(", ");

const short = (number: number): string =>
  new Intl.NumberFormat(document.documentElement.lang, { notation: "compact" }).format(number);

/** Leaf through the photos of a cluster. */
async function show({ box, count: total, key }: Cluster): Promise<void> {
  const { openViewer } = await import("../viewer/viewer");
  const wanted = { box: [box.south, box.west, box.north, box.east].map((degrees) => degrees.toFixed(9)).join(",") };
  const source = {
    sections: [{ key, title: "", count: total }],
    load: async (_section: unknown, page: number, signal: AbortSignal): Promise<Photo[]> =>
      (await get<PhotosPage>("/api/v1/photos", { ...wanted, page, limit: UNIT_SIZE }, signal)).photos,
  };
  openViewer(new GridModel(source, measuresFor(innerWidth), 0), 0);
}
