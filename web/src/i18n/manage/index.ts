// The texts of the pages about running the host, apart from the others so that photos are seen before these are loaded.
import { signal } from "@preact/signals";

import { languageTag } from "../index";
import { en } from "./en";

export type ManageCatalogue = typeof en;

/** The catalogue in use. */
export const words = signal<ManageCatalogue>(en);

/** Load the catalogue of the language that the page has chosen. */
export async function chooseWords(): Promise<void> {
  if (languageTag().toLowerCase().startsWith("de")) words.value = (await import("./de")).de;
}
