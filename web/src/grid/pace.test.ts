// A fling is fast until it has nearly ended; a step and a slow scroll never are.
import { expect, test } from "vitest";

import { Pace } from "./pace";

const SCREEN = 800;

function paces(steps: readonly [by: number, at: number][]): boolean[] {
  const pace = new Pace();
  return steps.map(([by, at]) => {
    pace.moved(by, at, SCREEN);
    return pace.isFast;
  });
}

test("a fling is fast until it is slower than a screen a second", () => {
  expect(paces([[10, 1_000], [90, 1_016], [-90, 1_032], [30, 1_048], [5, 1_064]])).toEqual([false, true, true, true, false]);
});

test("a long frame does not end a fling", () => {
  expect(paces([[10, 1_000], [90, 1_016], [90, 1_116]])).toEqual([false, true, true]);
});

test("a slow scroll and a single step are not fast", () => {
  expect(paces([[400, 1_000], [20, 1_016], [-20, 1_032]])).toEqual([false, false, false]);
});

test("rest ends it", () => {
  const pace = new Pace();
  pace.moved(90, 16, SCREEN);
  pace.rest();
  expect(pace.isFast).toBe(false);
});
