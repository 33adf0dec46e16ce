// The texts in the reader's language, and numbers, dates and sizes as that language writes them.
import { signal } from "@preact/signals";

import { en } from "./en";

export type Catalogue = typeof en;
export interface Plural {
  one: string;
  other: string;
}

const LOADERS: Record<string, () => Promise<Catalogue>> = {
  de: async () => (await import("./de")).de,
};

/** The catalogue in use; read it while drawing, so that a change is drawn. */
export const texts = signal<Catalogue>(en);
let language = "en";

/** The language that the page speaks, as a BCP 47 tag. */
export const languageTag = (): string => language;

/** Load the first of the browser's languages that there is a catalogue for; English otherwise. */
export async function chooseLanguage(wanted: readonly string[] = navigator.languages): Promise<void> {
  for (const tag of wanted) {
    const base = tag.toLowerCase().split("-")[0] ?? "";
    const load = LOADERS[base];
    if (base !== "en" && !load) continue;
    if (load) texts.value = await load();
    language = tag;
    break;
  }
  document.documentElement.lang = language;
}

/** How many, in words: `{n}` stands for the number. */
export function count(n: number, plural: Plural): string {
  const form = kept("plural", () => new Intl.PluralRules(language)).select(n) === "one" ? plural.one : plural.other;
  return form.replace("{n}", numberText(n));
}

const made = new Map<string, unknown>();

/** A formatter of the language in use: making one takes longer than using it a hundred times. */
function kept<T>(name: string, make: () => T): T {
  const key = `${language} ${name}`;
  const known = made.get(key) as T | undefined;
  if (known !== undefined) return known;
  const fresh = make();
  made.set(key, fresh);
  return fresh;
}

// Days and wall clocks have no zone here: they are those of where a photo was taken, and are drawn as they stand.
function format(when: Date, name: string, options: Intl.DateTimeFormatOptions): string {
  return kept(name, () => new Intl.DateTimeFormat(language, { ...options, timeZone: "UTC" })).format(when);
}

const asUtc = (text: string): Date => new Date(text.includes("T") ? `${text.replace("Z", "")}Z` : `${text}T00:00:00Z`);

/** `2023-07-15` with its weekday, the year only where it is not this one. */
export function dayText(day: string): string {
  const when = asUtc(day);
  const isThisYear = when.getUTCFullYear() === new Date().getFullYear();
  if (isThisYear) return format(when, "day", { weekday: "short", day: "numeric", month: "long" });
  return format(when, "full day", { weekday: "short", day: "numeric", month: "long", year: "numeric" });
}

/** `2023-07` in words. */
export const monthText = (month: string): string => format(asUtc(`${month}-01`), "month", { month: "long", year: "numeric" });

/** A local wall clock such as `2023-07-15T10:30:00` in words. */
export const momentText = (local: string): string =>
  format(asUtc(local), "moment", { dateStyle: "medium", timeStyle: "short" });

const UNITS = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"];

/** A number of bytes with a unit that fits. */
export function sizeText(bytes: number): string {
  const power = Math.min(Math.floor(Math.log10(Math.max(bytes, 1)) / 3), UNITS.length - 1);
  const unit = UNITS[power] ?? "byte";
  const value = bytes / 1000 ** power;
  const digits = value < 10 && power > 0 ? 1 : 0;
  return new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay: "short", maximumFractionDigits: digits }).format(value);
}

/** Seconds as `1:02:03` or `2:03`. */
export function durationText(seconds: number): string {
  const whole = Math.round(seconds);
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const shown = parts[0] === 0 ? parts.slice(1) : parts;
  return shown.map((part, index) => (index === 0 ? String(part) : String(part).padStart(2, "0"))).join(":");
}

export const numberText = (value: number): string => kept("number", () => new Intl.NumberFormat(language)).format(value);
