-- Where a device's mini-server listens. `address` is an IP address or a name, as the device (or an admin) gave it.
-- `is_local` is 1 where it was registered by a program on this host, which alone may have a loopback address.
-- `is_foreign` is 1 for a mini-server that an admin added: it has no token and may be asked for one song at a time.
CREATE TABLE device_agent (
    device_id INTEGER PRIMARY KEY REFERENCES device (id) ON DELETE CASCADE,
    address TEXT NOT NULL,
    port INTEGER NOT NULL CHECK (port BETWEEN 1 AND 65535),
    is_local INTEGER NOT NULL DEFAULT 0,
    is_foreign INTEGER NOT NULL DEFAULT 0,
    registered_us INTEGER NOT NULL
) STRICT;

-- How the last sync of a device went: `code` and `message` are PiSync's (200 and NULL after a success). A failure keeps
-- `synced_us`, when the last success ended. Times in microseconds since the epoch.
CREATE TABLE device_sync (
    device_id INTEGER PRIMARY KEY REFERENCES device (id) ON DELETE CASCADE,
    synced_us INTEGER,
    attempted_us INTEGER NOT NULL,
    code INTEGER NOT NULL,
    message TEXT
) STRICT;

-- The syncs that failed, the newest of each device; older ones are dropped.
CREATE TABLE device_sync_failure (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    device_id INTEGER NOT NULL REFERENCES device (id) ON DELETE CASCADE,
    at_us INTEGER NOT NULL,
    code INTEGER NOT NULL,
    message TEXT NOT NULL
) STRICT;

CREATE INDEX device_sync_failure_device ON device_sync_failure (device_id, id);

-- What a device says it has: `path` as the device writes it, `size_bytes`, `mtime_ns` and `sha256` as far as it says.
-- `got_...` are the facts of what was transferred, NULL until then: `got_claim` is what the device said of the file at
-- that time (size, modification time), `root_id` and `stored_path` where it is kept. `refused` has the reason why the
-- content with `refused_claim` is not wanted. `listed` is the number of the listing that had it last.
CREATE TABLE device_song (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    uuid TEXT NOT NULL UNIQUE,
    device_id INTEGER NOT NULL REFERENCES device (id) ON DELETE CASCADE,
    path TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    mtime_ns INTEGER,
    sha256 BLOB CHECK (sha256 IS NULL OR length(sha256) = 32),
    title TEXT,
    artist TEXT,
    added_us INTEGER NOT NULL,
    listed INTEGER NOT NULL DEFAULT 0,
    got_sha256 BLOB CHECK (got_sha256 IS NULL OR length(got_sha256) = 32),
    got_claim TEXT,
    got_us INTEGER,
    asset_uuid TEXT,
    root_id INTEGER,
    stored_path BLOB,
    refused TEXT,
    refused_claim TEXT,
    UNIQUE (device_id, path)
) STRICT;

CREATE INDEX device_song_content ON device_song (device_id, got_sha256) WHERE got_sha256 IS NOT NULL;
