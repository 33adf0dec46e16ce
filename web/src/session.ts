// Whether this browser may see anything, and what happens when that ends.
import { signal } from "@preact/signals";

import { post, session } from "./api/client";
import { me } from "./api/me";
import { learnWays, leaveByAnother } from "./api/ways";
import { connect, disconnect, onHappening } from "./api/live";

export type SessionState = "in" | "out" | "revoked";
/** `in` until the host says otherwise: the first answer decides, and nothing is asked only to find out. */
export const sessionState = signal<SessionState>("in");

function leave(state: SessionState): void {
  if (sessionState.value !== "in") return;
  sessionState.value = state;
  session.good = () => undefined;
  session.silent = () => undefined;
  me.value = undefined;
  disconnect();
  // What the browser keeps of the photos goes with the session; a page brought back from its cache starts anew.
  if ("caches" in window) void caches.keys().then((names) => Promise.all(names.map((name) => caches.delete(name))));
}

export function startSession(): void {
  session.good = () => {
    connect(); // not before, because browsers write down each handshake that is refused
    learnWays();
  };
  session.silent = () => void leaveByAnother().catch(() => undefined);
  session.ended = (isRevoked) => leave(isRevoked ? "revoked" : "out");
  onHappening((happening) => {
    if (happening.type === "device.revoked") void post("/api/v1/ws/ticket").catch(() => undefined); // 401 if it was us
  });
  addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload();
  });
}

export async function signOut(): Promise<void> {
  await post("/api/v1/auth/logout").catch(() => undefined);
  leave("out");
}
