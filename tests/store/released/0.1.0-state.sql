BEGIN TRANSACTION;
CREATE TABLE account (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    uuid TEXT NOT NULL UNIQUE,
    username TEXT NOT NULL,
    username_key TEXT NOT NULL,
    password TEXT,
    role TEXT NOT NULL CHECK (role IN ('admin', 'member')),
    library TEXT NOT NULL CHECK (library IN ('all', 'some', 'none')),
    generation INTEGER NOT NULL DEFAULT 0,
    created_us INTEGER NOT NULL,
    last_login_us INTEGER,
    removed_us INTEGER
) STRICT;
INSERT INTO "account" VALUES(1,'uuid 1','username 1','username_key 1','password 1','admin','all',1,1,1,NULL);
INSERT INTO "account" VALUES(2,'uuid 2','username 2','username_key 2','password 2','admin','all',2,2,2,NULL);
CREATE TABLE account_root (
    account_id INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    root_id INTEGER NOT NULL REFERENCES library_root (id) ON DELETE CASCADE,
    PRIMARY KEY (account_id, root_id)
) STRICT, WITHOUT ROWID;
INSERT INTO "account_root" VALUES(1,1);
INSERT INTO "account_root" VALUES(2,2);
CREATE TABLE album_identity (
    root_id INTEGER NOT NULL REFERENCES library_root (id) ON DELETE CASCADE,
    path BLOB NOT NULL,
    uuid BLOB NOT NULL,
    PRIMARY KEY (root_id, path)
) STRICT, WITHOUT ROWID;
INSERT INTO "album_identity" VALUES(1,X'706174682031',X'757569642031');
INSERT INTO "album_identity" VALUES(2,X'706174682032',X'757569642032');
CREATE TABLE asset_identity (
    root_id INTEGER NOT NULL REFERENCES library_root (id) ON DELETE CASCADE,
    path BLOB NOT NULL,
    uuid BLOB NOT NULL,
    PRIMARY KEY (root_id, path)
) STRICT, WITHOUT ROWID;
INSERT INTO "asset_identity" VALUES(1,X'706174682031',X'757569642031');
INSERT INTO "asset_identity" VALUES(2,X'706174682032',X'757569642032');
CREATE TABLE browser_session (
    digest BLOB PRIMARY KEY CHECK (length(digest) = 32),
    device_id INTEGER REFERENCES device (id) ON DELETE CASCADE,
    account_id INTEGER REFERENCES account (id) ON DELETE CASCADE,
    created_us INTEGER NOT NULL,
    used_us INTEGER NOT NULL,
    expires_us INTEGER NOT NULL,
    CHECK ((device_id IS NULL) <> (account_id IS NULL))
) STRICT, WITHOUT ROWID;
INSERT INTO "browser_session" VALUES(X'0101010101010101010101010101010101010101010101010101010101010101',1,NULL,1,1,1);
INSERT INTO "browser_session" VALUES(X'0202020202020202020202020202020202020202020202020202020202020202',NULL,2,2,2,2);
CREATE TABLE device (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    uuid TEXT NOT NULL UNIQUE,
    account_id INTEGER REFERENCES account (id),
    role TEXT NOT NULL CHECK (role IN ('admin', 'member')),
    name TEXT NOT NULL,
    type TEXT NOT NULL,
    paired_us INTEGER NOT NULL,
    last_seen_us INTEGER,
    revoked_us INTEGER
) STRICT;
INSERT INTO "device" VALUES(1,'uuid 1',1,'admin','name 1','type 1',1,1,NULL);
INSERT INTO "device" VALUES(2,'uuid 2',2,'admin','name 2','type 2',2,2,NULL);
CREATE TABLE device_agent (
    device_id INTEGER PRIMARY KEY REFERENCES device (id) ON DELETE CASCADE,
    address TEXT NOT NULL,
    port INTEGER NOT NULL CHECK (port BETWEEN 1 AND 65535),
    is_local INTEGER NOT NULL DEFAULT 0,
    is_foreign INTEGER NOT NULL DEFAULT 0,
    registered_us INTEGER NOT NULL
) STRICT;
INSERT INTO "device_agent" VALUES(1,'address 1',1,1,1,1);
INSERT INTO "device_agent" VALUES(2,'address 2',2,2,2,2);
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
INSERT INTO "device_song" VALUES(1,'uuid 1',1,'path 1',1,1,X'0101010101010101010101010101010101010101010101010101010101010101','title 1','artist 1',1,1,X'0101010101010101010101010101010101010101010101010101010101010101','got_claim 1',1,NULL,1,X'73746F7265645F706174682031','refused 1','refused_claim 1');
INSERT INTO "device_song" VALUES(2,'uuid 2',2,'path 2',2,2,X'0202020202020202020202020202020202020202020202020202020202020202','title 2','artist 2',2,2,X'0202020202020202020202020202020202020202020202020202020202020202','got_claim 2',2,NULL,2,X'73746F7265645F706174682032','refused 2','refused_claim 2');
CREATE TABLE device_sync (
    device_id INTEGER PRIMARY KEY REFERENCES device (id) ON DELETE CASCADE,
    synced_us INTEGER,
    attempted_us INTEGER NOT NULL,
    code INTEGER NOT NULL,
    message TEXT
) STRICT;
INSERT INTO "device_sync" VALUES(1,1,1,1,'message 1');
INSERT INTO "device_sync" VALUES(2,2,2,2,'message 2');
CREATE TABLE device_sync_failure (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    device_id INTEGER NOT NULL REFERENCES device (id) ON DELETE CASCADE,
    at_us INTEGER NOT NULL,
    code INTEGER NOT NULL,
    message TEXT NOT NULL
) STRICT;
INSERT INTO "device_sync_failure" VALUES(1,1,1,1,'message 1');
INSERT INTO "device_sync_failure" VALUES(2,2,2,2,'message 2');
CREATE TABLE invitation (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    digest BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
    email_key TEXT,
    created_us INTEGER NOT NULL,
    expires_us INTEGER NOT NULL,
    used_us INTEGER
) STRICT;
INSERT INTO "invitation" VALUES(1,X'0101010101010101010101010101010101010101010101010101010101010101','email_key 1',1,1,1);
INSERT INTO "invitation" VALUES(2,X'0202020202020202020202020202020202020202020202020202020202020202','email_key 2',2,2,2);
CREATE TABLE library_root (
    id INTEGER PRIMARY KEY,
    uid BLOB NOT NULL UNIQUE,
    path BLOB NOT NULL UNIQUE,
    name TEXT NOT NULL,
    is_uploads INTEGER NOT NULL DEFAULT 0,
    is_configured INTEGER NOT NULL DEFAULT 1,
    added_us INTEGER NOT NULL
) STRICT;
INSERT INTO "library_root" VALUES(1,X'7569642031',X'706174682031','name 1',1,1,1);
INSERT INTO "library_root" VALUES(2,X'7569642032',X'706174682032','name 2',2,2,2);
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "meta" VALUES('key 1',X'76616C75652031');
INSERT INTO "meta" VALUES('key 2',X'76616C75652032');
CREATE TABLE peer (
    device_id INTEGER PRIMARY KEY REFERENCES device (id) ON DELETE CASCADE,
    public_key BLOB NOT NULL UNIQUE CHECK (length(public_key) = 32),
    private_key BLOB,
    host_number INTEGER NOT NULL UNIQUE CHECK (host_number > 1),
    created_us INTEGER NOT NULL,
    blocked_us INTEGER,
    blocked_reason TEXT
, told_endpoint TEXT) STRICT;
INSERT INTO "peer" VALUES(1,X'0101010101010101010101010101010101010101010101010101010101010101',X'707269766174655F6B65792031',2,1,NULL,'blocked_reason 1','told_endpoint 1');
INSERT INTO "peer" VALUES(2,X'0202020202020202020202020202020202020202020202020202020202020202',X'707269766174655F6B65792032',3,2,NULL,'blocked_reason 2','told_endpoint 2');
CREATE TABLE refresh_exchange (
    family_id TEXT NOT NULL REFERENCES refresh_family (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    at_us INTEGER NOT NULL,
    PRIMARY KEY (family_id, number)
) STRICT, WITHOUT ROWID;
INSERT INTO "refresh_exchange" VALUES('family-1',1,1);
INSERT INTO "refresh_exchange" VALUES('family-2',2,2);
CREATE TABLE refresh_family (
    id TEXT PRIMARY KEY,
    device_id INTEGER REFERENCES device (id) ON DELETE CASCADE,
    account_id INTEGER REFERENCES account (id) ON DELETE CASCADE,
    newest INTEGER NOT NULL DEFAULT 0,
    created_us INTEGER NOT NULL,
    expires_us INTEGER NOT NULL,
    ended_us INTEGER,
    CHECK ((device_id IS NULL) <> (account_id IS NULL))
) STRICT, WITHOUT ROWID;
INSERT INTO "refresh_family" VALUES('family-1',1,NULL,1,1,1,NULL);
INSERT INTO "refresh_family" VALUES('family-2',NULL,2,2,2,2,NULL);
CREATE TABLE script_token (
    jti TEXT PRIMARY KEY,
    role TEXT NOT NULL CHECK (role IN ('admin', 'member')),
    created_us INTEGER NOT NULL,
    expires_us INTEGER NOT NULL,
    revoked_us INTEGER
) STRICT, WITHOUT ROWID;
INSERT INTO "script_token" VALUES('jti 1','admin',1,1,NULL);
INSERT INTO "script_token" VALUES('jti 2','admin',2,2,NULL);
CREATE TABLE social_identity (
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    account_id INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    email TEXT,
    created_us INTEGER NOT NULL,
    PRIMARY KEY (issuer, subject)
) STRICT, WITHOUT ROWID;
INSERT INTO "social_identity" VALUES('issuer 1','subject 1',1,'email 1',1);
INSERT INTO "social_identity" VALUES('issuer 2','subject 2',2,'email 2',2);
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
INSERT INTO "upload" VALUES(1,1,X'706174682031',X'0101010101010101010101010101010101010101010101010101010101010101',1,'owner 1','name 1',1);
INSERT INTO "upload" VALUES(2,2,X'706174682032',X'0202020202020202020202020202020202020202020202020202020202020202',2,'owner 2','name 2',2);
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
INSERT INTO "upload_session" VALUES('family-1','owner 1','name 1','metadata 1',1,1,1,1,1,'asset_id 1',1);
INSERT INTO "upload_session" VALUES('family-2','owner 2','name 2','metadata 2',2,2,2,2,2,'asset_id 2',2);
CREATE UNIQUE INDEX account_name ON account (username_key) WHERE removed_us IS NULL;
CREATE INDEX device_account ON device (account_id);
CREATE INDEX refresh_family_device ON refresh_family (device_id);
CREATE INDEX refresh_family_account ON refresh_family (account_id);
CREATE INDEX browser_session_device ON browser_session (device_id);
CREATE INDEX browser_session_account ON browser_session (account_id);
CREATE INDEX invitation_email ON invitation (email_key) WHERE used_us IS NULL;
CREATE INDEX social_identity_account ON social_identity (account_id);
CREATE INDEX upload_sha256 ON upload (sha256);
CREATE INDEX upload_owner ON upload (owner, size_bytes);
CREATE INDEX upload_session_owner ON upload_session (owner) WHERE finished_us IS NULL;
CREATE INDEX upload_session_age ON upload_session (last_byte_us);
CREATE INDEX device_sync_failure_device ON device_sync_failure (device_id, id);
CREATE INDEX device_song_content ON device_song (device_id, got_sha256) WHERE got_sha256 IS NOT NULL;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('account',2);
INSERT INTO "sqlite_sequence" VALUES('device',2);
INSERT INTO "sqlite_sequence" VALUES('invitation',2);
INSERT INTO "sqlite_sequence" VALUES('device_sync_failure',2);
INSERT INTO "sqlite_sequence" VALUES('device_song',2);
COMMIT;
PRAGMA user_version = 6;
