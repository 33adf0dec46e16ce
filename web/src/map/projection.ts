// Web Mercator: degrees to a square of side 1 and back, and what part of it a camera sees. Pure.

/** A place on the square: x from 0 (180° west) to 1, y from 0 (85° north) to 1. */
export interface Point {
  x: number;
  y: number;
}

/** Signed degrees; `west` beyond `east` is a part across the date line. */
export interface Box {
  south: number;
  west: number;
  north: number;
  east: number;
}

/** What is seen: the middle, and how many times the square of 256 pixels is doubled. */
export interface Camera extends Point {
  zoom: number;
}

export interface Size {
  width: number;
  height: number;
}

const FURTHEST = 85.0511;
const SQUARE_PX = 256;
export const NEAREST_ZOOM = 16;

export function project(latitude: number, longitude: number): Point {
  const within = Math.min(Math.max(latitude, -FURTHEST), FURTHEST);
  const sine = Math.sin((within * Math.PI) / 180);
  return { x: (longitude + 180) / 360, y: 0.5 - Math.log((1 + sine) / (1 - sine)) / (4 * Math.PI) };
}

export function unproject({ x, y }: Point): { latitude: number; longitude: number } {
  const latitude = (Math.atan(Math.sinh(Math.PI * (1 - 2 * y))) * 180) / Math.PI;
  return { latitude, longitude: wrap(x) * 360 - 180 };
}

/** Pixels that the whole world is wide. */
export const worldPx = (zoom: number): number => SQUARE_PX * 2 ** zoom;

/** Where a place is on the screen: the copy of it that is nearest to the middle. */
export function toScreen(camera: Camera, size: Size, { x, y }: Point): Point {
  const world = worldPx(camera.zoom);
  const aside = x - camera.x - Math.round(x - camera.x);
  return { x: aside * world + size.width / 2, y: (y - camera.y) * world + size.height / 2 };
}

export function fromScreen(camera: Camera, size: Size, { x, y }: Point): Point {
  const world = worldPx(camera.zoom);
  return { x: camera.x + (x - size.width / 2) / world, y: camera.y + (y - size.height / 2) / world };
}

/** The camera, kept where there is something to see: no further out than the whole world. */
export function keep(camera: Camera, { width, height }: Size): Camera {
  const furthest = Math.log2(Math.max(Math.min(width, 2 * height), 1) / SQUARE_PX);
  const zoom = Math.min(Math.max(camera.zoom, furthest), NEAREST_ZOOM);
  const half = Math.min(height / 2 / worldPx(zoom), 0.5);
  return { x: wrap(camera.x), y: Math.min(Math.max(camera.y, half), 1 - half), zoom };
}

/** Closer by so many doublings, the place under `at` (screen) staying where it is. */
export function zoomAt(camera: Camera, size: Size, at: Point, by: number): Camera {
  const place = fromScreen(camera, size, at);
  const zoom = keep({ ...camera, zoom: camera.zoom + by }, size).zoom;
  const world = worldPx(zoom);
  return keep({ x: place.x - (at.x - size.width / 2) / world, y: place.y - (at.y - size.height / 2) / world, zoom }, size);
}

/** The camera that shows these places with room around them; the whole world for none. */
export function fit(places: readonly Point[], size: Size): Camera {
  if (places.length === 0) return keep({ x: 0.5, y: 0.4, zoom: 0 }, size);
  const xs = places.map(({ x }) => x);
  const ys = places.map(({ y }) => y);
  const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const room = 140;
  const across = Math.max(size.width - room, 100) / Math.max(right - left, 1e-5);
  const down = Math.max(size.height - room, 100) / Math.max(bottom - top, 1e-5);
  const zoom = Math.min(Math.log2(Math.min(across, down) / SQUARE_PX), 11);
  return keep({ x: (left + right) / 2, y: (top + bottom) / 2, zoom }, size);
}

const wrap = (x: number): number => x - Math.floor(x);
