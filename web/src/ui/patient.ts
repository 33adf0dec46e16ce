// Parts of the page that are loaded when they are first wanted: waits for a host that does not answer just then.
import type { ComponentType } from "preact";
import { lazy } from "preact/compat";

import { session } from "../api/client";

const PAUSE_MS = 2_000;

/** A view that is loaded when it is first shown. */
export const patient = (load: () => Promise<{ default: ComponentType }>): ComponentType => lazy(() => loaded(load));

async function loaded<T>(load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch {
    session.silent();
  }
  while (!(await isThere())) await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  try {
    return await load();
  } catch {
    location.reload(); // the host has another version of the page by now, or the browser does not ask twice
    return new Promise(() => undefined);
  }
}

const isThere = (): Promise<boolean> =>
  fetch("/healthz", { cache: "no-store" }).then(
    () => true,
    () => false,
  );
