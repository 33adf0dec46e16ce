// The projection goes both ways, and what is asked of the host falls on the grid that photos are gathered by.
import { expect, test } from "vitest";

import { cellOf, gather, request, type Spot } from "./clusters";
import { fit, keep, project, toScreen, unproject, zoomAt } from "./projection";

const size = { width: 1200, height: 800 };
const spot = (id: string, latitude: number, longitude: number, count = 1): Spot => ({
  id, latitude, longitude, count, thumbnail_url: "", place: null,
});

test("degrees come back from the square", () => {
  const back = unproject(project(38.7169, -9.1399));
  expect(back.latitude).toBeCloseTo(38.7169, 6);
  expect(back.longitude).toBeCloseTo(-9.1399, 6);
});

test("zooming keeps the place under the pointer", () => {
  const camera = keep({ ...project(48, 11), zoom: 6 }, size);
  const place = project(49, 12);
  const at = toScreen(camera, size, place);
  const after = toScreen(zoomAt(camera, size, at, 1.5), size, place);
  expect(after.x).toBeCloseTo(at.x, 3);
  expect(after.y).toBeCloseTo(at.y, 3);
});

test("all places are seen at first", () => {
  const places = [project(60, 5), project(-33, 151), project(40, -120)];
  const camera = fit(places, size);
  for (const place of places) {
    const { x, y } = toScreen(camera, size, place);
    expect(x).toBeGreaterThan(0);
    expect(x).toBeLessThan(size.width);
    expect(y).toBeGreaterThan(0);
    expect(y).toBeLessThan(size.height);
  }
});

test("the host's cells fall within those of the map, across the date line too", () => {
  for (const [latitude, longitude, zoom] of [[50, 10, 5.3], [0, 179.9, 4], [-60, -179, 7.9], [84, 0, 3], [20, 100, 12]] as const) {
    const asked = request(keep({ ...project(latitude, longitude), zoom }, size), size);
    const cell = cellOf(zoom);
    const span = (asked.east - asked.west + 360) % 360 || 360;
    for (const side of [span / 32, (asked.north - asked.south) / 32]) {
      expect(Math.log2(cell / side) % 1).toBeCloseTo(0, 6);
      expect(side).toBeLessThanOrEqual(cell);
    }
    expect(asked.south).toBeGreaterThanOrEqual(-90);
    expect(asked.north).toBeLessThanOrEqual(90);
  }
});

test("photos of one cell are one cluster whose box holds them", () => {
  const clusters = gather([spot("a", 38.7, -9.1, 3), spot("b", 38.71, -9.11), spot("c", 35, 135.7)], 4);
  expect(clusters.map(({ count }) => count).sort()).toEqual([1, 4]);
  for (const { box, spot: one } of clusters) {
    expect(one.latitude).toBeGreaterThanOrEqual(box.south);
    expect(one.latitude).toBeLessThan(box.north);
    expect(one.longitude).toBeGreaterThanOrEqual(box.west);
    expect(one.longitude).toBeLessThan(box.east);
  }
});

test("a narrow screen shows all places at once", () => {
  const phone = { width: 390, height: 760 };
  const places = [project(64, -150), project(-41, 174), project(-34, 18)];
  const camera = fit(places, phone);
  for (const place of places) {
    const at = toScreen(camera, phone, place);
    expect(at.x).toBeGreaterThanOrEqual(0);
    expect(at.x).toBeLessThanOrEqual(phone.width);
    expect(at.y).toBeGreaterThanOrEqual(0);
    expect(at.y).toBeLessThanOrEqual(phone.height);
  }
});
