// Land, borders and the names of countries, from Natural Earth's public outlines (world-atlas), shipped with the page.
import coarseUrl from "world-atlas/countries-110m.json?url";
import fineUrl from "world-atlas/countries-50m.json?url";
import { feature, mesh } from "topojson-client";
import type { GeometryCollection, Topology } from "topojson-specification";
import type { MultiPolygon, Polygon } from "geojson";

import { project, type Point } from "./projection";

export interface Country {
  name: string;
  /** Where its largest part is, and how wide that is, on the square of side 1. */
  middle: Point;
  width: number;
}

export interface Outlines {
  /** Each stretch of land with its bounds (left, top, right, bottom), on the square of side 1. */
  land: { path: Path2D; bounds: [number, number, number, number] }[];
  borders: Path2D;
  countries: Country[];
}

type World = Topology<{ countries: GeometryCollection<{ name: string }> }>;
const coming = new Map<string, Promise<Outlines>>();

/** The outlines for looking at all of the world, or at a part of it; fetched once. */
export function outlines(isFine: boolean): Promise<Outlines> {
  const url = isFine ? fineUrl : coarseUrl;
  let made = coming.get(url);
  if (!made) {
    made = fetch(url).then(async (answer) => {
      if (!answer.ok) throw new Error(`outlines: ${answer.status}`);
      return build((await answer.json()) as World);
    });
    made.catch(() => coming.delete(url));
    coming.set(url, made);
  }
  return made;
}

function build(world: World): Outlines {
  const land: Outlines["land"] = [];
  const countries: Country[] = [];
  const names = regionNames();
  for (const each of feature(world, world.objects.countries).features) {
    const shape = each.geometry as Polygon | MultiPolygon;
    const polygons = shape.type === "Polygon" ? [shape.coordinates] : shape.coordinates;
    const parts = polygons.map((rings) => part(rings));
    land.push(...parts);
    const largest = parts.reduce((most, next) => (area(next.bounds) > area(most.bounds) ? next : most), parts[0]!);
    const [left, top, right, bottom] = largest.bounds;
    const name = names(String(each.id)) ?? each.properties.name;
    countries.push({ name, middle: { x: (left + right) / 2, y: (top + bottom) / 2 }, width: right - left });
  }
  const borders = new Path2D();
  for (const line of mesh(world, world.objects.countries, (one, other) => one !== other).coordinates) trace(borders, unwrap(line));
  countries.sort((a, b) => b.width - a.width);
  return { land, borders, countries };
}

function part(rings: readonly number[][][]): Outlines["land"][number] {
  const path = new Path2D();
  const bounds: [number, number, number, number] = [2, 2, -1, -1];
  for (const ring of rings) {
    for (const { x, y } of trace(path, aroundPole(unwrap(ring)))) {
      bounds[0] = Math.min(bounds[0], x);
      bounds[1] = Math.min(bounds[1], y);
      bounds[2] = Math.max(bounds[2], x);
      bounds[3] = Math.max(bounds[3], y);
    }
    path.closePath();
  }
  return { path, bounds };
}

/** A line across the date line goes on beyond 180°, so that it is drawn in one piece. */
function unwrap(line: readonly number[][]): [number, number][] {
  let turns = 0;
  let before = line[0]?.[0] ?? 0;
  return line.map(([longitude = 0, latitude = 0]) => {
    if (Math.abs(longitude - before) > 180) turns += longitude < before ? 360 : -360;
    before = longitude;
    return [longitude + turns, latitude];
  });
}

/** A shore around a pole ends a whole turn from where it began: its land reaches to the edge of the map. */
function aroundPole(ring: [number, number][]): [number, number][] {
  const [first, last] = [ring[0], ring.at(-1)];
  if (!first || !last || Math.abs(first[0] - last[0]) < 180) return ring;
  const pole = last[1] < 0 ? -90 : 90;
  return [...ring, [last[0], pole], [first[0], pole]];
}

function trace(path: Path2D, line: readonly [number, number][]): Point[] {
  const points = line.map(([longitude, latitude]) => project(latitude, longitude));
  points.forEach(({ x, y }, index) => (index === 0 ? path.moveTo(x, y) : path.lineTo(x, y)));
  return points;
}

const area = ([left, top, right, bottom]: readonly [number, number, number, number]): number =>
  (right - left) * (bottom - top);

/** Country names in the page's language, by the numbers of ISO 3166-1 that the outlines have. */
function regionNames(): (id: string) => string | undefined {
  const names = new Intl.DisplayNames(document.documentElement.lang, { type: "region", fallback: "none" });
  return (id) => {
    try {
      const region = new Intl.Locale(`und-${id}`).region;
      return region && !/^\d/.test(region) ? names.of(region) : undefined;
    } catch {
      return undefined; // a disputed part without a number
    }
  };
}
