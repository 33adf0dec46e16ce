"""Uploads that can be resumed: what is certainly on the disk, who is writing just now, and when they are over."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import uuid
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
import structlog

from pixlsrve.errors import Conflict, InvalidInput, Locked, NotFound, PixlsrveError, StorageError, TooLarge
from pixlsrve.media.uploads.room import Claim
from pixlsrve.media.uploads.service import Uploads, Wanted
from pixlsrve.media.uploads.spool import Hash, Spool
from pixlsrve.media.uploads.stored import Stored
from pixlsrve.media.uploads.whole import Whole
from pixlsrve.model import AssetId
from pixlsrve.store import uploads as rows
from pixlsrve.store.assets import Viewer
from pixlsrve.store.database import Database, Transaction
from pixlsrve.store.uploads import Session

log = structlog.get_logger(__name__)

LIFE_US = 7 * 86_400_000_000
"""After the last byte (DESIGN section 9, Uploads)."""
UNFINISHED_MAX = 256
"""Unfinished uploads of one device or account."""
CHECKPOINT_BYTES = 14 * 1024 * 1024
"""So often the bytes are made durable and the offset is written down, while the next ones arrive.

A crash costs at most two such steps and the blocks in memory, together less than 32 MiB.
"""
HASHES_KEPT = 512
SWEEP_S = 600.0
TAKE_OVER_S = 5.0
"""How long somebody who comes back waits for what is left of their broken connection to let go."""
SILENCE_S = 0.25
"""An older connection that brings nothing for so long is broken off; what it still brings is not sent twice."""


class Outcome(msgspec.Struct, frozen=True):
    """What became of a finished upload."""

    asset_id: AssetId
    is_duplicate: bool


@dataclass(slots=True)
class _Holder:
    """Who writes to an upload just now."""

    stop: Callable[[], None]
    """Has the request end soon: its sender has come back on another connection."""
    received_bytes: int = 0
    """How much has come through its hands."""
    released: asyncio.Event = field(default_factory=asyncio.Event)


class Sessions:
    """Resumable uploads by id, each its owner's alone: to others it does not exist (THREATS T15)."""

    def __init__(self, uploads: Uploads, state: Database, now_us: Callable[[], int]) -> None:
        self._uploads = uploads
        self._state = state
        self._now_us = now_us
        self._holders: dict[str, _Holder] = {}
        self._hashes: OrderedDict[str, tuple[int, Hash]] = OrderedDict()

    async def prepare(self) -> None:
        """Before the first request: take up what an earlier run has left."""
        numbers = {self._uploads.spool_path(number).name: number for number in await rows.unfinished_ids(self._state)}
        missing = await self._uploads.take_up(set(numbers))
        if missing:
            async with self._state.transaction() as tx:
                await rows.delete_sessions(tx, [numbers[name] for name in missing])

    async def run(self) -> None:
        """End the uploads that nobody has continued for a week, until cancelled."""
        while True:
            try:
                await self.expire()
            except StorageError as error:
                log.warning("old uploads could not be ended", cause=error.message)
            await asyncio.sleep(SWEEP_S)

    async def expire(self) -> None:
        """End what is over."""
        while over := await rows.sessions_before(self._state, self._now_us() - LIFE_US, 100):
            over = [session for session in over if session.id not in self._holders]
            if not over:
                return
            for session in over:
                await self._forget(session.id)

    async def create(self, owner: str, *, name: str, metadata: str, size_bytes: int) -> Session:
        """A new upload. Raises InvalidInput (empty), Conflict (too many), StorageFull, StorageError, Unavailable."""
        if size_bytes == 0:
            raise InvalidInput("The file is empty.", reason="empty")
        self._uploads.check_online()
        if await rows.count_unfinished(self._state, owner) >= UNFINISHED_MAX:
            raise Conflict(
                f"You have {UNFINISHED_MAX} unfinished uploads; finish or end some first.", reason="too_many_uploads"
            )
        await self._uploads.room.check(owner, size_bytes)
        now_us, number = self._now_us(), str(uuid.uuid4())
        session = Session(number, owner, name, metadata, size_bytes, 0, now_us, now_us, None, None, None)
        spool = await self._uploads.create_spool(number)
        try:
            async with self._state.transaction() as tx:
                await rows.add_session(tx, session)
        except BaseException:
            await spool.remove()
            raise
        await spool.close()
        self._keep_hash(number, 0, hashlib.sha256())
        return session

    async def take_whole(self, owner: str, *, name: str, metadata: str, size_bytes: int, viewer: Viewer) -> Whole:
        """A new upload all of which comes with the request that begins it: nobody could resume it, so it is written
        down when it is stored. Raises what `create` raises.
        """
        receiving = await self._uploads.begin(owner, name=name, size=size_bytes, viewer=viewer)
        return Whole(receiving, owner=owner, name=name, metadata=metadata, size_bytes=size_bytes, now_us=self._now_us)

    async def find(self, number: str, owner: str) -> Session:
        """An upload as it is now. Raises NotFound."""
        session = await rows.find_session(self._state, number, owner)
        if session is None or session.last_byte_us < self._now_us() - LIFE_US:
            raise NotFound("There is no such upload (any more).")
        return session

    async def take_over(self, number: str, owner: str) -> Session:
        """`find`, for somebody who comes back: what still writes on an older connection is told to stop.

        Raises NotFound, and Locked where that takes too long.
        """
        await self.find(number, owner)
        holder = self._holders.get(number)
        if holder is not None:
            await _wait_for(holder)
        return await self.find(number, owner)

    async def look(self, number: str, owner: str, *, viewer: Viewer, stop: Callable[[], None]) -> Session:
        """`take_over`; an upload whose bytes are all there and could not be stored when they came is stored now.

        Clients take an offset at the end for success (tus 1.0, core protocol), so it is only told of what is stored.
        Raises what `open` and `Writing.finish` raise, too.
        """
        session = await self.take_over(number, owner)
        if session.finished_us is not None or session.offset_bytes < session.size_bytes:
            return session
        writing = await self.open(number, owner, offset_bytes=session.offset_bytes, viewer=viewer, stop=stop)
        try:
            await writing.finish()
        finally:
            await writing.close()
        return await self.find(number, owner)

    async def open(
        self, number: str, owner: str, *, offset_bytes: int, viewer: Viewer, stop: Callable[[], None]
    ) -> Writing:
        """Continue an upload; `stop` is called when its sender comes back on another connection meanwhile.

        Raises NotFound, Locked, Conflict for an offset other than the upload's, StorageFull, StorageError, Unavailable.
        """
        await self.find(number, owner)
        if number in self._holders:
            raise Locked("Another request is writing to this upload.")
        holder = self._holders[number] = _Holder(stop)
        try:
            session = await self.find(number, owner)
            if session.offset_bytes != offset_bytes:
                raise Conflict("The upload is not at this offset.", reason="wrong_offset", offset=session.offset_bytes)
            return await self._open(session, viewer, holder)
        except BaseException:
            self._release(number, holder)
            raise

    async def _open(self, session: Session, viewer: Viewer, holder: _Holder) -> Writing:
        if session.finished_us is not None:
            return Writing(self, session, viewer, holder, None, None)
        self._uploads.check_online()
        claim = await self._uploads.room.claim(session.owner, session.size_bytes - session.offset_bytes)
        hashed, hash_ = self._hashes.pop(session.id, (0, None))
        if hashed != session.offset_bytes:
            hash_ = hashlib.sha256() if session.offset_bytes == 0 else None
        path = self._uploads.spool_path(session.id)
        try:
            spool = await Spool.reopen(path, self._uploads.writers, session.offset_bytes, hash_)
        except StorageError as error:
            claim.end()
            if not isinstance(error.__cause__, FileNotFoundError):
                raise
            await self._forget(session.id)
            raise NotFound("What had arrived of this upload is lost; send it again.") from error
        except BaseException:
            claim.end()
            raise
        return Writing(self, session, viewer, holder, spool, claim)

    async def end(self, number: str, owner: str) -> None:
        """Forget an upload, finished or not; a stored file stays. Raises NotFound, Locked."""
        await self.take_over(number, owner)
        await self._forget(number)

    async def _forget(self, number: str) -> None:
        """Row first: a file that belongs to no row is deleted by the next start."""
        async with self._state.transaction() as tx:
            await rows.delete_sessions(tx, [number])
        self._hashes.pop(number, None)
        path = self._uploads.spool_path(number)
        with contextlib.suppress(OSError):
            await asyncio.get_running_loop().run_in_executor(self._uploads.writers, lambda: path.unlink(True))

    # For Writing

    async def note_offset(self, number: str, offset_bytes: int) -> None:
        """So much is on the disk."""
        async with self._state.transaction() as tx:
            await rows.set_offset(tx, number, offset_bytes, self._now_us())

    async def conclude(self, session: Session, spool: Spool, viewer: Viewer) -> Outcome:
        """Everything is there: store it. Raises InvalidInput, after which the upload is over; StorageFull and so on."""

        async def also(tx: Transaction, stored: Stored) -> None:
            await rows.finish_session(tx, session.id, stored.asset_id, self._now_us(), is_duplicate=stored.is_duplicate)

        wanted = Wanted(owner=session.owner, name=session.name, viewer=viewer)
        try:
            stored = await self._uploads.conclude(spool, wanted, also, keeps=True)
        except InvalidInput:
            await self._forget(session.id)
            raise
        except StorageError as error:
            if error.reason == StorageError.reason:
                await self.give_up(session.id)
            raise
        return Outcome(stored.asset_id, stored.is_duplicate)

    async def give_up(self, number: str) -> None:
        """The disk did not keep what was written: nothing of it can be trusted (THREATS T21)."""
        with contextlib.suppress(PixlsrveError):
            await self._forget(number)

    def release(self, number: str, holder: _Holder, hashed: tuple[int, Hash] | None) -> None:
        """Nobody writes any more; `hashed` is for who continues."""
        if hashed is not None:
            self._keep_hash(number, *hashed)
        self._release(number, holder)

    def _release(self, number: str, holder: _Holder) -> None:
        self._holders.pop(number, None)
        holder.released.set()

    def _keep_hash(self, number: str, size_bytes: int, hash_: Hash) -> None:
        self._hashes[number] = size_bytes, hash_
        while len(self._hashes) > HASHES_KEPT:
            self._hashes.popitem(last=False)


class Writing:
    """One request's hold on an upload; made by `Sessions.open`, and ended by `close` whatever happens."""

    def __init__(
        self,
        sessions: Sessions,
        session: Session,
        viewer: Viewer,
        holder: _Holder,
        spool: Spool | None,
        claim: Claim | None,
    ) -> None:
        self._sessions = sessions
        self._session = session
        self._viewer = viewer
        self._holder = holder
        self._spool = spool
        self._claim = claim
        self._durable_bytes = self._marked_bytes = session.offset_bytes
        self._checkpoint: asyncio.Future[None] | None = None
        self._is_checked = False
        self._base_hash: Hash | None = None
        self._conclusion: asyncio.Future[Outcome] | None = None

    @property
    def offset_bytes(self) -> int:
        """How far the upload has come."""
        return self._session.offset_bytes if self._spool is None else self._spool.size_bytes

    def check_with(self, algorithm: str) -> Hash:
        """From now on nothing counts until `accept`: the bytes are hashed by this one of hashlib's algorithms too."""
        self._is_checked = True
        extra: Hash = hashlib.new(algorithm, usedforsecurity=False)
        if self._spool is not None:
            self._base_hash = None if self._spool.hash is None else self._spool.hash.copy()
            self._spool.extra_hash = extra
        return extra

    async def write(self, chunk: bytes) -> None:
        """Take the next bytes. Raises TooLarge beyond the announced size, StorageFull, StorageError."""
        if self.offset_bytes + len(chunk) > self._session.size_bytes:
            raise TooLarge("The upload is larger than was announced.")
        if self._spool is None or self._claim is None:
            return
        await self._claim.note_written(len(chunk))
        await self._spool.write(chunk)
        self._holder.received_bytes += len(chunk)
        is_due = self._spool.size_bytes - self._marked_bytes >= CHECKPOINT_BYTES
        if is_due and not self._is_checked and not self.is_whole:
            await self._settle()
            self._marked_bytes = self._spool.size_bytes
            self._checkpoint = asyncio.ensure_future(self._sync_behind(self._spool))

    @property
    def is_whole(self) -> bool:
        """Whether every byte has come."""
        return self.offset_bytes == self._session.size_bytes

    async def flush(self) -> None:
        """Have every byte hashed."""
        if self._spool is not None:
            await self._spool.flush()

    async def reject(self) -> None:
        """The bytes since `check_with` arrived damaged: forget them."""
        if self._spool is not None:
            await self._spool.cut(self._session.offset_bytes, self._base_hash)

    def accept(self) -> None:
        """The bytes since `check_with` count."""
        self._is_checked = False
        if self._spool is not None:
            self._spool.extra_hash = None

    async def save(self) -> None:
        """Make what has come durable. Raises StorageFull, StorageError."""
        if self._spool is not None and self._spool.size_bytes != self._durable_bytes:
            await self._save()

    async def _sync_behind(self, spool: Spool) -> None:
        """Make durable what has been written, while more arrives; then write down how far that is."""
        await self._note_durable(await spool.sync_behind())

    async def _settle(self) -> None:
        """Wait for the checkpoint that is being made. Raises StorageFull, StorageError."""
        checkpoint, self._checkpoint = self._checkpoint, None
        if checkpoint is None:
            return
        try:
            await asyncio.shield(checkpoint)
        except StorageError:
            await self._sessions.give_up(self._session.id)
            raise
        except asyncio.CancelledError:
            self._checkpoint = checkpoint
            raise

    async def _save(self) -> None:
        """Bytes first, then the offset."""
        if self._spool is None:
            return
        await self._settle()
        size_bytes = self._spool.size_bytes
        try:
            await self._spool.sync()
        except StorageError:
            await self._sessions.give_up(self._session.id)
            raise
        await self._note_durable(size_bytes)

    async def _note_durable(self, size_bytes: int) -> None:
        """Write down how much is on the disk."""
        await self._sessions.note_offset(self._session.id, size_bytes)
        if self._claim is not None:
            self._claim.note_recorded(size_bytes - self._durable_bytes)
        self._durable_bytes = size_bytes

    async def finish(self) -> Outcome | None:
        """What became of it where every byte is there, else None. Raises what `Uploads.conclude` raises."""
        if self._spool is None:
            return outcome_of(self._session)
        if self._spool.size_bytes < self._session.size_bytes:
            return None
        await self._settle()
        conclusion = self._sessions.conclude(self._session, self._spool, self._viewer)
        self._conclusion = asyncio.ensure_future(conclusion)
        return await asyncio.shield(self._conclusion)

    async def close(self) -> None:
        """Save what can be saved, and let go."""
        await asyncio.shield(asyncio.ensure_future(self._close()))

    async def _close(self) -> None:
        hashed = None
        spool = self._spool
        if self._conclusion is not None:
            await asyncio.wait({self._conclusion})  # whoever waited for it may have gone
        try:
            if spool is not None and not spool.is_closed:
                await self._settle()
                if self._is_checked:
                    await self.reject()
                await self.save()
                hashed = None if spool.hash is None else (spool.size_bytes, spool.hash)
        except PixlsrveError as error:
            log.warning("what arrived of an upload could not be kept", cause=error.message)
        finally:
            if spool is not None:
                await spool.close()
            if self._claim is not None:
                self._claim.end()
            self._sessions.release(self._session.id, self._holder, hashed)


async def _wait_for(holder: _Holder) -> None:
    """Wait until a request has let go of an upload; one that brings nothing more is stopped. Raises Locked."""
    seen_bytes = -1
    for _ in range(round(TAKE_OVER_S / SILENCE_S)):
        if holder.received_bytes == seen_bytes:
            holder.stop()
        seen_bytes = holder.received_bytes
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SILENCE_S):
                await holder.released.wait()
                return
    raise Locked("Another request is still writing to this upload.")


def outcome_of(session: Session) -> Outcome | None:
    """What became of a finished upload; None for one that is not."""
    if session.asset_id is None:
        return None
    return Outcome(AssetId(session.asset_id), bool(session.is_duplicate))
