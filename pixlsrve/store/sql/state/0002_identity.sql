-- People. `uuid` is the public id, `id` the number that /pisync shows; neither is ever given again. `username_key` is what
-- must be unique among those who are left (NFKC, case folded). `password` is a bcrypt hash, NULL where there is none.
-- `generation` grows with every change of password or role; access tokens of an older one are void. A removed account
-- keeps its row without name and password, so that what it once held is refused as revoked. Times in microseconds.
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

CREATE UNIQUE INDEX account_name ON account (username_key) WHERE removed_us IS NULL;

-- The library roots that an account with library = 'some' may see.
CREATE TABLE account_root (
    account_id INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    root_id INTEGER NOT NULL REFERENCES library_root (id) ON DELETE CASCADE,
    PRIMARY KEY (account_id, root_id)
) STRICT, WITHOUT ROWID;

-- Paired devices. `id` is the small number of /pisync, never given again. A device without account belongs to the
-- household and has its own `role`; otherwise the account's role and library apply. Revoked ones stay, to be recognised.
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

CREATE INDEX device_account ON device (account_id);

-- WireGuard peers of devices that are not revoked. `public_key` is 32 bytes; `private_key` is sealed, NULL where only the
-- device has it. `host_number` is the address's distance from the network's own (the server has 1), so that addresses
-- follow the setting. `blocked_us` is when vpn/revoke ended the tunnel, NULL while it is allowed.
CREATE TABLE peer (
    device_id INTEGER PRIMARY KEY REFERENCES device (id) ON DELETE CASCADE,
    public_key BLOB NOT NULL UNIQUE CHECK (length(public_key) = 32),
    private_key BLOB,
    host_number INTEGER NOT NULL UNIQUE CHECK (host_number > 1),
    created_us INTEGER NOT NULL,
    blocked_us INTEGER,
    blocked_reason TEXT
) STRICT;

-- Families of refresh tokens, of a device or of an account, never of both. The tokens are derived from `id` and their
-- number; `newest` is the number that is good now. A family ended by reuse or logout has `ended_us` until it expires.
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

CREATE INDEX refresh_family_device ON refresh_family (device_id);
CREATE INDEX refresh_family_account ON refresh_family (account_id);

-- Exchanges of the last moments: token `number` was exchanged for the next one at `at_us`; who asks again soon gets that
-- same one, because its first answer may have been lost.
CREATE TABLE refresh_exchange (
    family_id TEXT NOT NULL REFERENCES refresh_family (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    at_us INTEGER NOT NULL,
    PRIMARY KEY (family_id, number)
) STRICT, WITHOUT ROWID;

-- Browsers that are signed in, by the SHA-256 of their cookie's value; of an account, or of a device (a browser that was
-- paired), never of both.
CREATE TABLE browser_session (
    digest BLOB PRIMARY KEY CHECK (length(digest) = 32),
    device_id INTEGER REFERENCES device (id) ON DELETE CASCADE,
    account_id INTEGER REFERENCES account (id) ON DELETE CASCADE,
    created_us INTEGER NOT NULL,
    used_us INTEGER NOT NULL,
    expires_us INTEGER NOT NULL,
    CHECK ((device_id IS NULL) <> (account_id IS NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX browser_session_device ON browser_session (device_id);
CREATE INDEX browser_session_account ON browser_session (account_id);
