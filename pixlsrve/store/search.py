"""Full-text search as listings of assets, and the words that complete what is being typed."""

from __future__ import annotations

import msgspec

from pixlsrve.store.assets import Kinds, Viewer, add_days, add_viewer, choose_index, from_terms, shown_term
from pixlsrve.store.database import Queries, marks
from pixlsrve.store.listing import Listing

SMALL_ALBUM = 20_000
"""Assets that are sorted by date in less time than a walk through all dates takes."""
_BELOW = "b.gone_us IS NULL AND b.root_id = ? AND (b.path = ? OR b.path >= ? AND b.path < ?)"
_COLUMNS = ("name", "folder", "camera", "lens", "place", "dates", "extra")


class AlbumTree(msgspec.Struct, frozen=True, kw_only=True):
    """An album with everything below it. `path` is relative to the root, raw bytes."""

    root_id: int
    path: bytes
    total_count: int
    key_bounds: tuple[int, int] | None = None
    """The lowest and highest date key of its photos and videos, where known."""

    @property
    def is_worth_bounding(self) -> bool:
        """Whether it can be a small part of the library."""
        return bool(self.path)


class Conditions(msgspec.Struct, frozen=True, kw_only=True):
    """What a search asks for; None and empty restrict nothing. Days are local, since 1970-01-01, both inclusive."""

    match: str | None = None
    """A safe FTS5 expression."""
    kind: Kinds = None
    kinds: frozenset[str] = frozenset()
    formats: frozenset[str] = frozenset()
    iso_min: int | None = None
    iso_max: int | None = None
    days: tuple[int | None, int | None] = (None, None)
    album: AlbumTree | None = None
    viewer: Viewer = None
    is_only_photos: bool = False
    """Whether nothing but photos and videos is listed at all."""

    @property
    def is_only_words(self) -> bool:
        """Whether every document that matches is found, so that counting the documents is enough."""
        return msgspec.structs.replace(self, match=None) == Conditions(is_only_photos=True)


def listing(asked: Conditions) -> Listing:
    """The shown assets that meet all conditions, by date."""
    terms, parameters = list[str](), list[int | str | bytes]()
    if asked.match is not None:
        # CROSS JOIN: the full-text table leads, because its rows come in date order.
        key, source = "s.rowid", "search AS s CROSS JOIN asset AS a ON a.date_key = s.rowid"
        terms.append("s.search MATCH ?")
        parameters.append(asked.match)
        if asked.album is not None and asked.album.key_bounds is not None and not _with_audio(asked):
            terms.append("s.rowid BETWEEN ? AND ?")
            parameters.extend(asked.album.key_bounds)
        terms.append(_shown(asked))
    else:
        key, source = "a.date_key", "asset AS a"
        if asked.kind is None and _with_audio(asked):
            terms.append(_shown(asked))
        else:
            index = choose_index("date", asked.kind, in_folder=_is_small(asked.album))
            source += f" INDEXED BY {index}"
            terms.append(shown_term(asked.kind, index))
    if asked.kinds:
        terms.append(f"a.kind IN ({marks(asked.kinds)})")
        parameters.extend(sorted(asked.kinds))
    add_days(terms, parameters, asked.days, in_date_order=True, key=key)
    _add_facts(terms, parameters, asked)
    if asked.album is not None:
        _add_album(terms, parameters, asked.album)
    add_viewer(terms, parameters, asked.viewer)
    counted = None
    if asked.match is not None and asked.is_only_words:
        counted = ("SELECT count(*) FROM search WHERE search MATCH ?", (asked.match,))
    return from_terms(source, terms, parameters, (key,), "a.id", counted=counted)


def _with_audio(asked: Conditions) -> bool:
    """Audio is listed only when asked for, by the parameter or in the query."""
    return asked.kind == "audio" or "audio" in asked.kinds


def _shown(asked: Conditions) -> str:
    """The kinds that may be found, as something to look at in rows that were found by their words or dates."""
    if asked.kind is not None:
        return f"+a.shown = {('photo', 'video', 'audio').index(asked.kind) + 1}"
    return "+a.shown IN (1, 2, 3)" if _with_audio(asked) else "+a.shown IN (1, 2)"


def _is_small(album: AlbumTree | None) -> bool:
    return album is not None and bool(album.path) and album.total_count <= SMALL_ALBUM


def _add_facts(terms: list[str], parameters: list[int | str | bytes], asked: Conditions) -> None:
    if asked.formats:
        terms.append(f"a.format IN ({marks(asked.formats)})")
        parameters.extend(sorted(asked.formats))
    if asked.iso_min is not None:
        terms.append("a.iso >= ?")
        parameters.append(asked.iso_min)
    if asked.iso_max is not None:
        terms.append("a.iso <= ?")
        parameters.append(asked.iso_max)


def _add_album(terms: list[str], parameters: list[int | str | bytes], album: AlbumTree) -> None:
    terms.append("a.root_id = ?")
    parameters.append(album.root_id)
    if album.path:
        # The plus sign, where much of the library is below: walk the dates and look, instead of sorting everything.
        folder = "a.folder_id" if _is_small(album) else "+a.folder_id"
        terms.append(f"{folder} IN (SELECT id FROM folder AS b WHERE {_BELOW})")  # noqa: S608  # literals
        parameters.extend(_below(album))


def _below(album: AlbumTree) -> tuple[int | bytes, ...]:
    # "0" is the character after "/": everything from `path/` to before `path0` lies below.
    return (album.root_id, album.path, album.path + b"/", album.path + b"0")


async def key_bounds(db: Queries, album: AlbumTree) -> tuple[int, int]:
    """The lowest and highest date key of the photos and videos in an album and below it."""
    sql = (
        "SELECT min((SELECT min(date_key) FROM asset WHERE folder_id = b.id AND shown IN (1, 2))),"  # noqa: S608  # literals
        " max((SELECT max(date_key) FROM asset WHERE folder_id = b.id AND shown IN (1, 2)))"
        f" FROM folder AS b WHERE {_BELOW}"
    )
    row = await db.fetch_one(sql, _below(album))
    return (0, 0) if row is None or row[0] is None else (row[0], row[1])


async def words(db: Queries, prefix: str, limit: int) -> list[tuple[str, int]]:
    """The first `limit` words of the whole library that begin with `prefix`, and how many documents have each."""
    sql = "SELECT term, doc FROM search_word WHERE term >= ? AND term < ? LIMIT ?"
    return [(row[0], row[1]) for row in await db.fetch_all(sql, (prefix, prefix + "\U0010ffff", limit))]


async def newest_words(db: Queries, match: str, viewer: Viewer, limit: int) -> list[str]:
    """The words, column by column, of the newest `limit` shown photos and videos that match."""
    terms, parameters = ["s.search MATCH ?", "+a.shown IN (1, 2)"], list[int | str | bytes]([match])
    add_viewer(terms, parameters, viewer)
    sql = (
        f"SELECT {', '.join(f's.{column}' for column in _COLUMNS)} FROM search AS s"  # noqa: S608  # literals
        f" CROSS JOIN asset AS a ON a.date_key = s.rowid WHERE {' AND '.join(terms)} ORDER BY s.rowid DESC LIMIT ?"
    )
    return [text for row in await db.fetch_all(sql, (*parameters, limit)) for text in row if text]
