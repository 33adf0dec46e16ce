// What the host answers about itself, its devices and its people (docs/api.md, For administrators).

export interface Tunnel {
  address: string;
  state: "allowed" | "revoked";
  is_connected: boolean;
  last_handshake: string | null;
  is_outdated: boolean;
}

export interface Device {
  device_id: string;
  device_name: string;
  device_type: string;
  role: "admin" | "member";
  username: string | null;
  is_current: boolean;
  paired_at: string;
  last_seen_at: string | null;
  tunnel: Tunnel | null;
  last_sync: { synced_at: string | null; attempted_at: string; code: number; message: string | null } | null;
}

export interface Devices {
  devices: Device[];
}

export interface User {
  user_id: string;
  username: string;
  role: "admin" | "member";
  library: "all" | "some" | "none";
  roots: string[];
  devices: number;
  last_login_at: string | null;
}

export interface Users {
  users: User[];
  can_invite: boolean;
}

export interface Disk {
  folders: string[];
  holds: string[];
  total_bytes: number;
  free_bytes: number;
  is_low: boolean;
}

export interface Status {
  photo_roots: { path: string; name: string; state: "online" | "offline"; total_photos: number; size_bytes: number; last_scan: string | null }[];
  indexing_status: {
    in_progress: boolean;
    photos_indexed: number;
    stage: string;
    done: number;
    total: number;
    eta_seconds: number | null;
    quarantined: number;
  };
  wireguard_status: { enabled: boolean; connected_peers: number; reason: string | null };
  disks: Disk[] | null;
}

export interface Finding {
  check: string;
  severity: "error" | "warning";
  message: string;
  remedy: string;
}

export interface Health {
  findings: Finding[];
  reachability: { answer: string; message: string; remedy: string } | null;
  failures: { kind: string; at: string; device_name: string; message: string }[];
  growth: { days: number; bytes: number };
}
