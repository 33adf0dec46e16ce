-- Thumbnails by content, so that moved and identical files share them. side_px is the side of the box they fit within.
CREATE TABLE thumbnail (
    id INTEGER PRIMARY KEY,
    sha256 BLOB NOT NULL,
    side_px INTEGER NOT NULL,
    jpeg BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX thumbnail_content ON thumbnail (sha256, side_px);
