// The host's settings: what it answers about them, sending other values, and waiting until they are in force.
import { ApiError, get, patch } from "../api/client";
import { stay } from "../api/ways";

export interface Control {
  kind: "switch" | "number" | "text" | "list" | "choice" | "rate";
  choices?: string[];
  minimum?: number;
  maximum?: number;
}

export interface Setting {
  key: string;
  value: unknown;
  default: unknown;
  source: "default" | "file" | "page" | "environment" | "options";
  control: Control | null;
}

export interface Settings {
  settings: Setting[];
  reloading: boolean;
  needs_restart: string[];
  trouble: string;
}

export type Changes = Record<string, unknown>;

const PATH = "/api/v1/host/settings";
const PAUSE_MS = 1_000;
const TRIES = 60;

export const askSettings = (): Promise<Settings> => get<Settings>(PATH);

export const changeSettings = (changes: Changes): Promise<Settings> => patch<Settings>(PATH, { changes });

export const isSame = (one: unknown, other: unknown): boolean => JSON.stringify(one) === JSON.stringify(other);

/** What can be changed here and now: neither the host's own nor said by what wins over the page. */
export const isOpen = (setting: Setting): boolean =>
  setting.control !== null && setting.source !== "environment" && setting.source !== "options";

/** The settings, as soon as the host has begun anew with them; what still waits then waits for a restart. */
export async function settled(): Promise<Settings> {
  const before = stay.isNeeded;
  const waits = (): boolean => true; // the host is away because we asked for it: no reason to look for another way
  stay.isNeeded = waits;
  try {
    let last: Settings | undefined;
    for (let tries = 0; tries < TRIES; tries += 1) {
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      last = await askSettings().catch((error: unknown) => {
        if (error instanceof ApiError && error.status > 0 && error.status < 500) throw error;
        return last;
      });
      if (last?.needs_restart.length === 0) return last;
    }
    if (last) return last;
    throw new ApiError(0, "UNREACHABLE", "");
  } finally {
    if (stay.isNeeded === waits) stay.isNeeded = before;
  }
}
