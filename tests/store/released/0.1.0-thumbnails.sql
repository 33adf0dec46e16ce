BEGIN TRANSACTION;
CREATE TABLE thumbnail (
    id INTEGER PRIMARY KEY,
    sha256 BLOB NOT NULL,
    side_px INTEGER NOT NULL,
    jpeg BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX thumbnail_content ON thumbnail (sha256, side_px);
COMMIT;
PRAGMA user_version = 1;
