// Where photos stand: rows that keep every picture's shape and fill the width. Pure; all lengths in CSS pixels.

export interface Row {
  top: number;
  height: number;
  /** Index of the row's first photo in its unit. */
  first: number;
  /** Left edge and width of each photo. */
  cells: { left: number; width: number }[];
}

export interface Layout {
  rows: Row[];
  height: number;
}

export interface Measures {
  width: number;
  rowHeight: number;
  gap: number;
}

/** What a photo's shape counts as before it is known. */
export const USUAL_SHAPE = 1.35;
const NARROWEST = 0.45;
const WIDEST = 3.5;

/** Width divided by height, kept within what a row can hold. */
export const shapeOf = (width: number | null, height: number | null): number =>
  width && height ? Math.min(Math.max(width / height, NARROWEST), WIDEST) : USUAL_SHAPE;

/** Rows for photos of these shapes; the last row is not stretched unless `isFilled`. */
export function layOut(shapes: readonly number[], { width, rowHeight, gap }: Measures, isFilled = false): Layout {
  const rows: Row[] = [];
  let top = 0;
  let first = 0;
  let sum = 0;
  for (let index = 0; index < shapes.length; index += 1) {
    sum += shapes[index] ?? USUAL_SHAPE;
    const gaps = (index - first) * gap;
    const isLast = index === shapes.length - 1;
    const natural = sum * rowHeight + gaps;
    if (natural < width && !isLast) continue;
    const isStretched = natural >= width || isFilled;
    const fitting = (width - gaps) / sum;
    const height = isStretched ? Math.min(fitting, rowHeight * 1.6) : rowHeight;
    rows.push(makeRow(shapes.slice(first, index + 1), top, height, first, gap));
    top += height + gap;
    first = index + 1;
    sum = 0;
  }
  return { rows, height: top };
}

function makeRow(shapes: readonly number[], top: number, height: number, first: number, gap: number): Row {
  let left = 0;
  const cells = shapes.map((shape) => {
    const cell = { left, width: shape * height };
    left += cell.width + gap;
    return cell;
  });
  return { top, height, first, cells };
}

/** The rows that stand between two heights of a unit: the first of them, and the one after the last. */
export function rowsBetween({ rows }: Layout, from: number, to: number): [number, number] {
  const first = rows.findIndex((row) => row.top + row.height > from);
  if (first < 0) return [0, 0];
  const after = rows.findIndex((row) => row.top >= to);
  return [first, after < 0 ? rows.length : after];
}
