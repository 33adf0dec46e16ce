// Other ways to the host: learnt while it answers, taken when it stops. The pages outside the gallery share the script.
import { signal } from "@preact/signals";

import { get } from "./client";

interface Host {
  host_id: string;
  addresses: unknown[];
}

interface Ways {
  look(tell: (isLost: boolean) => void): Promise<void>;
  watch(tell: (isLost: boolean) => void): void;
  remember(host: Host): void;
  takeExpected(): string | null;
  others(): string[];
  elsewhere(origin: string): string;
}

const SCRIPT = "/static/ways.js";
const LEARN_AFTER_MS = 2_000;
const load = (): Promise<Ways> => import(/* @vite-ignore */ SCRIPT) as Promise<Ways>;

/** Where else this page may be had, to be tried by hand while no way answers. */
export const otherWays = signal<{ url: string; host: string }[]>([]);
/** Says whether leaving this page would lose something, so that it stays and waits instead. */
export const stay = { isNeeded: (): boolean => false };

/** Whether the page that sent us here meant this very host; no script sends anything before that is known. */
export async function isExpected(): Promise<boolean> {
  if (!/[#&]h=/.test(location.hash)) return true;
  const wanted = (await load()).takeExpected();
  if (wanted === null) return true;
  const answer = await fetch("/api/v1/discovery/info", { credentials: "omit", cache: "no-store" }).catch(() => null);
  if (answer?.status === 401) return true; // it tells its name to its own network only
  const host = answer?.ok ? ((await answer.json()) as Host) : null;
  return host?.host_id === wanted;
}

let isLearning = false;

/** Learn the ways from the host, once, when the first photos have had their turn. */
export function learnWays(): void {
  if (isLearning) return;
  isLearning = true;
  setTimeout(() => void learn().catch(() => undefined), LEARN_AFTER_MS);
}

async function learn(): Promise<void> {
  const [ways, host] = [await load(), await get<Host>("/api/v1/discovery/info")];
  ways.remember(host);
  ways.watch((isLost) => tell(ways, isLost));
}

/** The host does not answer: go on by a way that does, unless that would lose something. */
export async function leaveByAnother(): Promise<void> {
  if (stay.isNeeded()) return;
  const ways = await load();
  await ways.look((isLost) => tell(ways, isLost));
}

function tell(ways: Ways, isLost: boolean): void {
  const origins = isLost ? ways.others() : [];
  otherWays.value = origins.map((origin) => ({ url: ways.elsewhere(origin), host: new URL(origin).host }));
}
