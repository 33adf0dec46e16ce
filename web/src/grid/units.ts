// A long list of photos cut into units that are laid out and loaded one by one. Pure; lengths in CSS pixels.
import { layOut, USUAL_SHAPE, type Layout, type Measures } from "./layout";

/** Photos in a unit, and asked of the host at once. */
export const UNIT_SIZE = 120;

/** A run of photos under one heading: a day, an album, an answer. */
export interface Section {
  key: string;
  title: string;
  count: number;
}

export interface Unit {
  section: Section;
  /** Page of the section, from 1. */
  page: number;
  count: number;
  /** Index of the unit's first photo in the whole list. */
  start: number;
  isLast: boolean;
}

/** The units of these sections, in order. */
export function cut(sections: readonly Section[]): Unit[] {
  const units: Unit[] = [];
  let start = 0;
  for (const section of sections) {
    for (let done = 0; done < section.count; done += UNIT_SIZE) {
      const count = Math.min(UNIT_SIZE, section.count - done);
      units.push({ section, page: done / UNIT_SIZE + 1, count, start, isLast: done + count >= section.count });
      start += count;
    }
  }
  return units;
}

/** Tops and layouts of all units: laid out by their shapes where known, by the usual shape otherwise. */
export class Geometry {
  readonly tops: Float64Array;
  /** The size of a photo whose shape is not known yet, in a row that is full. */
  readonly usualPlace: { width: number; height: number };
  private readonly heights: Float64Array;
  private readonly layouts = new Map<number, Layout>();
  private readonly usual = new Map<number, Layout>();

  constructor(
    readonly units: readonly Unit[],
    readonly measures: Measures,
    readonly heading: number,
    known: Iterable<number>,
    shapesOf: (index: number) => readonly number[] | undefined,
  ) {
    const [row] = layOut(new Array<number>(UNIT_SIZE).fill(USUAL_SHAPE), measures).rows;
    this.usualPlace = { width: row?.cells[0]?.width ?? 0, height: row?.height ?? 0 };
    this.heights = new Float64Array(units.length);
    this.tops = new Float64Array(units.length + 1);
    this.addUsual();
    for (const index of known) {
      const layout = this.layOutUnit(index, shapesOf(index) ?? []);
      this.layouts.set(index, layout);
      this.heights[index] = layout.height + this.headingOf(index);
    }
    this.sum(0);
  }

  get height(): number {
    return this.tops[this.units.length] ?? 0;
  }

  headingOf(index: number): number {
    return this.units[index]?.page === 1 ? this.heading : 0;
  }

  layout(index: number): Layout {
    const known = this.layouts.get(index);
    if (known) return known;
    const unit = this.units[index];
    const count = unit?.count ?? 0;
    const key = unit?.isLast ? count : -count;
    let usual = this.usual.get(key);
    if (!usual) {
      usual = layOut(new Array<number>(count).fill(USUAL_SHAPE), this.measures, !unit?.isLast);
      this.usual.set(key, usual);
    }
    return usual;
  }

  /** The shapes of a unit have become known; how much lower everything below it now stands. */
  learn(index: number, shapes: readonly number[]): number {
    const layout = this.layOutUnit(index, shapes);
    this.layouts.set(index, layout);
    const height = layout.height + this.headingOf(index);
    const change = height - (this.heights[index] ?? 0);
    this.heights[index] = height;
    if (change !== 0) this.sum(index);
    return change;
  }

  /** The unit at this height of the list. */
  at(y: number): number {
    let low = 0;
    let high = this.units.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.tops[middle] ?? 0) <= y) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** The heights of all units as if no shape were known: thousands, before the first photo is drawn. */
  private addUsual(): void {
    const ends: number[] = []; // by the count of photos
    let index = 0;
    for (const { count, page, isLast } of this.units) {
      const height = isLast ? (ends[count] ??= this.layout(index).height) : this.layout(index).height;
      this.heights[index] = page === 1 ? height + this.heading : height;
      index += 1;
    }
  }

  private layOutUnit(index: number, shapes: readonly number[]): Layout {
    return layOut(shapes, this.measures, !this.units[index]?.isLast);
  }

  private sum(from: number): void {
    let top = this.tops[from] ?? 0;
    for (let index = from; index < this.heights.length; index += 1) {
      top += this.heights[index] ?? 0;
      this.tops[index + 1] = top;
    }
  }
}
