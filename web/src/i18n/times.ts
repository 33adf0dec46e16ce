// Moments and spans of time as the reader's language writes them, in the reader's own zone.
import { languageTag } from "./index";

const MINUTE_S = 60;
const HOUR_S = 3_600;
const DAY_S = 86_400;
const STEPS: [number, Intl.RelativeTimeFormatUnit][] = [
  [365 * DAY_S, "year"],
  [30 * DAY_S, "month"],
  [DAY_S, "day"],
  [HOUR_S, "hour"],
  [MINUTE_S, "minute"],
];

/** How long ago, or until when, an RFC 3339 moment is: `3 days ago`. */
export function agoText(moment: string, now = Date.now()): string {
  const seconds = (Date.parse(moment) - now) / 1000;
  const relative = new Intl.RelativeTimeFormat(languageTag(), { numeric: "auto" });
  for (const [size, unit] of STEPS) {
    if (Math.abs(seconds) >= size) return relative.format(Math.trunc(seconds / size), unit);
  }
  return relative.format(0, "second");
}

/** An RFC 3339 moment as date and time here. */
export const clockText = (moment: string): string =>
  new Intl.DateTimeFormat(languageTag(), { dateStyle: "medium", timeStyle: "short" }).format(new Date(moment));

/** A span of seconds, roughly, in its largest unit: `4 minutes`. */
export function spanText(seconds: number): string {
  const [size, unit] = STEPS.find(([each]) => seconds >= each) ?? [1, "second"];
  const format = new Intl.NumberFormat(languageTag(), { style: "unit", unit, unitDisplay: "long" });
  return format.format(Math.max(1, Math.round(seconds / size)));
}
