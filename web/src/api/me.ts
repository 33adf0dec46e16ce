// Who this browser is to the host; asked once by the first view that wants to know.
import { signal } from "@preact/signals";

import { get } from "./client";

export interface Me {
  kind: "device" | "account" | "script";
  role: "admin" | "member";
  name: string | null;
  username: string | null;
  device_id: string | null;
  library: "all" | "some" | "none";
  host_id: string;
  host_name: string;
}

/** Who we are; undefined until the host has said it. */
export const me = signal<Me | undefined>(undefined);

/** Ask who we are. */
export async function learnMe(): Promise<Me> {
  me.value ??= await get<Me>("/api/v1/auth/me");
  return me.value;
}
