-- What uploads have stored, one row a file; `verify` reads the files again against these. `path` is relative to the root,
-- raw bytes. `owner` is the UUID of the device or account that sent it (quotas count by it). `name` is what its sender
-- called it, before it was made safe and unlike all others. Times in microseconds.
CREATE TABLE upload (
    id INTEGER PRIMARY KEY,
    root_id INTEGER NOT NULL REFERENCES library_root (id) ON DELETE CASCADE,
    path BLOB NOT NULL,
    sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
    size_bytes INTEGER NOT NULL CHECK (size_bytes > 0),
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    stored_us INTEGER NOT NULL,
    UNIQUE (root_id, path)
) STRICT;

CREATE INDEX upload_sha256 ON upload (sha256);
CREATE INDEX upload_owner ON upload (owner, size_bytes);

-- Resumable uploads (tus). `offset_bytes` is what is certainly on the disk, `size_bytes` the whole. A finished session is
-- kept until it expires, so that who missed the last answer gets it again: `asset_id` is the photo's UUID then.
CREATE TABLE upload_session (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    metadata TEXT NOT NULL,
    size_bytes INTEGER NOT NULL CHECK (size_bytes > 0),
    offset_bytes INTEGER NOT NULL DEFAULT 0 CHECK (offset_bytes BETWEEN 0 AND size_bytes),
    created_us INTEGER NOT NULL,
    last_byte_us INTEGER NOT NULL,
    finished_us INTEGER,
    asset_id TEXT,
    is_duplicate INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX upload_session_owner ON upload_session (owner) WHERE finished_us IS NULL;
CREATE INDEX upload_session_age ON upload_session (last_byte_us);
