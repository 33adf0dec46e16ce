// Rows keep shapes, fill the width, and hold every photo once.
import { expect, test } from "vitest";

import { layOut, rowsBetween, shapeOf, USUAL_SHAPE } from "./layout";

const measures = { width: 1000, rowHeight: 200, gap: 4 };

test("every photo stands once, in rows as wide as there is room", () => {
  const shapes = Array.from({ length: 57 }, (_, index) => 0.6 + (index % 7) * 0.3);
  const { rows, height } = layOut(shapes, measures);
  expect(rows.flatMap((row) => row.cells.map((_, at) => row.first + at))).toEqual(shapes.map((_, index) => index));
  for (const row of rows.slice(0, -1)) {
    const last = row.cells.at(-1)!;
    expect(last.left + last.width).toBeCloseTo(1000, 5);
    row.cells.forEach((cell, at) => expect(cell.width / row.height).toBeCloseTo(shapes[row.first + at]!, 5));
  }
  expect(height).toBeCloseTo(rows.at(-1)!.top + rows.at(-1)!.height + 4, 5);
});

test("a last row that is not full is not blown up", () => {
  expect(layOut([1.5], measures).rows[0]!.height).toBe(200);
});

test("shapes are kept within what a row can hold", () => {
  expect(shapeOf(10_000, 10)).toBe(3.5);
  expect(shapeOf(10, 10_000)).toBe(0.45);
  expect(shapeOf(null, 10)).toBe(USUAL_SHAPE);
});

test("the rows between two heights are those of which anything is seen", () => {
  const layout = layOut(new Array<number>(20).fill(1), { width: 400, rowHeight: 100, gap: 0 });
  expect(layout.rows.map((row) => row.top)).toEqual([0, 100, 200, 300, 400]);
  expect(rowsBetween(layout, 150, 300)).toEqual([1, 3]);
  expect(rowsBetween(layout, -50, 1_000)).toEqual([0, 5]);
  expect(rowsBetween(layout, 500, 600)).toEqual([0, 0]);
  const [from, to] = rowsBetween(layout, -600, -100);
  expect(layout.rows.slice(from, to)).toEqual([]);
});
