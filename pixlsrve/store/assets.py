"""Reading assets: one by its id, and the ordered lists of them."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Literal

import msgspec

from pixlsrve.model import AlbumId, AssetId, Facts, Kind
from pixlsrve.store.database import Parameters, Queries, Row, marks
from pixlsrve.store.date_key import first_key, last_key
from pixlsrve.store.listing import Listing

PhotoSort = Literal["date", "name", "size"]
Kinds = Literal["photo", "video", "audio"] | None
Viewer = frozenset[int] | None
"""The roots that may be seen; None for all."""

DAY_US = 86_400_000_000
_ZONES_US = 2 * DAY_US
"""More than a local day and the instant ever lie apart, damaged offsets included."""

_COLUMNS = (
    "a.id, a.uuid, a.root_id, a.folder_id, f.uuid, f.path, a.name, a.kind, a.shown, a.stage, a.size_bytes, a.mtime_ns,"
    " a.inode, a.format, a.facts, a.sha256, a.thumbhash, a.place, a.created_us, a.changed_us, a.refusal_reason,"
    " a.live_asset_id, l.name, l.format, l.size_bytes, l.facts, l.sha256, l.mtime_ns, l.inode"
)
_JOINS = "JOIN folder AS f ON f.id = a.folder_id LEFT JOIN asset AS l ON l.id = a.live_asset_id AND l.gone_us IS NULL"
_CHOSEN = f"JOIN asset AS a ON a.id = chosen.row {_JOINS}"
_NUMBERS = {"photo": 1, "video": 2, "audio": 3}
_KEYS: dict[PhotoSort, tuple[str, ...]] = {
    "date": ("a.date_key",),
    "name": ("a.sort_name", "a.id"),
    "size": ("a.size_bytes", "a.id"),
}
_decode_facts = msgspec.msgpack.Decoder(Facts).decode


class Original(msgspec.Struct, frozen=True, kw_only=True):
    """One file of an asset, as the index last saw it. `path` is relative to the root, raw bytes."""

    root_id: int
    path: bytes
    size_bytes: int
    mtime_ns: int
    inode: int
    format: str | None
    mime: str | None
    sha256: bytes | None


class Live(msgspec.Struct, frozen=True, kw_only=True):
    """The moving part of a live or motion photo: bytes `offset` to `offset + size_bytes` of `original`."""

    original: Original
    is_embedded: bool
    """Whether it lies inside the photo's own file, else it is a file of its own."""
    offset: int
    size_bytes: int
    format: str | None
    mime: str
    duration_s: float | None


class Asset(msgspec.Struct, frozen=True, kw_only=True):
    """One photo, video or audio file in its place in the library. Times in microseconds since the epoch, UTC."""

    pk: int
    id: AssetId
    folder_pk: int
    album_id: AlbumId
    kind: Kind
    is_shown: bool
    stage: int
    """0 listed, 1 header read, 2 content read."""
    original: Original
    facts: Facts | None
    thumbhash: bytes | None
    place: str | None
    created_us: int
    changed_us: int
    refusal_reason: str | None
    live: Live | None

    @property
    def version(self) -> str:
        """Short text that changes when the content does."""
        return version_of(self.original.sha256, self.changed_us)


def to_asset(row: Row) -> Asset:
    """The asset of one row of this module's columns."""
    (pk, uid, root_id, folder_pk, album_uid, folder_path, name, kind, shown, stage, size_bytes, mtime_ns,
     inode, format_, packed, sha256, thumbhash, place, created_us, changed_us, refusal, *live) = row  # fmt: skip
    facts = None if packed is None else _decode_facts(packed)
    original = Original(
        root_id=root_id,
        path=_joined(folder_path, name),
        size_bytes=size_bytes,
        mtime_ns=mtime_ns,
        inode=inode,
        format=format_,
        mime=None if facts is None else facts.mime,
        sha256=sha256,
    )
    return Asset(
        pk=pk,
        id=AssetId(str(uuid.UUID(bytes=uid))),
        folder_pk=folder_pk,
        album_id=AlbumId(str(uuid.UUID(bytes=album_uid))),
        kind=Kind(kind),
        is_shown=shown > 0,
        stage=stage,
        original=original,
        facts=facts,
        thumbhash=thumbhash,
        place=place,
        created_us=created_us,
        changed_us=changed_us,
        refusal_reason=refusal,
        live=_to_live(live, root_id, folder_path) or _embedded(original, facts),
    )


def _to_live(columns: list[object], root_id: int, folder_path: bytes) -> Live | None:
    """The other file of a live photo, which lies in the same folder."""
    pk, name, format_, size_bytes, packed, sha256, mtime_ns, inode = columns
    if pk is None or not isinstance(name, bytes) or not isinstance(size_bytes, int):
        return None
    facts = _decode_facts(packed) if isinstance(packed, bytes) else None
    mime = "video/quicktime" if facts is None else facts.mime
    fields = {"mtime_ns": mtime_ns, "inode": inode, "format": format_, "sha256": sha256}
    original = msgspec.convert(
        {"root_id": root_id, "path": _joined(folder_path, name), "size_bytes": size_bytes, "mime": mime, **fields},
        Original,
    )
    return Live(
        original=original,
        is_embedded=False,
        offset=0,
        size_bytes=size_bytes,
        format=original.format,
        mime=mime,
        duration_s=None if facts is None else facts.duration_s,
    )


def _embedded(original: Original, facts: Facts | None) -> Live | None:
    """The video inside a motion photo (an MP4, by the makers' descriptions)."""
    if facts is None or facts.motion_offset is None:
        return None
    rest = original.size_bytes - facts.motion_offset
    size_bytes = rest if facts.motion_size_bytes is None else min(rest, facts.motion_size_bytes)
    if size_bytes <= 0:
        return None
    return Live(
        original=original,
        is_embedded=True,
        offset=facts.motion_offset,
        size_bytes=size_bytes,
        format="mp4",
        mime="video/mp4",
        duration_s=None,
    )


def _joined(folder: bytes, name: bytes) -> bytes:
    return folder + b"/" + name if folder else name


async def find(db: Queries, asset_id: AssetId) -> Asset | None:
    """The asset with this id, hidden ones included; None when there is none or its file is gone."""
    sql = f"SELECT {_COLUMNS} FROM asset AS a {_JOINS} WHERE a.uuid = ? AND a.gone_us IS NULL"  # noqa: S608  # literals
    row = await db.fetch_one(sql, (uuid.UUID(asset_id).bytes,))
    return None if row is None else to_asset(row)


async def at_place(db: Queries, root_id: int, path: bytes) -> Asset | None:
    """The asset at a path below a root, hidden ones included."""
    folder, _, name = path.rpartition(b"/")
    where = "f.root_id = ? AND f.path = ? AND f.gone_us IS NULL AND a.name = ? AND a.gone_us IS NULL"
    rows = await asset_rows(db, where, (root_id, folder, name))
    return rows[0] if rows else None


async def asset_rows(db: Queries, where: str, parameters: Parameters) -> list[Asset]:
    """The assets of a literal condition, which may end in an ORDER BY."""
    sql = f"SELECT {_COLUMNS} FROM asset AS a {_JOINS} WHERE {where}"  # noqa: S608  # literals
    return [to_asset(row) for row in await db.fetch_all(sql, parameters)]


def listing(
    *,
    sort: PhotoSort,
    kind: Kinds = None,
    folder_pk: int | None = None,
    days: tuple[int | None, int | None] = (None, None),
    viewer: Viewer = None,
) -> Listing:
    """The shown assets of one folder, or of the library. `days` are local ones since 1970-01-01, both inclusive."""
    index = choose_index(sort, kind, in_folder=folder_pk is not None, in_days=days != (None, None))
    terms, parameters = [shown_term(kind, index)], list[int | str | bytes]()
    if folder_pk is not None:
        terms.append("a.folder_id = ?")
        parameters.append(folder_pk)
    add_days(terms, parameters, days, in_date_order=sort == "date")
    add_viewer(terms, parameters, viewer)
    is_by_day = kind is None and folder_pk is None and days != (None, None)
    counted = _count_of_days(days, viewer) if is_by_day else None
    return from_terms(f"asset AS a INDEXED BY {index}", terms, parameters, _KEYS[sort], "a.id", counted=counted)


def choose_index(sort: PhotoSort, kind: Kinds, *, in_folder: bool = False, in_days: bool = False) -> str:
    """The index that has the rows in order, or else the fewest rows; without statistics SQLite guesses wrong."""
    place = "asset_folder" if in_folder else "asset"
    if kind == "audio" or (kind is not None and sort == "date"):
        return f"{place}_kind_date"
    if in_days and not in_folder and sort != "date":
        return "asset_day"
    return f"{place}_{sort}"


def shown_term(kind: Kinds, index: str) -> str:
    """The condition that leaves the assets of this kind (None: photos and videos), in the terms of an index."""
    if index.endswith("kind_date") and kind is not None:
        return f"a.shown = {_NUMBERS[kind]}"
    return "a.shown IN (1, 2)" if kind is None else f"a.shown IN (1, 2) AND +a.shown = {_NUMBERS[kind]}"


def _count_of_days(days: tuple[int | None, int | None], viewer: Viewer) -> tuple[str, tuple[int | str | bytes, ...]]:
    """Counting by day reads an index only."""
    terms, parameters = ["a.shown IN (1, 2)"], list[int | str | bytes]()
    add_days(terms, parameters, days, in_date_order=False)
    add_viewer(terms, parameters, viewer)
    return f"SELECT count(*) FROM asset AS a INDEXED BY asset_day WHERE {' AND '.join(terms)}", tuple(parameters)  # noqa: S608  # literals


def from_terms(
    source: str,
    terms: list[str],
    parameters: Sequence[float | str | bytes],
    key: tuple[str, ...],
    row_id: str,
    *,
    counted: tuple[str, tuple[int | str | bytes, ...]] | None = None,
) -> Listing:
    """A listing whose pages are assets."""
    return Listing(
        source=source,
        where=" AND ".join(terms),
        parameters=tuple(parameters),
        key=key,
        row_id=row_id,
        columns=_COLUMNS,
        joins=_CHOSEN,
        counted=None if counted is None else counted[0],
        counted_parameters=() if counted is None else counted[1],
    )


def add_days(
    terms: list[str],
    parameters: list[int | str | bytes],
    days: tuple[int | None, int | None],
    *,
    in_date_order: bool,
    key: str = "a.date_key",
) -> None:
    """Narrow to local days; in date order by a stretch of keys, whose rows are then looked at singly."""
    # The plus sign keeps SQLite from sorting a long stretch of days when walking the keys gives the order for nothing.
    column = "+a.local_day" if in_date_order else "a.local_day"
    first, last = days
    if first is not None:
        terms.append(f"{column} >= ?")
        parameters.append(first)
    if last is not None:
        terms.append(f"{column} <= ?")
        parameters.append(last)
    if in_date_order and first is not None:
        terms.append(f"{key} >= ?")
        parameters.append(first_key(first * DAY_US - _ZONES_US))
    if in_date_order and last is not None:
        terms.append(f"{key} <= ?")
        parameters.append(last_key((last + 1) * DAY_US + _ZONES_US))


def add_viewer(terms: list[str], parameters: list[int | str | bytes], viewer: Viewer) -> None:
    """Narrow to the roots that may be seen."""
    if viewer is not None:
        # An empty list would be a condition that no index can serve, which INDEXED BY takes for an error.
        seen = sorted(viewer) or [-1]
        terms.append(f"a.root_id IN ({marks(seen)})")
        parameters.extend(seen)


def version_of(sha256: bytes | None, changed_us: int) -> str:
    """Short text that changes when the content does."""
    return format(changed_us, "x") if sha256 is None else sha256[:8].hex()


async def some_audio(db: Queries) -> bool:
    """Whether any audio is listed."""
    return await db.fetch_one("SELECT 1 FROM asset WHERE shown = 3 LIMIT 1") is not None
