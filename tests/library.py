"""A library made by hand: rows in a real index, thumbnails in a real database, small real files on disk."""

from __future__ import annotations

import contextlib
import hashlib
import io
import math
import sqlite3
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from pathlib import Path
from unittest import mock

import msgspec
from PIL import Image

from pixlsrve.media import version
from pixlsrve.media.assets import Library
from pixlsrve.media.roots import Root, Roots
from pixlsrve.media.version import LibraryVersion
from pixlsrve.media.words import document
from pixlsrve.model import THUMBNAIL_SIZES_PX, Facts, Kind, RootState, TakenSource
from pixlsrve.store import counts
from pixlsrve.store.database import Database
from pixlsrve.store.date_key import date_key
from pixlsrve.store.migrate import migrate

SHOWN = {Kind.PHOTO: 1, Kind.VIDEO: 2, Kind.AUDIO: 3}
DAY_US = 86_400_000_000


def jpeg(colour: tuple[int, int, int], size: tuple[int, int] = (40, 30)) -> bytes:
    """A small picture of one colour."""
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, "JPEG")
    return out.getvalue()


def at(text: str) -> int:
    """Microseconds since the epoch of an ISO time, UTC where it has no zone."""
    moment = datetime.fromisoformat(text)
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1_000_000)


class Shelf:
    """Fills a library; open it with `open_shelf`. Counts are brought up to date by `settle`."""

    def __init__(self, folder: Path, index: Database, thumbnails: Database) -> None:
        self.index, self.thumbnails = index, thumbnails
        self.version = LibraryVersion()
        self.roots = Roots(
            [
                Root(id=1, uid=b"1" * 16, path=folder / "Photos", name="Photos"),
                Root(id=2, uid=b"2" * 16, path=folder / "Uploads", name="Uploads", is_uploads=True),
            ]
        )
        self._connection = sqlite3.connect(index.path, isolation_level=None)
        self._folders: dict[tuple[int, str], int] = {}
        self.library = Library(index, self.version)
        for root in self.roots:
            root.path.mkdir()
            self._connection.execute("INSERT INTO root (id) VALUES (?)", (root.id,))
            self.folder("", root_id=root.id)

    def close(self) -> None:
        """Let go of the builder's own connection."""
        self._connection.close()

    def sql(self, statement: str, *parameters: object) -> list[tuple[object, ...]]:
        """Run one statement on the index and count it as a change of the library."""
        self.version.bump()
        return self._connection.execute(statement, parameters).fetchall()

    def folder(self, path: str, *, root_id: int = 1) -> int:
        """The folder's row id; it and those above it are made where they are missing."""
        if (root_id, path) in self._folders:
            return self._folders[root_id, path]
        above, _, name = path.rpartition("/")
        parent = self.folder(above, root_id=root_id) if path else None
        name = name or self.roots.get(root_id).name
        (self.roots.get(root_id).path / path).mkdir(exist_ok=True)
        columns = "uuid, root_id, parent_id, path, name, sort_name"
        sql = f"INSERT INTO folder ({columns}) VALUES (?, ?, ?, ?, ?, ?) RETURNING id"  # noqa: S608  # fixed names
        rows = self.sql(sql, uuid.uuid4().bytes, root_id, parent, path.encode(), name, name.casefold())
        self._folders[root_id, path] = int(str(rows[0][0]))
        return self._folders[root_id, path]

    def album_id(self, path: str, *, root_id: int = 1) -> str:
        """The public id of a folder."""
        rows = self.sql("SELECT uuid FROM folder WHERE root_id = ? AND path = ?", root_id, path.encode())
        uid = rows[0][0]
        assert isinstance(uid, bytes)
        return str(uuid.UUID(bytes=uid))

    def add(
        self,
        path: str,
        *,
        root_id: int = 1,
        content: bytes | None = None,
        kind: Kind = Kind.PHOTO,
        taken: str | None = "2023-07-15T14:30:00",
        local: str | None = None,
        thumbnail: bool = True,
        stage: int = 2,
        place: str | None = None,
        refusal: str | None = None,
        raw_name: bytes | None = None,
        **more: object,
    ) -> str:
        """A file and its rows; its public id. `more` goes into its facts."""
        above, _, name = path.rpartition("/")
        folder_pk = self.folder(above, root_id=root_id)
        uid = uuid.uuid4()
        number = len(self.sql("SELECT id FROM asset")) + 1
        data = jpeg((number % 256, number // 256, 99)) if content is None else content
        stored = raw_name or name.encode()
        file = self.roots.get(root_id).path / above / stored.decode("utf-8", "surrogateescape")
        file.write_bytes(data)
        status = file.stat()
        taken_us = None if taken is None else at(taken)
        local_us = taken_us if local is None else at(local)
        day = (status.st_mtime_ns // 1_000 if local_us is None else local_us) // DAY_US
        given: dict[str, object] = {"format": "jpeg", "mime": "image/jpeg", "width_px": 40, "height_px": 30, **more}
        facts = msgspec.convert(
            {
                "kind": kind.value,
                "taken_us": taken_us,
                "taken_local_us": local_us,
                "taken_source": None if taken is None else TakenSource.DATE_TIME_ORIGINAL.value,
                **given,
            },
            Facts,
        )
        sha256 = hashlib.sha256(data).digest()
        key = date_key(status.st_mtime_ns // 1_000 if taken_us is None else taken_us, number)
        columns = {
            "uuid": uid.bytes, "root_id": root_id, "folder_id": folder_pk, "name": stored,
            "sort_name": name.casefold(), "kind": kind.value, "shown": 0 if refusal else SHOWN[kind], "stage": stage,
            "size_bytes": len(data), "mtime_ns": status.st_mtime_ns, "device": status.st_dev, "inode": status.st_ino,
            "date_key": key, "local_day": day, "format": facts.format, "camera": facts.camera, "lens": facts.lens,
            "iso": facts.iso, "latitude": facts.latitude, "longitude": facts.longitude, "place": place,
            "facts": None if stage == 0 else msgspec.msgpack.encode(facts), "sha256": sha256 if stage == 2 else None,
            "has_thumbnail": int(thumbnail and stage == 2), "refusal_reason": refusal,
            "refusal_message": "The file is damaged." if refusal else None,
            "created_us": at("2024-01-01T00:00:00"), "changed_us": at("2024-01-01T00:00:00"),
        }  # fmt: skip
        marks = ", ".join("?" * len(columns))
        self.sql(f"INSERT INTO asset ({', '.join(columns)}) VALUES ({marks})", *columns.values())  # noqa: S608  # fixed names
        if not refusal:
            self._add_words(key, name, above, facts, place, day)
        if thumbnail and stage == 2:
            self.add_thumbnails(sha256, data)
        return str(uid)

    def _add_words(self, key: int, name: str, folder: str, facts: Facts, place: str | None, day: int) -> None:
        words = document(
            name=name,
            folders=folder.split("/"),
            make=facts.camera_make,
            model=facts.camera,
            lens=facts.lens,
            places=[place] if place else [],
            day=date.fromordinal(day + date(1970, 1, 1).toordinal()),
            extra=[facts.title, facts.caption, *facts.keywords],
        )
        marks = ", ".join("?" * (1 + len(words)))
        self.sql(f"INSERT INTO search (rowid, {', '.join(words._fields)}) VALUES ({marks})", key, *words)  # noqa: S608  # fixed names

    def add_thumbnails(self, sha256: bytes, data: bytes) -> None:
        """Thumbnails for a content: here the very bytes, with the side appended as a comment would be."""
        with contextlib.closing(sqlite3.connect(self.thumbnails.path, isolation_level=None)) as connection:
            rows = [(sha256, side, data + str(side).encode()) for side in THUMBNAIL_SIZES_PX]
            sql = "INSERT OR REPLACE INTO thumbnail (sha256, side_px, jpeg) VALUES (?, ?, ?)"
            connection.executemany(sql, rows)

    async def settle(self) -> None:
        """Bring the albums' totals, dates and covers up to date."""
        async with self.index.transaction() as tx:
            await counts.refresh(tx, self._folders.values())
        self.version.bump()

    def set_state(self, root_id: int, state: RootState) -> None:
        """Take a root's disk away or bring it back, as far as the index knows."""
        self.roots.get(root_id).state = state
        self.sql("UPDATE root SET state = ? WHERE id = ?", state.value, root_id)


@contextlib.asynccontextmanager
async def open_shelf(folder: Path) -> AsyncIterator[Shelf]:
    """An empty library with two roots, Photos and Uploads."""
    for name in ("index", "thumbnails"):
        migrate(folder / f"{name}.db", name)
    async with (
        Database.open(folder / "index.db", durability="OFF") as index,
        Database.open(folder / "thumbnails.db", durability="OFF") as thumbnails,
    ):
        shelf = Shelf(folder, index, thumbnails)
        try:
            with mock.patch.object(version, "CHEAP_S", math.inf):  # however busy the machine, no old answer twice
                yield shelf
        finally:
            shelf.close()
