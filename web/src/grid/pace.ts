// How fast a list is scrolled. Pure; lengths in CSS pixels, times in milliseconds.

/** Screens a second at which nobody recognises a picture, and at which one does again. */
const FAST = 4;
const SLOW = 1;

export class Pace {
  isFast = false;
  private last = 0;

  /** The list has moved by so much at this time. */
  moved(by: number, at: number, screen: number): void {
    const screens = (Math.abs(by) / Math.max(screen, 1) / Math.max(at - this.last, 1)) * 1_000;
    this.last = at;
    this.isFast = screens > (this.isFast ? SLOW : FAST);
  }

  rest(): void {
    this.isFast = false;
  }
}
