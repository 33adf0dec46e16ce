// What is being sent to the host: the list that views show. The sending itself is loaded with the first file.
import { computed, signal, type Signal } from "@preact/signals";

export type UploadState = "waiting" | "sending" | "paused" | "done" | "known" | "refused";

export interface Progress {
  state: UploadState;
  sentBytes: number;
  /** Why it was refused: a stable word. */
  reason?: string;
  photoId?: string;
}

export interface Item {
  readonly id: number;
  readonly file: File;
  readonly progress: Signal<Progress>;
}

/** Every file of this visit, in the order in which they were chosen. */
export const items = signal<readonly Item[]>([]);

const isOver = ({ state }: Progress): boolean => state === "done" || state === "known" || state === "refused";

/** How far all of them are, together. */
export const overall = computed(() => {
  const sum = { files: items.value.length, over: 0, refused: 0, sentBytes: 0, totalBytes: 0 };
  for (const item of items.value) {
    const now = item.progress.value;
    if (isOver(now)) sum.over += 1;
    if (now.state === "refused") sum.refused += 1;
    sum.totalBytes += item.file.size;
    sum.sentBytes += isOver(now) ? item.file.size : now.sentBytes;
  }
  return sum;
});

/** Whether something is on its way. */
export const isBusy = computed(() => overall.value.over < overall.value.files);

/** Send files to the host. */
export async function sendFiles(files: readonly File[]): Promise<void> {
  if (files.length > 0) (await import("./queue")).add(files);
}
