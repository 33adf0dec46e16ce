// Sends files by tus, three at a time; waits out lost connections and goes on where it stopped, after a reload too.
import { batch, signal } from "@preact/signals";
import { DetailedError, Upload, defaultOptions, type PreviousUpload } from "tus-js-client";

import { session } from "../api/client";
import { liveState } from "../api/live";
import { stay } from "../api/ways";
import { isBusy, items, type Item, type Progress } from "./state";

const AT_ONCE = 3;
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;
/** The host keeps what has arrived of a file for so long after its last byte (docs/uploads.md). */
const KEPT_MS = 7 * 86_400_000;
/** Answers after which the same request may be good: a piece is locked or misplaced, too many, the host is busy. */
const PASSING = new Set([409, 423, 429, 500, 502, 503, 504]);
const MOST_TRIES = 8;

const running = new Map<number, Upload>();
const waking = new Set<() => void>();
let next = 1;

/** Put files at the end of the queue, and work on it. */
export function add(files: readonly File[]): void {
  const made = files.map((file): Item => {
    const item = { id: next, file, progress: signal<Progress>({ state: "waiting", sentBytes: 0 }) };
    next += 1;
    return item;
  });
  items.value = [...items.value, ...made];
  work();
}

/** Send a refused file once more. */
export function again(item: Item): void {
  item.progress.value = { state: "waiting", sentBytes: 0 };
  work();
}

/** Take a file off the list; what has arrived of it is thrown away. */
export function drop(item: Item): void {
  const upload = running.get(item.id);
  running.delete(item.id);
  items.value = items.value.filter((each) => each !== item);
  void upload?.abort(true).catch(() => undefined);
  work();
}

/** Take what is over off the list. */
export function clear(): void {
  items.value = items.value.filter(({ progress }) => ["waiting", "sending", "paused"].includes(progress.peek().state));
}

function work(): void {
  for (const item of items.value) {
    if (running.size >= AT_ONCE) break;
    if (item.progress.peek().state === "waiting" && !running.has(item.id)) void send(item);
  }
}

function note(item: Item, change: Partial<Progress>): void {
  if (running.has(item.id)) item.progress.value = { ...item.progress.peek(), ...change };
}

async function send(item: Item): Promise<void> {
  let tries = 0;
  const upload = new Upload(item.file, {
    endpoint: `${location.origin}/api/v1/uploads`,
    metadata: { filename: item.file.name, filetype: item.file.type },
    retryDelays: null,
    removeFingerprintOnSuccess: true,
    onProgress: (sentBytes) => {
      tries = 0;
      note(item, { state: "sending", sentBytes });
    },
    onSuccess: ({ lastResponse }) => {
      const photoId = lastResponse.getHeader("Pixlsrve-Photo-Id");
      const isKnown = lastResponse.getHeader("Pixlsrve-Duplicate") === "true";
      finish(item, { state: isKnown ? "known" : "done", sentBytes: item.file.size, ...(photoId ? { photoId } : {}) });
    },
    onError: (error) => {
      tries += 1;
      void failed(item, upload, error, tries);
    },
  });
  running.set(item.id, upload);
  note(item, { state: "sending" });
  const earlier = newest(await upload.findPreviousUploads());
  if (earlier) upload.resumeFromPreviousUpload(earlier);
  if (running.has(item.id)) upload.start();
}

const newest = (uploads: readonly PreviousUpload[]): PreviousUpload | undefined =>
  uploads.toSorted((one, other) => Date.parse(other.creationTime) - Date.parse(one.creationTime))[0];

/** Wait where it may still work, else say why it doesn't. */
async function failed(item: Item, upload: Upload, error: Error, tries: number): Promise<void> {
  const response = error instanceof DetailedError ? error.originalResponse : null;
  const status = response?.getStatus() ?? 0;
  if (!running.has(item.id)) return;
  if (status === 0 && !(await isReadable(item.file))) return refuse(item, upload, "unreadable");
  const said = response ? problemOf(response.getBody()) : { code: "", reason: "" };
  if (status === 401) {
    session.ended(said.code === "DEVICE_REVOKED");
    return refuse(item, upload, "signed_out");
  }
  if (status !== 0 && (!PASSING.has(status) || tries > MOST_TRIES)) return refuse(item, upload, said.reason);
  note(item, { state: status === 0 ? "paused" : "waiting" });
  const asked = Number(response?.getHeader("Retry-After") ?? 0) * 1_000;
  await pause(Math.max(asked, Math.min(FIRST_PAUSE_MS * 2 ** (tries - 1), LONGEST_PAUSE_MS)), status === 0);
  if (running.has(item.id)) upload.start();
}

/** Forget where a refused file stood: the host has ended that upload, or will. */
async function refuse(item: Item, upload: Upload, reason: string): Promise<void> {
  const keys = (await upload.findPreviousUploads()).map((each) => each.urlStorageKey);
  if (reason !== "signed_out") await Promise.all(keys.map((key) => storage.removeUpload(key)));
  finish(item, { state: "refused", sentBytes: 0, reason });
}

function finish(item: Item, progress: Progress): void {
  batch(() => {
    note(item, progress);
    running.delete(item.id);
  });
  work();
}

/** Browsers do not say whether the way or the file is gone. */
const isReadable = (file: File): Promise<boolean> =>
  file.slice(0, 1).arrayBuffer().then(
    () => true,
    () => false,
  );

function problemOf(body: string): { code: string; reason: string } {
  try {
    const { error } = JSON.parse(body) as { error?: { code?: string; details?: { reason?: string } } };
    return { code: error?.code ?? "", reason: error?.details?.reason ?? "" };
  } catch {
    return { code: "", reason: "" };
  }
}

/** So long; or, where the way was lost, until the browser or the live connection finds it again. */
function pause(ms: number, endsEarly: boolean): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      waking.delete(end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    if (endsEarly) waking.add(end);
  });
}

function wake(): void {
  for (const end of [...waking]) end();
}

addEventListener("online", wake);
liveState.subscribe((state) => state === "open" && wake());
addEventListener("beforeunload", (event) => {
  if (isBusy.peek()) event.preventDefault();
});
stay.isNeeded = () => isBusy.peek();

const storage = defaultOptions.urlStorage;

/** The files of earlier visits that have arrived in part and could go on. */
export async function unfinished(): Promise<PreviousUpload[]> {
  const names = new Set(items.peek().map(({ file }) => file.name));
  const found = await storage.findAllUploads();
  return found.filter(
    (each) => Date.now() - Date.parse(each.creationTime) < KEPT_MS && !names.has(each.metadata["filename"] ?? ""),
  );
}

/** Give up the files of earlier visits. */
export async function forgetUnfinished(): Promise<void> {
  for (const { urlStorageKey, uploadUrl } of await unfinished()) {
    await storage.removeUpload(urlStorageKey);
    if (uploadUrl) await Upload.terminate(uploadUrl).catch(() => undefined);
  }
}
