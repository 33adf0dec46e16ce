"""Keeping the search words of assets in step with their names, folders and facts."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

import msgspec

from pixlsrve.index.context import PlaceLookup
from pixlsrve.media.originals import display_name
from pixlsrve.media.words import document
from pixlsrve.model import Facts
from pixlsrve.store import words
from pixlsrve.store.database import Transaction
from pixlsrve.store.words import WordSource

_decoder = msgspec.msgpack.Decoder(Facts)
_EPOCH = datetime.date(1970, 1, 1).toordinal()


class Wording:
    """Writes search documents inside the caller's transaction."""

    def __init__(self, places: PlaceLookup) -> None:
        self._places = places

    async def rewrite(self, tx: Transaction, ids: Sequence[int]) -> None:
        """Make the words of these assets anew; hidden ones, and those whose header was not read, have none."""
        sources = await words.sources(tx, ids)
        await words.remove(tx, [source.date_key for source in sources])
        rows = [(source.date_key, *self._document(source)) for source in sources if source.shown and source.facts]
        await words.put(tx, rows)

    def _document(self, source: WordSource) -> tuple[str, str, str, str, str, str, str]:
        """The seven columns of one asset."""
        facts = _decoder.decode(source.facts or b"")
        place = None
        if source.latitude is not None and source.longitude is not None:
            place = self._places.lookup(source.latitude, source.longitude)
        return document(
            name=display_name(source.name),
            folders=[display_name(part) for part in source.folder_path.split(b"/") if part],
            make=facts.camera_make,
            model=facts.camera,
            lens=facts.lens,
            places=place.names if place else (),
            day=_day(source.local_day),
            extra=(facts.title, facts.artist, facts.album, facts.caption, *facts.keywords),
        )


def _day(local_day: int) -> datetime.date | None:
    """Days since 1970 as a date; None outside the calendar."""
    try:
        return datetime.date.fromordinal(local_day + _EPOCH)
    except (ValueError, OverflowError):
        return None
