// The events of /api/v1/ws: kept open, healed after a loss with what was missed meanwhile, handed to who listens.
import { signal } from "@preact/signals";

import { get } from "./client";
import type { Happening } from "./types";

export type LiveState = "connecting" | "open" | "lost";
/** How the connection is just now. */
export const liveState = signal<LiveState>("connecting");

type Listener = (happening: Happening) => void;
const listeners = new Set<Listener>();
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;

let socket: WebSocket | null = null;
let last = 0;
let pause = FIRST_PAUSE_MS;
let isWanted = false;
let wasOpen = false;
let timer: ReturnType<typeof setTimeout> | undefined;

/** Have `listener` called with every event; the answer ends that. */
export function onHappening(listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Connect, and stay so until `disconnect`. */
export function connect(): void {
  if (isWanted) return;
  isWanted = true;
  open();
  addEventListener("online", hurry);
  document.addEventListener("visibilitychange", hurry);
}

export function disconnect(): void {
  isWanted = false;
  clearTimeout(timer);
  socket?.close();
  removeEventListener("online", hurry);
  document.removeEventListener("visibilitychange", hurry);
}

function tell(happening: Happening): void {
  for (const listener of listeners) listener(happening);
}

function hurry(): void {
  if (socket !== null || document.visibilityState !== "visible") return;
  clearTimeout(timer);
  pause = FIRST_PAUSE_MS;
  open();
}

function open(): void {
  if (!isWanted || socket !== null) return;
  const since = last > 0 ? `?since=${last}` : "";
  const ours = new WebSocket(`${location.origin.replace(/^http/, "ws")}/api/v1/ws${since}`);
  socket = ours;
  ours.onopen = () => {
    liveState.value = "open";
    // Nothing had come before the loss, so that the host can't know what was missed.
    if (wasOpen && last === 0) tell({ seq: 0, type: "resync", at: "", data: {} });
    wasOpen = true;
    pause = FIRST_PAUSE_MS;
  };
  ours.onmessage = (message) => {
    const happening = JSON.parse(String(message.data)) as Happening;
    last = Math.max(last, happening.seq);
    tell(happening);
  };
  ours.onclose = () => {
    socket = null;
    if (!isWanted) return;
    liveState.value = "lost";
    // A handshake does not say why it was refused; a plain request does, and ends the session where that is over.
    void get("/api/v1/devices").catch(() => undefined);
    timer = setTimeout(open, pause * (0.75 + Math.random() / 2));
    pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
  };
}
