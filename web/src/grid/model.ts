// The photos of one list, fetched unit by unit as they come into sight, with where they stand.
import { signal } from "@preact/signals";

import type { Photo } from "../api/types";
import { shapeOf, type Measures } from "./layout";
import { cut, Geometry, UNIT_SIZE, type Section, type Unit } from "./units";

export interface Source {
  sections: readonly Section[];
  /** First pages that are here already, by the keys of their sections; one that is not whole is fetched. */
  known?: ReadonlyMap<string, Photo[]>;
  /** One page, of `UNIT_SIZE` photos, of a section. */
  load(section: Section, page: number, signal: AbortSignal): Promise<Photo[]>;
}

/** Where a reader is: what stays in place when the list changes. */
export interface Anchor {
  section: string;
  page: number;
  into: number;
}

export class GridModel {
  /** Grows with everything that has to be drawn anew. */
  readonly version = signal(0);
  readonly units: Unit[];
  readonly total: number;
  geometry: Geometry;
  private readonly photos = new Map<number, Photo[]>();
  private readonly coming = new Map<number, { stop: AbortController; done: Promise<void> }>();
  /** Told how far everything below a unit has moved. */
  onGrown: (index: number, change: number) => void = () => undefined;
  /** Told when a unit can't be fetched. */
  onFailed: (error: unknown) => void = () => undefined;

  constructor(
    private readonly source: Source,
    measures: Measures,
    heading: number,
    former?: GridModel,
    isStale: (photo: Photo) => boolean = () => false,
  ) {
    this.units = cut(source.sections);
    const last = this.units.at(-1);
    this.total = last ? last.start + last.count : 0;
    if (former) this.takeOver(former, isStale);
    if (source.known?.size) this.take(source.known);
    this.geometry = new Geometry(this.units, measures, heading, this.photos.keys(), (index) => this.shapes(index));
  }

  /** The photo at an index of the whole list, as far as it is here. */
  at(index: number): Photo | undefined {
    const number = this.unitOf(index);
    const unit = this.units[number];
    return unit && this.photos.get(number)?.[index - unit.start];
  }

  of(unit: number): readonly Photo[] | undefined {
    return this.photos.get(unit);
  }

  /** The index of a photo that is here. */
  indexOf(id: string): number {
    for (const [number, photos] of this.photos) {
      const found = photos.findIndex((photo) => photo.id === id);
      const unit = this.units[number];
      if (found >= 0 && unit) return unit.start + found;
    }
    return -1;
  }

  /** The photo at an index, fetched where it has to be. */
  async need(index: number): Promise<Photo | undefined> {
    await this.fetch(this.unitOf(index));
    return this.at(index);
  }

  /** Fetch these units, and give up on others that are still on their way. */
  show(from: number, to: number): void {
    for (const number of [...this.coming.keys()]) {
      if (number < from || number > to) this.giveUp(number);
    }
    for (let number = from; number <= to; number += 1) void this.fetch(number);
  }

  anchorAt(y: number): Anchor | null {
    const index = this.geometry.at(y);
    const unit = this.units[index];
    return unit ? { section: unit.section.key, page: unit.page, into: y - (this.geometry.tops[index] ?? 0) } : null;
  }

  /** Where an anchor is by now; null when its unit has gone. */
  find(anchor: Anchor): number | null {
    const index = this.units.findIndex((unit) => unit.section.key === anchor.section && unit.page === anchor.page);
    return index < 0 ? null : (this.geometry.tops[index] ?? 0) + anchor.into;
  }

  measure(measures: Measures): void {
    this.geometry = new Geometry(this.units, measures, this.geometry.heading, this.photos.keys(), (index) => this.shapes(index));
    this.version.value += 1;
  }

  stop(): void {
    for (const number of [...this.coming.keys()]) this.giveUp(number);
  }

  private giveUp(number: number): void {
    this.coming.get(number)?.stop.abort();
    this.coming.delete(number);
  }

  unitOf(index: number): number {
    let low = 0;
    let high = this.units.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.units[middle]?.start ?? 0) <= index) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  private fetch(number: number): Promise<void> {
    const unit = this.units[number];
    if (!unit || this.photos.has(number)) return Promise.resolve();
    const coming = this.coming.get(number);
    if (coming) return coming.done;
    const stop = new AbortController();
    const done = this.source
      .load(unit.section, unit.page, stop.signal)
      .then((photos) => this.arrived(number, unit, photos))
      .catch((error: unknown) => {
        if (!stop.signal.aborted) this.onFailed(error);
      })
      .finally(() => {
        if (this.coming.get(number)?.stop === stop) this.coming.delete(number);
      });
    this.coming.set(number, { stop, done });
    return done;
  }

  private arrived(number: number, unit: Unit, photos: Photo[]): void {
    this.photos.set(number, photos.slice(0, unit.count));
    const change = this.geometry.learn(number, this.shapes(number) ?? []);
    if (change !== 0) this.onGrown(number, change);
    this.version.value += 1;
    this.forget(number);
  }

  /** Keep memory bounded: the units furthest from the one that just came are fetched again when they are seen again. */
  private forget(near: number): void {
    const most = 60;
    if (this.photos.size <= most) return;
    const furthest = [...this.photos.keys()].sort((a, b) => Math.abs(b - near) - Math.abs(a - near));
    for (const number of furthest.slice(0, this.photos.size - most)) this.photos.delete(number);
  }

  private shapes(index: number): number[] | undefined {
    const photos = this.photos.get(index);
    const unit = this.units[index];
    if (!photos || !unit) return undefined;
    return Array.from({ length: unit.count }, (_, at) => shapeOf(photos[at]?.width ?? null, photos[at]?.height ?? null));
  }

  private take(known: ReadonlyMap<string, Photo[]>): void {
    let left = known.size;
    for (let index = 0; left > 0 && index < this.units.length; index += 1) {
      const unit = this.units[index];
      const photos = unit?.page === 1 ? known.get(unit.section.key) : undefined;
      if (!photos) continue;
      left -= 1;
      if (photos.length === unit?.count) this.photos.set(index, photos);
    }
  }

  private takeOver(former: GridModel, isStale: (photo: Photo) => boolean): void {
    const places = new Map(former.units.map((unit, index) => [`${unit.section.key} ${unit.page} ${unit.section.count}`, index]));
    this.units.forEach((unit, index) => {
      const before = places.get(`${unit.section.key} ${unit.page} ${unit.section.count}`);
      const photos = before === undefined ? undefined : former.photos.get(before);
      if (photos && !photos.some(isStale)) this.photos.set(index, photos);
    });
  }
}

export { UNIT_SIZE };
