// A list higher than browsers allow is scrolled as if it were not.
import { expect, test } from "vitest";

import { HIGHEST, ScrollMap } from "./scroll";

test("a list that fits is scrolled as it is", () => {
  const map = new ScrollMap(5_000, () => 800);
  expect([map.outerHeight, map.scrolled(1_234), map.shift + 0, map.seek(4_000)]).toEqual([5_000, 1_234, 0, 4_000]);
});

test("small steps move a high list by as much, and both ends are reached", () => {
  const map = new ScrollMap(90_000_000, () => 800);
  expect(map.outerHeight).toBe(HIGHEST);
  const outer = map.seek(45_000_000);
  expect(map.scrolled(outer + 120)).toBeCloseTo(45_000_120, 3);
  expect(outer + 120).toBeCloseTo(45_000_120 + map.shift, 3);
  expect(map.scrolled(HIGHEST - 800)).toBeCloseTo(90_000_000 - 800, 3);
  expect(map.scrolled(0)).toBe(0);
});

test("a long step is taken as so much of the whole", () => {
  const map = new ScrollMap(90_000_000, () => 800);
  map.seek(0);
  expect(map.scrolled((HIGHEST - 800) / 2) / 90_000_000).toBeCloseTo(0.5, 3);
});
