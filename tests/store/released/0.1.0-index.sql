-- Everything here can be made again from the files. Root ids are those of library_root in the state database.
CREATE TABLE root (
    id INTEGER PRIMARY KEY,
    -- 'online' or 'offline'
    state TEXT NOT NULL DEFAULT 'online',
    -- when a walk of the whole root last ended; microseconds since the epoch
    last_scan_us INTEGER,
    -- photos and videos that are shown, and their bytes
    item_count INTEGER NOT NULL DEFAULT 0,
    size_bytes INTEGER NOT NULL DEFAULT 0
) STRICT;
-- A folder below a root, the root itself having the empty path. Counts are of shown assets.
CREATE TABLE folder (
    id INTEGER PRIMARY KEY,
    uuid BLOB NOT NULL UNIQUE,
    root_id INTEGER NOT NULL REFERENCES root (id),
    parent_id INTEGER REFERENCES folder (id),
    -- relative to the root, raw bytes, no leading slash
    path BLOB NOT NULL,
    -- as shown; sort_name is its case-folded form
    name TEXT NOT NULL,
    sort_name TEXT NOT NULL,
    device INTEGER NOT NULL DEFAULT 0,
    inode INTEGER NOT NULL DEFAULT 0,
    -- digest of names, sizes and times of the entries at the last walk; NULL: must be compared entry by entry
    signature BLOB,
    -- photos and videos directly in it, and their bytes
    photo_count INTEGER NOT NULL DEFAULT 0,
    size_bytes INTEGER NOT NULL DEFAULT 0,
    -- photos and videos in it and in all folders below
    total_count INTEGER NOT NULL DEFAULT 0,
    -- capture (or file) times of its own photos and videos, else those below; microseconds since the epoch
    earliest_us INTEGER,
    latest_us INTEGER,
    cover_asset_id INTEGER,
    -- 1: a mount that is not there just now; its assets are kept as missing
    is_offline INTEGER NOT NULL DEFAULT 0,
    -- 1: it was renamed, and the words of its assets still name the old place
    words_stale INTEGER NOT NULL DEFAULT 0,
    -- when it vanished from disk; microseconds since the epoch
    gone_us INTEGER
) STRICT;
CREATE UNIQUE INDEX folder_place ON folder (root_id, path) WHERE gone_us IS NULL;
CREATE INDEX folder_parent ON folder (parent_id);
CREATE INDEX folder_inode ON folder (inode, device);
CREATE INDEX folder_words ON folder (id) WHERE words_stale = 1;
-- Albums: folders with photos in or below them.
CREATE INDEX album_by_name ON folder (sort_name, id) WHERE total_count > 0 AND gone_us IS NULL;
CREATE INDEX album_by_date ON folder (latest_us, id) WHERE total_count > 0 AND gone_us IS NULL;
CREATE INDEX album_by_count ON folder (photo_count, id) WHERE total_count > 0 AND gone_us IS NULL;
-- One media file at one place. Rows outlive their file for some weeks (gone_us), so that a file that comes back keeps its id.
CREATE TABLE asset (
    id INTEGER PRIMARY KEY,
    uuid BLOB NOT NULL UNIQUE,
    root_id INTEGER NOT NULL REFERENCES root (id),
    folder_id INTEGER NOT NULL REFERENCES folder (id),
    -- file name as raw bytes; sort_name is its displayed form, case-folded
    name BLOB NOT NULL,
    sort_name TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('photo', 'video', 'audio')),
    -- 0 hidden (quarantined, gone, or the moving half of a live photo), 1 photo, 2 video, 3 audio
    shown INTEGER NOT NULL,
    -- 0 listed, 1 header read, 2 content read
    stage INTEGER NOT NULL DEFAULT 0,
    size_bytes INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    device INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    -- orders by capture time, else file time: milliseconds since year 1823 in the upper 44 bits, then 19 bits to be unique
    date_key INTEGER NOT NULL UNIQUE,
    -- local day of capture, else of the file time: days since 1970-01-01
    local_day INTEGER NOT NULL,
    format TEXT,
    camera TEXT,
    lens TEXT,
    iso INTEGER,
    latitude REAL,
    longitude REAL,
    -- readable name of the place
    place TEXT,
    -- model.Facts as MessagePack; NULL until the header was read
    facts BLOB,
    sha256 BLOB,
    thumbhash BLOB,
    has_thumbnail INTEGER NOT NULL DEFAULT 0,
    -- ties the halves of a live photo (Apple's content identifier)
    pair_key TEXT,
    -- the video half of a live photo; that row is hidden and has live_of set
    live_asset_id INTEGER REFERENCES asset (id),
    live_of INTEGER REFERENCES asset (id),
    -- why it can't be decoded: it stands in the quarantine list and is hidden
    refusal_reason TEXT,
    refusal_message TEXT,
    -- microseconds since the epoch: first indexed, content last changed, not found while its root is offline, removed
    created_us INTEGER NOT NULL,
    changed_us INTEGER NOT NULL,
    missing_us INTEGER,
    gone_us INTEGER
) STRICT;
CREATE UNIQUE INDEX asset_place ON asset (folder_id, name) WHERE gone_us IS NULL;
CREATE INDEX asset_unread ON asset (id) WHERE stage = 0 AND gone_us IS NULL AND missing_us IS NULL;
CREATE INDEX asset_undecoded ON asset (date_key) WHERE stage = 1 AND gone_us IS NULL AND missing_us IS NULL;
CREATE INDEX asset_sha256 ON asset (sha256) WHERE sha256 IS NOT NULL;
CREATE INDEX asset_inode ON asset (inode, device);
CREATE INDEX asset_size_time ON asset (size_bytes, mtime_ns);
CREATE INDEX asset_gone ON asset (gone_us, size_bytes) WHERE gone_us IS NOT NULL;
CREATE INDEX asset_missing ON asset (root_id, folder_id) WHERE missing_us IS NOT NULL;
CREATE INDEX asset_pair ON asset (folder_id, pair_key) WHERE pair_key IS NOT NULL;
CREATE INDEX asset_live_of ON asset (live_of) WHERE live_of IS NOT NULL;
CREATE INDEX asset_live ON asset (live_asset_id) WHERE live_asset_id IS NOT NULL;
CREATE INDEX asset_refused ON asset (id) WHERE refusal_reason IS NOT NULL;
CREATE INDEX asset_folder_date ON asset (folder_id, date_key) WHERE shown IN (1, 2);
CREATE INDEX asset_folder_kind_date ON asset (folder_id, shown, date_key);
CREATE INDEX asset_folder_name ON asset (folder_id, sort_name, id) WHERE shown IN (1, 2);
CREATE INDEX asset_folder_size ON asset (folder_id, size_bytes, id) WHERE shown IN (1, 2);
CREATE INDEX asset_date ON asset (date_key, root_id) WHERE shown IN (1, 2);
CREATE INDEX asset_kind_date ON asset (shown, date_key, root_id);
CREATE INDEX asset_name ON asset (sort_name, id, root_id) WHERE shown IN (1, 2);
CREATE INDEX asset_size ON asset (size_bytes, id, root_id) WHERE shown IN (1, 2);
CREATE INDEX asset_day ON asset (local_day, root_id) WHERE shown IN (1, 2);
CREATE INDEX asset_position ON asset (latitude, longitude) WHERE latitude IS NOT NULL AND shown IN (1, 2);
-- Losses per root, for the rule that a root which loses more than half within 24 hours is offline.
CREATE TABLE loss (
    root_id INTEGER NOT NULL REFERENCES root (id),
    at_us INTEGER NOT NULL,
    count INTEGER NOT NULL
) STRICT;
CREATE INDEX loss_time ON loss (root_id, at_us);
-- The words of each shown asset; rowid is asset.date_key, so that matches come ordered by date without sorting.
CREATE VIRTUAL TABLE search USING fts5 (
    name, folder, camera, lens, place, dates, extra,
    tokenize = 'unicode61 remove_diacritics 2',
    prefix = '2 3'
);
CREATE VIRTUAL TABLE search_word USING fts5vocab (search, 'row');
-- Folder and root counts follow the assets by themselves; total_count, dates and covers are refreshed by store/counts.py.
CREATE TRIGGER asset_counted_in AFTER INSERT ON asset WHEN new.shown IN (1, 2)
BEGIN
    UPDATE folder SET photo_count = photo_count + 1, size_bytes = size_bytes + new.size_bytes WHERE id = new.folder_id;
    UPDATE root SET item_count = item_count + 1, size_bytes = size_bytes + new.size_bytes WHERE id = new.root_id;
END;
CREATE TRIGGER asset_counted_out AFTER DELETE ON asset WHEN old.shown IN (1, 2)
BEGIN
    UPDATE folder SET photo_count = photo_count - 1, size_bytes = size_bytes - old.size_bytes WHERE id = old.folder_id;
    UPDATE root SET item_count = item_count - 1, size_bytes = size_bytes - old.size_bytes WHERE id = old.root_id;
END;
CREATE TRIGGER asset_recounted AFTER UPDATE OF shown, size_bytes, folder_id, root_id ON asset
WHEN (old.shown IN (1, 2)) <> (new.shown IN (1, 2)) OR old.size_bytes <> new.size_bytes
    OR old.folder_id <> new.folder_id OR old.root_id <> new.root_id
BEGIN
    UPDATE folder SET photo_count = photo_count - (old.shown IN (1, 2)),
        size_bytes = size_bytes - old.size_bytes * (old.shown IN (1, 2)) WHERE id = old.folder_id;
    UPDATE root SET item_count = item_count - (old.shown IN (1, 2)),
        size_bytes = size_bytes - old.size_bytes * (old.shown IN (1, 2)) WHERE id = old.root_id;
    UPDATE folder SET photo_count = photo_count + (new.shown IN (1, 2)),
        size_bytes = size_bytes + new.size_bytes * (new.shown IN (1, 2)) WHERE id = new.folder_id;
    UPDATE root SET item_count = item_count + (new.shown IN (1, 2)),
        size_bytes = size_bytes + new.size_bytes * (new.shown IN (1, 2)) WHERE id = new.root_id;
END;
PRAGMA user_version = 1;
