-- Facts about this installation: identity of the host, the secret that ids are derived from, the next event number.
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- A library root by its lasting uid; `path` is where it was last configured (bytes as the file system has them).
CREATE TABLE library_root (
    id INTEGER PRIMARY KEY,
    uid BLOB NOT NULL UNIQUE,
    path BLOB NOT NULL UNIQUE,
    name TEXT NOT NULL,
    is_uploads INTEGER NOT NULL DEFAULT 0,
    is_configured INTEGER NOT NULL DEFAULT 1,
    added_us INTEGER NOT NULL
) STRICT;

-- Public ids that differ from the one derived from root and path: moved files, and files at a place that a moved one left.
-- Kept here so that a rebuilt index gives every photo its old id. `path` is relative to the root.
CREATE TABLE asset_identity (
    root_id INTEGER NOT NULL REFERENCES library_root (id) ON DELETE CASCADE,
    path BLOB NOT NULL,
    uuid BLOB NOT NULL,
    PRIMARY KEY (root_id, path)
) STRICT, WITHOUT ROWID;

-- The same for folders (albums).
CREATE TABLE album_identity (
    root_id INTEGER NOT NULL REFERENCES library_root (id) ON DELETE CASCADE,
    path BLOB NOT NULL,
    uuid BLOB NOT NULL,
    PRIMARY KEY (root_id, path)
) STRICT, WITHOUT ROWID;

-- Bearer tokens minted with `pixlsrve token`; the token itself is never stored. Times in microseconds since the epoch.
CREATE TABLE script_token (
    jti TEXT PRIMARY KEY,
    role TEXT NOT NULL CHECK (role IN ('admin', 'member')),
    created_us INTEGER NOT NULL,
    expires_us INTEGER NOT NULL,
    revoked_us INTEGER
) STRICT, WITHOUT ROWID;
