// Units cover all sections without a gap, and learning shapes moves only what is below.
import { expect, test } from "vitest";

import { cut, Geometry, UNIT_SIZE } from "./units";

const measures = { width: 1000, rowHeight: 200, gap: 4 };
const sections = [
  { key: "a", title: "A", count: UNIT_SIZE * 2 + 5 },
  { key: "b", title: "B", count: 1 },
];

test("a long section is cut into pages", () => {
  const units = cut(sections);
  expect(units.map(({ page, count, start, isLast }) => [page, count, start, isLast])).toEqual([
    [1, UNIT_SIZE, 0, false],
    [2, UNIT_SIZE, UNIT_SIZE, false],
    [3, 5, UNIT_SIZE * 2, true],
    [1, 1, UNIT_SIZE * 2 + 5, true],
  ]);
});

test("what is learned moves what stands below, by as much as is told", () => {
  const geometry = new Geometry(cut(sections), measures, 48, [], () => undefined);
  const before = [...geometry.tops];
  const change = geometry.learn(1, new Array<number>(UNIT_SIZE).fill(0.5));
  expect(change).toBeLessThan(0);
  expect([...geometry.tops].slice(0, 2)).toEqual(before.slice(0, 2));
  expect(geometry.tops[2]! - before[2]!).toBeCloseTo(change, 5);
  expect(geometry.height - before[4]!).toBeCloseTo(change, 5);
});

test("each height belongs to the unit that stands there", () => {
  const geometry = new Geometry(cut(sections), measures, 48, [], () => undefined);
  geometry.units.forEach((_, index) => {
    expect(geometry.at(geometry.tops[index]! + 1)).toBe(index);
    expect(geometry.at(geometry.tops[index + 1]! - 1)).toBe(index);
  });
  expect(geometry.at(-5)).toBe(0);
  expect(geometry.at(geometry.height + 5)).toBe(3);
});

test("a million photos are laid out at once", () => {
  const days = Array.from({ length: 7_300 }, (_, index) => ({ key: `${index}`, title: "", count: 137 }));
  const geometry = new Geometry(cut(days), measures, 48, [], () => undefined);
  expect(geometry.height).toBeGreaterThan(1_000_000);
});
