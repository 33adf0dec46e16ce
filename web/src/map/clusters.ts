// Which photos are shown as one: those in the same cell of a grid over the world that stays when the map moves. Pure.
import { fromScreen, type Box, type Camera, project, type Point, type Size } from "./projection";

/** What the host says is at a place: one photo, or several in the middle of all. */
export interface Spot {
  id: string;
  latitude: number;
  longitude: number;
  count: number;
  thumbnail_url: string;
  place: string | null;
}

export interface Cluster {
  key: string;
  count: number;
  middle: Point;
  /** One of its photos. */
  spot: Spot;
  /** The degrees that hold all of its photos and no other's. */
  box: Box;
}

/** Cells asked of the host on each side; a power of two, so that its cells fall within ours. */
const CELLS = 32;
/** A cell is about so many doublings of the world: between 68 and 136 pixels wide. */
const CELL_ZOOM = 1.4;

/** Degrees of a cell's side at this zoom. */
export const cellOf = (zoom: number): number => 360 / 2 ** Math.max(Math.floor(zoom + CELL_ZOOM), 2);

/** What to ask of the host for all that this camera sees. */
export function request(camera: Camera, size: Size): Box & { limit: number } {
  const cell = cellOf(camera.zoom);
  const topLeft = fromScreen(camera, size, { x: -80, y: -80 });
  const bottomRight = fromScreen(camera, size, { x: size.width + 80, y: size.height + 80 });
  const [west, east] = stretch(topLeft.x * 360 - 180, bottomRight.x * 360 - 180, cell, 360);
  const lowest = latitudeOf(Math.min(bottomRight.y, 1));
  const [south, north] = stretch(lowest + 90, latitudeOf(Math.max(topLeft.y, 0)) + 90, cell, 180);
  const isWhole = east - west >= 360;
  return {
    south: south - 90,
    north: north - 90,
    west: isWhole ? -180 : turn(west),
    east: isWhole ? 180 : turn(east),
    limit: CELLS * CELLS,
  };
}

const latitudeOf = (y: number): number => (Math.atan(Math.sinh(Math.PI * (1 - 2 * y))) * 180) / Math.PI;
const turn = (longitude: number): number => ((((longitude + 180) % 360) + 360) % 360) - 180;

/** A stretch of a power of two of cells, from a cell's edge, that holds `from` to `to`; all of it where it comes close. */
function stretch(from: number, to: number, cell: number, whole: number): [number, number] {
  let length = cell;
  let start = from;
  do {
    start = Math.floor(from / cell) * cell;
    if (start + length >= to) break;
    length *= 2;
  } while (length < whole);
  if (length >= whole) return whole === 180 ? [0, 180] : [0, 360];
  if (whole === 180) start = Math.min(Math.max(start, 0), whole - length);
  return [start, start + length];
}

/** The spots of each cell as one. */
export function gather(spots: readonly Spot[], zoom: number): Cluster[] {
  const cell = cellOf(zoom);
  const cells = new Map<string, { row: number; column: number; spots: Spot[] }>();
  for (const spot of spots) {
    const row = Math.floor((spot.latitude + 90) / cell);
    const column = Math.floor((spot.longitude + 180) / cell);
    const key = `${row} ${column}`;
    const there = cells.get(key);
    if (there) there.spots.push(spot);
    else cells.set(key, { row, column, spots: [spot] });
  }
  return [...cells.values()].map(({ row, column, spots: inside }) => join(inside, row, column, cell));
}

function join(spots: readonly Spot[], row: number, column: number, cell: number): Cluster {
  const count = spots.reduce((sum, spot) => sum + spot.count, 0);
  const points = spots.map((spot) => ({ ...project(spot.latitude, spot.longitude), count: spot.count }));
  const middle = {
    x: points.reduce((sum, point) => sum + point.x * point.count, 0) / count,
    y: points.reduce((sum, point) => sum + point.y * point.count, 0) / count,
  };
  const spot = spots.reduce((most, each) => (each.count > most.count ? each : most));
  const box = {
    south: row * cell - 90,
    north: Math.min((row + 1) * cell - 90, 90),
    west: column * cell - 180,
    east: Math.min((column + 1) * cell - 180, 180),
  };
  return { key: `${cell} ${row} ${column}`, count, middle, spot, box };
}
