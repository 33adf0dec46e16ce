"""Makes an index.db of many photos directly by SQL: `python benchmarks/big_library.py FILE [--photos N]`.

No media files belong to it. A quarter of the photos lie in one album, the rest in albums of about 500; words, cameras,
places and dates repeat the way they do in a household's library.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import sqlite3
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from pixlsrve.media.words import document
from pixlsrve.model import Facts, Kind, TakenSource
from pixlsrve.store.date_key import date_key
from pixlsrve.store.migrate import migrate

CAMERAS = (
    ("Apple", "iPhone 14 Pro", "iPhone 14 Pro back triple camera"),
    ("Apple", "iPhone SE", "iPhone SE back camera"),
    ("Canon", "EOS R6", "RF24-105mm F4 L IS USM"),
    ("Google", "Pixel 7", "Pixel 7 back camera"),
)
PLACES = (
    ("Lisboa, Portugal", 38.7169, -9.1399),
    ("Heidelberg, Germany", 49.4077, 8.6908),
    ("Kyoto, Japan", 35.0211, 135.7538),
    ("Bergen, Norway", 60.393, 5.3242),
    ("Cusco, Peru", -13.5226, -71.9673),
)
SUBJECTS = ("Summer", "Winter", "Wedding", "Garden", "School", "Hiking", "Birthday", "Lake", "Museum", "Harbour")
START = datetime(2004, 1, 1, tzinfo=UTC)
SPAN_S = 20 * 365 * 86_400
ALBUM_PHOTOS = 500

ASSET_COLUMNS = (
    "id, uuid, root_id, folder_id, name, sort_name, kind, shown, stage, size_bytes, mtime_ns, device, inode, date_key,"
    " local_day, format, camera, lens, iso, latitude, longitude, place, facts, sha256, has_thumbnail, created_us,"
    " changed_us"
)
ASSET_SQL = f"INSERT INTO asset ({ASSET_COLUMNS}) VALUES ({', '.join('?' * 27)})"  # noqa: S608  # fixed names
SEARCH_SQL = (
    "INSERT INTO search (rowid, name, folder, camera, lens, place, dates, extra) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
FOLDER_SQL = (
    "INSERT INTO folder (id, uuid, root_id, parent_id, path, name, sort_name, photo_count, size_bytes, total_count,"
    " earliest_us, latest_us, cover_asset_id) VALUES (?, ?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


def assets(count: int, dice: random.Random) -> Iterator[tuple[tuple[object, ...], tuple[object, ...]]]:
    """The rows of `asset` and of `search`, in the order of their ids."""
    big = count // 4
    for number in range(1, count + 1):
        folder = 2 if number <= big else 3 + (number - big) // ALBUM_PHOTOS
        taken = START + timedelta(seconds=dice.randrange(SPAN_S), milliseconds=dice.randrange(1000))
        taken_us = int(taken.timestamp() * 1_000_000)
        is_video = dice.random() < 0.08
        make, camera, lens = dice.choice(CAMERAS)
        place, latitude, longitude = dice.choice(PLACES)
        has_place = dice.random() < 0.6
        latitude, longitude = latitude + dice.gauss(0, 0.1), longitude + dice.gauss(0, 0.1)
        name = f"{'MOV' if is_video else 'IMG'}_{number:07d}.{'mp4' if is_video else 'jpg'}"
        facts = Facts(
            kind=Kind.VIDEO if is_video else Kind.PHOTO,
            format="mp4" if is_video else "jpeg",
            mime="video/mp4" if is_video else "image/jpeg",
            width_px=4032,
            height_px=3024,
            taken_us=taken_us,
            taken_local_us=taken_us,
            taken_source=TakenSource.DATE_TIME_ORIGINAL,
            camera_make=make,
            camera=camera,
            lens=lens,
            iso=dice.choice((64, 100, 400, 1600)),
            exposure="1/120",
            f_number=1.78,
            latitude=latitude if has_place else None,
            longitude=longitude if has_place else None,
        )
        key = date_key(taken_us, number)
        asset = (
            number, uuid.UUID(int=dice.getrandbits(128), version=4).bytes, 1, folder, name.encode(), name.lower(),
            facts.kind, 2 if is_video else 1, 2, dice.randrange(1_000_000, 9_000_000), taken_us * 1000, 1, number, key,
            taken_us // 86_400_000_000, facts.format, camera, lens, facts.iso, facts.latitude, facts.longitude,
            place if has_place else None, msgspec.msgpack.encode(facts), dice.randbytes(32), 1, taken_us, taken_us,
        )  # fmt: skip
        words = document(
            name=name,
            folders=[album_name(folder)],
            make=make,
            model=camera,
            lens=lens,
            places=[place] if has_place else [],
            day=taken.date(),
        )
        yield asset, (key, *words)


def album_name(folder: int) -> str:
    """The name of the folder with this row id."""
    return "Everything" if folder == 2 else f"{SUBJECTS[folder % len(SUBJECTS)]} {1990 + folder % 37} {folder}"


def build(path: Path, count: int) -> None:
    """Write the index to `path`, which must not exist yet."""
    migrate(path, "index")
    dice = random.Random(1)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for pragma in ("foreign_keys = OFF", "synchronous = OFF", "cache_size = -400000", "temp_store = MEMORY"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("BEGIN")
        # Indexes and counting triggers are put back at the end, which takes half the time.
        parts = connection.execute(
            "SELECT type, name, sql FROM sqlite_schema"
            " WHERE type IN ('index', 'trigger') AND tbl_name = 'asset' AND sql IS NOT NULL"
        ).fetchall()
        for kind, name, _ in parts:
            connection.execute(f"DROP {kind} {name}")
        rows = assets(count, dice)
        while batch := [row for row, _ in zip(rows, range(10_000), strict=False)]:
            connection.executemany(ASSET_SQL, [asset for asset, _ in batch])
            connection.executemany(SEARCH_SQL, sorted(words for _, words in batch))
        for _, _, sql in parts:
            connection.execute(sql)
        add_folders(connection, count)
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def add_folders(connection: sqlite3.Connection, count: int) -> None:
    """The root, its folders, and their counts."""
    totals = connection.execute(
        "SELECT folder_id, count(*), sum(size_bytes), min(mtime_ns) / 1000, max(mtime_ns) / 1000, max(id)"
        " FROM asset GROUP BY folder_id"
    ).fetchall()
    size_bytes = sum(row[2] for row in totals)
    connection.execute("INSERT INTO root VALUES (1, 'online', ?, ?, ?)", (time.time_ns() // 1000, count, size_bytes))
    earliest, latest = min(row[3] for row in totals), max(row[4] for row in totals)
    connection.execute(
        FOLDER_SQL,
        (1, uuid.uuid4().bytes, None, b"", "Photos", "photos", 0, 0, count, earliest, latest, totals[0][5]),
    )
    for folder, photos, size, first, last, cover in totals:
        name = album_name(folder)
        connection.execute(
            FOLDER_SQL,
            (
                folder,
                uuid.uuid4().bytes,
                1,
                name.encode(),
                name,
                name.lower(),
                photos,
                size,
                photos,
                first,
                last,
                cover,
            ),
        )


def main() -> None:
    """Build the file the arguments name, and print how long it took as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--photos", type=int, default=1_000_000)
    arguments = parser.parse_args()
    started = time.perf_counter()
    build(arguments.file, arguments.photos)
    took = time.perf_counter() - started
    print(json.dumps({"file": str(arguments.file), "photos": arguments.photos, "seconds": round(took, 1)}))


if __name__ == "__main__":
    main()
