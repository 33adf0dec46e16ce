"""Resumable uploads that need no resuming: all of one comes with the request that begins it."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from pixlsrve.media.uploads.service import Receiving
from pixlsrve.media.uploads.stored import Stored
from pixlsrve.store import uploads as rows
from pixlsrve.store.database import Transaction
from pixlsrve.store.uploads import Session


class Whole:
    """An upload that comes in one piece; made by `Sessions.take_whole`, ended by `finish` or `abandon`."""

    def __init__(
        self,
        receiving: Receiving,
        *,
        owner: str,
        name: str,
        metadata: str,
        size_bytes: int,
        now_us: Callable[[], int],
    ) -> None:
        self._receiving = receiving
        self._now_us = now_us
        begun_us, number = now_us(), str(uuid.uuid4())
        self._begun = Session(number, owner, name, metadata, size_bytes, 0, begun_us, begun_us, None, None, None)

    async def write(self, chunk: bytes) -> None:
        """Take the next bytes. Raises TooLarge, StorageFull, StorageError."""
        await self._receiving.write(chunk)

    async def finish(self) -> Session:
        """Store it; as it is kept for who missed the answer. Raises what `Receiving.finish` raises."""
        session = self._begun

        async def also(tx: Transaction, stored: Stored) -> None:
            nonlocal session
            now_us = self._now_us()
            session = self._begun._replace(
                offset_bytes=self._begun.size_bytes,
                last_byte_us=now_us,
                finished_us=now_us,
                asset_id=stored.asset_id,
                is_duplicate=stored.is_duplicate,
            )
            await rows.add_session(tx, session)
            await rows.finish_session(tx, session.id, stored.asset_id, now_us, is_duplicate=stored.is_duplicate)

        await self._receiving.finish(also)
        return session

    async def abandon(self) -> None:
        """Forget what has come; after `finish` this does nothing."""
        await self._receiving.abandon()
