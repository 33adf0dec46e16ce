// Scrolling through a list that is higher than browsers let an element be. Pure; lengths in CSS pixels.

/** Firefox draws nothing below 17.8 million pixels, Chromium below 33.5 million. */
export const HIGHEST = 8_000_000;

/**
 * Maps what the browser scrolls (`outer`) to the list's own height (`inner`). Small steps move both alike; a step of
 * more than a few screens, or one into an end, is taken as "so much of the whole".
 */
export class ScrollMap {
  private offset = 0;
  private last = 0;

  constructor(
    private inner: number,
    private readonly view: () => number,
  ) {}

  /** The height that the scrolled element is given. */
  get outerHeight(): number {
    return Math.min(this.inner, HIGHEST);
  }

  /** The list has become so much higher; nothing that is seen moves. */
  resize(inner: number): void {
    this.inner = inner;
  }

  /** Where in the list the browser's position is. */
  scrolled(outer: number): number {
    if (this.inner <= HIGHEST) {
      this.offset = 0;
    } else if (Math.abs(outer - this.last) > 4 * this.view() || outer <= 0 || outer >= this.outerEnd) {
      this.offset = (outer / this.outerEnd) * this.innerEnd - outer;
    }
    this.last = outer;
    return this.clamp(outer + this.offset);
  }

  /** The browser's position for a place in the list. */
  seek(inner: number): number {
    const wanted = this.clamp(inner);
    const outer = this.inner <= HIGHEST ? wanted : (wanted / this.innerEnd) * this.outerEnd;
    this.offset = wanted - outer;
    this.last = outer;
    return outer;
  }

  /** How far below its place in the list something is drawn. */
  get shift(): number {
    return -this.offset;
  }

  private get outerEnd(): number {
    return Math.max(this.outerHeight - this.view(), 1);
  }

  private get innerEnd(): number {
    return Math.max(this.inner - this.view(), 1);
  }

  private clamp(inner: number): number {
    return Math.min(Math.max(inner, 0), this.innerEnd);
  }
}
