"""The devices that have been paired: added, listed, found, revoked."""

from __future__ import annotations

import asyncio
import unicodedata
import uuid

import structlog

from pixlsrve.auth.clock import Clock
from pixlsrve.auth.directory import Directory
from pixlsrve.auth.finish import finish
from pixlsrve.auth.refresh import RefreshTokens, TokenPair
from pixlsrve.auth.revocation import Revocation, Tunnel
from pixlsrve.auth.sessions import Sessions
from pixlsrve.errors import InvalidInput, NotFound, PixlsrveError
from pixlsrve.events import EventBus, EventType
from pixlsrve.model import Account, Device, Principal, Role, Subject, SubjectKind
from pixlsrve.store import devices as rows
from pixlsrve.store import sessions as session_rows
from pixlsrve.store.database import Database

log = structlog.get_logger(__name__)

LONGEST_NAME = 100
LONGEST_TYPE = 32
NOTED_EVERY_S = 60.0
_UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def clean_text(text: str, name: str, longest: int) -> str:
    """A device's name or type: NFC, without spaces around it. Raises InvalidInput that names the field."""
    clean = unicodedata.normalize("NFC", text).strip()
    if not 1 <= len(clean) <= longest or any(unicodedata.category(letter) in _UNPRINTABLE for letter in clean):
        raise InvalidInput(
            f"The field {name} must have 1 to {longest} characters, none of them invisible.",
            reason="invalid_field",
            parameter=name,
        )
    return clean


class Devices:
    """Knows the devices. `run` stores from time to time when each was last heard of."""

    def __init__(
        self,
        state: Database,
        directory: Directory,
        refresh: RefreshTokens,
        sessions: Sessions,
        revocation: Revocation,
        tunnel: Tunnel,
        bus: EventBus,
        clock: Clock,
    ) -> None:
        self._state = state
        self._directory = directory
        self._refresh = refresh
        self._sessions = sessions
        self._revocation = revocation
        self._tunnel = tunnel
        self._bus = bus
        self._clock = clock

    async def add(
        self, *, name: str, type_: str, role: Role, account_id: int | None, public_key: str | None
    ) -> tuple[Device, TokenPair]:
        """A new device with its key, address and first tokens, all durable by then.

        Raises InvalidInput for a bad name or key, Conflict for a key that another live device holds, Unavailable when
        no address is left, NotFound when the account is gone.
        """
        device = Device(
            id=0,
            uuid=str(uuid.uuid4()),
            name=clean_text(name, "device_name", LONGEST_NAME),
            type=clean_text(type_, "device_type", LONGEST_TYPE),
            role=role,
            account_id=account_id,
            paired_us=self._clock.now_us(),
        )
        return await finish(self._add(device, public_key))

    def list_visible(self, viewer: Principal) -> list[Device]:
        """An admin sees all devices, a person their own, a household device itself."""
        every = self._directory.devices()
        if viewer.role is Role.ADMIN:
            return every
        return [device for device in every if self._is_own(device, viewer)]

    def list_all(self) -> list[Device]:
        """Every device that is not revoked, the oldest first."""
        return self._directory.devices()

    def by_uuid(self, device_uuid: str) -> Device:
        """The device with this public id that is not revoked. Raises NotFound."""
        return self._directory.device(self._number(device_uuid))

    def by_uuid_or_gone(self, device_uuid: str) -> Device:
        """The device with this public id, revoked or not. Raises NotFound."""
        return self._directory.device_or_gone(self._number(device_uuid))

    def named(self, text: str) -> Device:
        """The device that a person means by its number, its id, or its name. Raises NotFound, InvalidInput."""
        every = self._directory.devices()
        found = [device for device in every if text.lower() in {str(device.id), device.uuid}]
        found = found or [device for device in every if device.name.casefold() == text.casefold()]
        if not found:
            raise NotFound("There is no such device; `pixlsrve devices` shows those that exist.")
        if len(found) > 1:
            numbers = ", ".join(str(device.id) for device in found)
            raise InvalidInput(f"Several devices have that name; give the number: {numbers}.", reason="ambiguous")
        return found[0]

    def owner(self, device: Device) -> Account | None:
        """The account that a device belongs to; None for the household's."""
        return self._directory.owner(Subject(SubjectKind.DEVICE, device.id))

    def role(self, device: Device) -> Role:
        """What the device may do now."""
        owner = self.owner(device)
        return device.role if owner is None else owner.role

    async def revoke(self, device: Device) -> Device:
        """Take a device's access away; its tokens fail from the next request on."""
        return await self._revocation.revoke_device(device.id)

    async def run(self) -> None:
        """Store the times of last use every minute, until cancelled."""
        while True:
            await asyncio.sleep(NOTED_EVERY_S)
            try:
                await self.save_seen()
            except PixlsrveError as error:
                # They are worth less than a word on every full disk; the next round has newer ones.
                log.debug("times of last use were not stored", error=error.message)

    async def save_seen(self) -> None:
        """Store when devices and sessions were last used."""
        seen, used = self._directory.take_seen(), self._sessions.take_used()
        if not seen and not used:
            return
        async with self._state.transaction() as transaction:
            await rows.save_seen(transaction, seen.items())
            await session_rows.save_used(transaction, used)

    def _number(self, device_uuid: str) -> int:
        """The device's number; hexadecimal digits may be in either case (RFC 9562 §4). Raises NotFound."""
        subject = self._directory.subject(device_uuid.lower())
        if subject is None or subject.kind is not SubjectKind.DEVICE:
            raise NotFound("There is no such device.")
        return subject.id

    def _is_own(self, device: Device, viewer: Principal) -> bool:
        if viewer.device_id == device.uuid:
            return True
        owner = self.owner(device)
        return owner is not None and owner.uuid == viewer.account_id

    async def _add(self, device: Device, public_key: str | None) -> tuple[Device, TokenPair]:
        async with self._state.transaction() as transaction:
            if device.account_id is not None:
                self._directory.account(device.account_id)
            device_id = await rows.insert(transaction, device)
            await self._tunnel.provision(transaction, device_id, public_key, device.paired_us)
            family = await self._refresh.begin(transaction, Subject(SubjectKind.DEVICE, device_id))
            added = await rows.find(transaction, device_id) or device
        self._directory.put_device(added)
        tokens = self._refresh.keep(family)
        self._announce(added)
        return added, tokens

    def _announce(self, device: Device) -> None:
        owner = self.owner(device)
        audience = frozenset({device.uuid} | ({owner.uuid} if owner is not None else set()))
        data = {"device_id": device.uuid, "number": device.id, "name": device.name, "type": device.type}
        self._bus.publish(EventType.DEVICE_PAIRED, data, audience=audience)
