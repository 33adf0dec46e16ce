"""Writing what the workers found into the index."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

import msgspec
import structlog

from pixlsrve.events import EventType
from pixlsrve.index.context import IndexContext
from pixlsrve.index.identity import uuid_text
from pixlsrve.index.pairing import repair
from pixlsrve.index.placing import SHOWN
from pixlsrve.index.wording import Wording
from pixlsrve.index.zone import local_day
from pixlsrve.media.originals import display_name
from pixlsrve.model import UNPICTURED, Content, Facts, Kind, Refusal
from pixlsrve.store import counts, files, stages, thumbnails, words
from pixlsrve.store.database import Transaction
from pixlsrve.store.date_key import date_key
from pixlsrve.store.stages import FactsRow, WorkRow

log = structlog.get_logger(__name__)

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Facts)
_DAY_US = timedelta(days=1) // timedelta(microseconds=1)


class Entered(NamedTuple):
    """A file that came with its hash: its row before and now, whether nobody had read it, and what is wrong with it."""

    before: WorkRow
    now: WorkRow
    is_new: bool
    refused: list[tuple[WorkRow, Refusal]]


class Results:
    """Commits headers and contents, a batch at a time, with words, counts and events."""

    def __init__(self, context: IndexContext, wording: Wording) -> None:
        self._context = context
        self._wording = wording

    async def put_headers(self, found: Sequence[tuple[WorkRow, Facts | Refusal]]) -> None:
        """Headers that were read, refusals included."""
        refused = await self._context.index.write(lambda tx: self._write_headers(tx, found))
        self._context.version.bump()
        self._report(refused)

    async def _write_headers(
        self, tx: Transaction, found: Sequence[tuple[WorkRow, Facts | Refusal]]
    ) -> list[tuple[WorkRow, Refusal]]:
        """The rows of headers; those that are refused now and were not before."""
        # Asked here and not before: the names may arrive meanwhile, and what was committed be named.
        labels = self._places([facts for _, facts in found])
        current = await stages.still_as(tx, [row for row, _ in found])
        fresh = [(row, facts, label) for (row, facts), label in zip(found, labels, strict=True) if row.id in current]
        await words.remove(tx, [row.date_key for row, _, _ in fresh if row.facts is not None])
        good = [self._facts_row(row, facts, label) for row, facts, label in fresh if isinstance(facts, Facts)]
        await stages.put_facts(tx, await self._with_free_keys(tx, good, [row for row, _, _ in fresh]))
        refused = [(row, facts) for row, facts, _ in fresh if isinstance(facts, Refusal)]
        await stages.refuse(
            tx, [(_stage_after(item), item.reason, item.message, True, row.id) for row, item in refused]
        )
        await self._wording.rewrite(tx, [row.id for row in good])
        await repair(tx, self._wording, [row.id for row in good if row.pair_key])
        await counts.refresh(tx, {row.folder_id for row, _, _ in fresh})
        return [(row, item) for row, item in refused if row.refusal_reason != item.reason]

    def _report(self, refused: Sequence[tuple[WorkRow, Refusal]]) -> None:
        """One line in the log for each file that went into quarantine."""
        for row, item in refused:
            path = f"{self._context.roots.get(row.root_id).name}/{display_name(row.path)}"
            log.warning("file is in quarantine", file=path, reason=item.reason, cause=item.message)

    def _places(self, facts: Sequence[Facts | Refusal]) -> list[str | None]:
        """The names of the places."""
        labels: list[str | None] = []
        for item in facts:
            place = None
            if isinstance(item, Facts) and item.latitude is not None and item.longitude is not None:
                place = self._context.places.lookup(item.latitude, item.longitude)
            labels.append(None if place is None else place.label)
        return labels

    def _facts_row(self, row: WorkRow, facts: Facts, label: str | None) -> FactsRow:
        """A header as columns."""
        mtime_us = row.mtime_ns // 1_000
        sort_us = mtime_us if facts.taken_us is None else facts.taken_us
        day = local_day(sort_us, self._context.zone)
        if facts.taken_local_us is not None:
            day = facts.taken_local_us // _DAY_US
        return FactsRow(
            kind=facts.kind.value,
            shown=SHOWN[facts.kind],
            date_key=date_key(sort_us, row.id),
            local_day=day,
            format=facts.format,
            camera=facts.camera,
            lens=facts.lens,
            iso=facts.iso,
            latitude=facts.latitude,
            longitude=facts.longitude,
            place=label,
            facts=_encoder.encode(facts),
            pair_key=facts.content_identifier if facts.kind in (Kind.PHOTO, Kind.VIDEO) else None,
            id=row.id,
            size_bytes=row.size_bytes,
            mtime_ns=row.mtime_ns,
        )

    async def _with_free_keys(self, tx: Transaction, rows: list[FactsRow], before: Sequence[WorkRow]) -> list[FactsRow]:
        """The rows with date keys that nothing else has; most keep the key they have."""
        own = {row.id: row.date_key for row in before}
        changed = [row.date_key for row in rows if row.date_key != own[row.id]]
        taken = await files.taken_date_keys(tx, changed)
        result = []
        for row in rows:
            key = row.date_key
            while key in taken and key != own[row.id]:
                key += 1
            taken.add(key)
            result.append(row._replace(date_key=key))
        return result

    async def put_contents(self, found: Sequence[tuple[WorkRow, Content | None]]) -> None:
        """Contents that were read; None for one whose bytes are the ones known."""
        await self._put_thumbnails([content for _, content in found if content is not None])

        async def work(tx: Transaction) -> tuple[list[WorkRow], list[tuple[WorkRow, Refusal, bool]]]:
            current = await stages.still_as(tx, [row for row, _ in found])
            fresh = [(row, content) for row, content in found if row.id in current]
            await stages.put_same_content(tx, [row.id for row, content in fresh if content is None])
            read = [(row, content) for row, content in fresh if content is not None]
            await stages.put_content(tx, [self._content_row(row, content) for row, content in read])
            refused = [(row, content.refusal) for row, content in read if content.refusal and not row.refusal_reason]
            verdicts = [(row, item, item.reason not in UNPICTURED) for row, item in refused]
            await stages.refuse(tx, [(2, item.reason, item.message, hides, row.id) for row, item, hides in verdicts])
            hidden = [row for row, _, hides in verdicts if hides]
            await words.remove(tx, [row.date_key for row in hidden])
            await repair(tx, self._wording, [row.id for row in hidden])
            await counts.refresh(tx, {row.folder_id for row in hidden})
            return [row for row, _ in fresh], verdicts

        current, verdicts = await self._context.index.write(work)
        self._context.version.bump()
        self._report([(row, item) for row, item, hides in verdicts if hides])
        silent = {row.id for row, _, hides in verdicts if hides}
        for row in current:
            if row.id not in silent and row.refusal_reason is None:
                self._announce(row)

    async def enter(self, tx: Transaction, row: WorkRow, verdict: Facts | Refusal, sha256: bytes) -> Entered:
        """Header and hash that a file was given on its way here. Hand on to `tell` what this returns once it counts."""
        refused = await self._write_headers(tx, [(row, verdict)]) if row.stage == 0 else []
        is_new = await stages.put_hash(tx, row.id, row.size_bytes, row.mtime_ns, sha256)
        (now,) = await stages.work_rows(tx, [row.id])
        return Entered(row, now, is_new, refused)

    def tell(self, entered: Entered) -> None:
        """Listeners hear of the file now, of its thumbnail later."""
        self._context.version.bump()
        self._report(entered.refused)
        if entered.is_new and entered.now.refusal_reason is None:
            self._announce(entered.before)

    async def _put_thumbnails(self, contents: Sequence[Content]) -> None:
        """Thumbnails first: an asset that says it has one must have it."""
        rows = [(item.sha256, side_px, jpeg) for item in contents for side_px, jpeg in item.thumbnails.items()]
        if rows:
            async with self._context.thumbnails.transaction() as tx:
                await thumbnails.put(tx, rows)

    def _content_row(self, row: WorkRow, content: Content) -> tuple[bytes, bytes | None, int, bytes | None, int]:
        """A content as columns; a size that only the decoder could tell goes into the facts."""
        facts = None
        if row.facts is not None and content.width_px is not None:
            known = _decoder.decode(row.facts)
            if known.width_px is None:
                facts = msgspec.structs.replace(known, width_px=content.width_px, height_px=content.height_px)
        encoded = None if facts is None else _encoder.encode(facts)
        return content.sha256, content.thumbhash, int(bool(content.thumbnails)), encoded, row.id

    def _announce(self, row: WorkRow) -> None:
        """Tell listeners that an asset is there, or different, with its thumbnail."""
        type_ = EventType.PHOTO_ADDED if row.sha256 is None else EventType.PHOTO_CHANGED
        data = {
            "id": uuid_text(row.uuid),
            "album_id": uuid_text(row.folder_uuid),
            "filename": display_name(row.name),
            "kind": row.kind,
        }
        self._context.bus.publish(type_, data, root_id=row.root_id)


def _stage_after(refusal: Refusal) -> int:
    """A file that can't be read has no content to hash; any other refused one is still known by its hash."""
    return 2 if refusal.reason == "unreadable" else 1
