"""The songs of devices: what they say they have, what was transferred, and who may see it (THREATS T17)."""

from __future__ import annotations

import unicodedata
import uuid
from collections.abc import Sequence

from pixlsrve.auth.clock import Clock
from pixlsrve.auth.finish import finish
from pixlsrve.errors import InvalidInput, NotFound
from pixlsrve.media.uploads.stored import Stored
from pixlsrve.model import Device
from pixlsrve.store import songs as rows
from pixlsrve.store.database import Database, Transaction
from pixlsrve.store.songs import Got, Listed, Song

LONGEST_PATH = 4_096
LONGEST_TEXT = 500
LARGEST_BYTES = 1 << 50
BATCH = 500
"""Songs in one call or transaction."""
MOST_SONGS = 200_000
"""Songs of one device: they are kept in the database that can't be rebuilt (THREATS T32)."""


def check(song: Listed) -> None:
    """Raises InvalidInput for what can't be a file of a device. Any separators go: the path is the device's to read."""
    text = song.path
    if not 1 <= len(text) <= LONGEST_PATH or any(unicodedata.category(letter) in {"Cc", "Cs"} for letter in text):
        raise InvalidInput(
            f"A song's path has 1 to {LONGEST_PATH} characters, none of them a control character.",
            reason="invalid_field",
            parameter="path",
        )
    inner = text.replace("\\", "/").removeprefix("/").split("/")
    if any(part in {"", ".", ".."} for part in inner):  # the host would ask the device for another address with it
        raise InvalidInput(
            "A song's path goes straight down: no `.`, no `..`, nothing empty between separators.",
            reason="invalid_field",
            parameter="path",
        )
    if not 0 <= song.size_bytes <= LARGEST_BYTES:
        raise InvalidInput("A song's size_bytes is out of range.", reason="invalid_field", parameter="size_bytes")
    for name, value in (("title", song.title), ("artist", song.artist)):
        if value is not None and len(value) > LONGEST_TEXT:
            raise InvalidInput(
                f"The field {name} has {LONGEST_TEXT} characters at most.", reason="invalid_field", parameter=name
            )


class Songs:
    """Reads and writes the rows."""

    def __init__(self, state: Database, clock: Clock) -> None:
        self._state = state
        self._clock = clock

    async def find(self, song_id: str) -> Song:
        """A song by its id. Raises NotFound."""
        try:
            text = str(uuid.UUID(song_id))
        except ValueError:
            text = ""
        song = await rows.find(self._state, text) if text == song_id.lower() else None
        if song is None:
            raise NotFound("There is no such song.")
        return song

    async def of_device(self, device: Device, *, after_id: int = 0, limit: int = BATCH) -> list[Song]:
        """The device's next songs."""
        return await rows.find_page(self._state, device.id, after_id=after_id, limit=limit)

    async def add(self, device: Device, listed: Sequence[Listed]) -> list[Song]:
        """What the device says of these files, in their order; new ones get an id. Raises InvalidInput."""
        for song in listed:
            check(song)
        await finish(self._save(device, listed, 0))
        paths = [song.path for song in listed]
        found: dict[str, Song] = {}
        for start in range(0, len(paths), BATCH):
            for song_ in await rows.find_by_paths(self._state, device.id, paths[start : start + BATCH]):
                found[song_.path] = song_
        return [found[path] for path in paths]

    async def begin_listing(self, device: Device) -> int:
        """The number of a new whole listing of the device's files."""
        return await rows.next_listing(self._state, device.id)

    async def list_batch(self, device: Device, listing: int, listed: Sequence[Listed]) -> None:
        """A part of that listing; only what changed is written anew."""
        known = {song.path: song for song in await rows.find_by_paths(self._state, device.id, [s.path for s in listed])}
        same = [known[song.path].id for song in listed if _is_same(known.get(song.path), song)]
        changed = [song for song in listed if not _is_same(known.get(song.path), song)]
        now_us = self._clock.now_us()
        async with self._state.transaction() as transaction:
            await self._check_room(transaction, device, len(changed))
            await rows.mark_listed(transaction, same, listing)
            await rows.save_listed(
                transaction, device.id, [(str(uuid.uuid4()), song) for song in changed], listing=listing, at_us=now_us
            )

    async def end_listing(self, device: Device, listing: int, *, began_us: int) -> None:
        """The listing is whole: what isn't in it and never came is forgotten, unless it was told of since it began."""
        async with self._state.transaction() as transaction:
            await rows.delete_unlisted(transaction, device.id, listing, before_us=began_us)

    async def adopt(self, device: Device) -> None:
        """Files that the device has renamed or copied have what was transferred under their other name."""
        async with self._state.transaction() as transaction:
            await rows.adopt(transaction, device.id)

    async def wanted(self, device: Device, listing: int | None, *, after_id: int, limit: int = 200) -> list[Song]:
        """The next songs to transfer."""
        return await rows.find_wanted(self._state, device.id, listing=listing, after_id=after_id, limit=limit)

    async def count_wanted(self, device: Device, listing: int | None) -> tuple[int, int]:
        """How many songs are to be transferred, and their bytes."""
        return await rows.count_wanted(self._state, device.id, listing=listing)

    async def note(self, transaction: Transaction, song: Song, stored: Stored) -> None:
        """Note what a transfer brought, as part of the transaction that records it."""
        got = Got(
            sha256=stored.sha256,
            at_us=self._clock.now_us(),
            asset_uuid=stored.asset_id,
            root_id=stored.root_id,
            stored_path=stored.raw_path,
        )
        await rows.save_got(transaction, song, got)

    async def refuse(self, song: Song, reason: str) -> None:
        """Note that this version of a song is not wanted."""
        async with self._state.transaction() as transaction:
            await rows.save_refused(transaction, song, reason)

    async def _check_room(self, transaction: Transaction, device: Device, number: int) -> None:
        """Raises InvalidInput where so many more might be too many."""
        if await rows.count(transaction, device.id) + number > MOST_SONGS + BATCH:
            raise InvalidInput(f"A device has at most {MOST_SONGS} songs.", reason="too_many_songs")

    async def _save(self, device: Device, listed: Sequence[Listed], listing: int) -> None:
        now_us = self._clock.now_us()
        async with self._state.transaction() as transaction:
            await self._check_room(transaction, device, len(listed))
            named = [(str(uuid.uuid4()), song) for song in listed]
            await rows.save_listed(transaction, device.id, named, listing=listing, at_us=now_us)


def _is_same(song: Song | None, listed: Listed) -> bool:
    """Whether the row says already what the device says."""
    if song is None:
        return False
    facts = (song.size_bytes, song.mtime_ns, song.sha256)
    return facts == (listed.size_bytes, listed.mtime_ns, listed.sha256)
