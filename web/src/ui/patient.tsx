// Parts of the page that are loaded when they are first wanted: waits for a host that does not answer just then.
import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";

import { session } from "../api/client";
import { texts } from "../i18n";

const PAUSE_MS = 2_000;

const Loading = () => <p class="loading">{texts.value.loading}</p>;
/** For a part whose place stays empty until it is there. */
export const Nothing = (): null => null;

/** A part that is loaded when it is first shown; `Waiting` stands there until then. */
export function patient<P extends object>(
  load: () => Promise<{ default: ComponentType<P> }>,
  Waiting: ComponentType = Loading,
): ComponentType<P> {
  let coming: Promise<void> | undefined;
  let Part: ComponentType<P> | undefined;
  return function Patient(properties: P) {
    const [, setThere] = useState(Part !== undefined);
    coming ??= loaded(load).then((found) => void (Part = found.default));
    useEffect(() => void coming?.then(() => setThere(true)), []);
    return Part ? <Part {...properties} /> : <Waiting />;
  };
}

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
