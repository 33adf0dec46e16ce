"""Who there is: accounts and devices in memory as the state database has them, and what each may do now.

This process is the database's only writer; whoever commits a change puts it here before anything else can run.
"""

from __future__ import annotations

import uuid

import msgspec

from pixlsrve.auth.clock import Clock
from pixlsrve.errors import DeviceRevoked, NotAuthenticated, NotFound
from pixlsrve.model import Account, Device, LibraryAccess, Principal, Role, Subject, SubjectKind
from pixlsrve.store import accounts as account_rows
from pixlsrve.store import devices as device_rows
from pixlsrve.store.database import Database, Transaction

_REVOKED = "This device's access has been revoked; pair it again."
_REMOVED = "This account has been removed."
_UNKNOWN = "The token is not valid; get a new one."


class Directory:
    """Looks up accounts, devices, and the principals that they are; removed and revoked ones are known as such."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._accounts: dict[int, Account] = {}
        self._devices: dict[int, Device] = {}
        self._numbers: dict[str, Subject] = {}
        self._principals: dict[Subject, Principal] = {}
        self._seen: dict[int, int] = {}

    async def load(self, state: Database) -> None:
        """Read the rows."""
        for account in await account_rows.find_all(state):
            self.put_account(account)
        for device in await device_rows.find_all(state):
            self.put_device(device)

    def put_account(self, account: Account) -> None:
        """This is how the account is from now on; its devices follow."""
        self._accounts[account.id] = account
        self._numbers[account.uuid] = Subject(SubjectKind.ACCOUNT, account.id)
        self._place(Subject(SubjectKind.ACCOUNT, account.id), self._account_principal(account))
        for device in self._devices.values():
            if device.account_id == account.id:
                self._place(Subject(SubjectKind.DEVICE, device.id), self._device_principal(device))

    def put_device(self, device: Device) -> None:
        """This is how the device is from now on."""
        self._devices[device.id] = device
        subject = Subject(SubjectKind.DEVICE, device.id)
        self._numbers[device.uuid] = subject
        self._place(subject, self._device_principal(device))

    def principal(self, subject: Subject) -> Principal:
        """Who this is now. Raises DeviceRevoked, NotAuthenticated."""
        principal = self._principals.get(subject)
        if principal is None:
            raise self._refusal(subject)
        if subject.kind is SubjectKind.DEVICE:
            self._seen[subject.id] = self._clock.now_us()
        return principal

    def subject(self, uuid: str) -> Subject | None:
        """The device or account with this public id, gone ones included."""
        return self._numbers.get(uuid)

    def generation(self, subject: Subject) -> int:
        """What access tokens of this subject must say: it grows when the account's password or role changes."""
        owner = self.owner(subject)
        return 0 if owner is None else owner.generation

    def check_current(self, subject: Subject, generation: int | None) -> None:
        """Raises unless the subject is there, and of this generation where one is given."""
        self.principal(subject)
        if generation is not None and generation != self.generation(subject):
            raise NotAuthenticated("The password or the role has just been changed; sign in again.")

    def owner(self, subject: Subject) -> Account | None:
        """The account itself, or the one that a device belongs to; None for the household's devices."""
        number: int | None = subject.id
        if subject.kind is SubjectKind.DEVICE:
            number = self._devices[subject.id].account_id
        return None if number is None else self._accounts[number]

    def subject_account(self, uuid: str) -> Account:
        """The account with this public id that is left. Raises NotFound."""
        subject = self._numbers.get(uuid)
        return self.account(0 if subject is None or subject.account_id is None else subject.account_id)

    def account(self, account_id: int) -> Account:
        """An account that is left. Raises NotFound."""
        account = self._accounts.get(account_id)
        if account is None or account.removed_us is not None:
            raise NotFound("There is no such account.")
        return account

    def device(self, device_id: int) -> Device:
        """A device that is not revoked. Raises NotFound."""
        device = self._devices.get(device_id)
        if device is None or device.revoked_us is not None:
            raise NotFound("There is no such device.")
        return device

    def device_or_gone(self, device_id: int) -> Device:
        """A device that is or was here. Raises NotFound."""
        device = self._devices.get(device_id)
        if device is None:
            raise NotFound("There is no such device.")
        return device

    async def add_bare(self, transaction: Transaction, *, name: str, type_: str, at_us: int) -> Device:
        """A device of the household without key, address and tokens; `put_device` it once that is committed."""
        device = Device(id=0, uuid=str(uuid.uuid4()), name=name, type=type_, role=Role.MEMBER, paired_us=at_us)
        return msgspec.structs.replace(device, id=await device_rows.insert(transaction, device))

    def accounts(self) -> list[Account]:
        """The accounts that are left, the oldest first."""
        return [account for account in self._accounts.values() if account.removed_us is None]

    def devices(self) -> list[Device]:
        """The devices that are not revoked, the oldest first, with the time each was last heard of."""
        return [self.with_seen(device) for device in self._devices.values() if device.revoked_us is None]

    def with_seen(self, device: Device) -> Device:
        """The device with the time it was last heard of, which the database learns a little later."""
        seen_us = self._seen.get(device.id)
        return device if seen_us is None else msgspec.structs.replace(device, last_seen_us=seen_us)

    def take_seen(self) -> dict[int, int]:
        """The times to store: by device, those heard of since the last call."""
        taken, self._seen = self._seen, {}
        for device_id, at_us in taken.items():
            self._devices[device_id] = msgspec.structs.replace(self._devices[device_id], last_seen_us=at_us)
        return taken

    def _place(self, subject: Subject, principal: Principal | None) -> None:
        if principal is None:
            self._principals.pop(subject, None)
        else:
            self._principals[subject] = principal

    def _account_principal(self, account: Account) -> Principal | None:
        if account.removed_us is not None:
            return None
        return Principal(
            id=f"{SubjectKind.ACCOUNT}:{account.uuid}",
            role=account.role,
            account_id=account.uuid,
            roots=_visible(account),
        )

    def _device_principal(self, device: Device) -> Principal | None:
        owner = None if device.account_id is None else self._accounts[device.account_id]
        if device.revoked_us is not None or (owner is not None and owner.removed_us is not None):
            return None
        return Principal(
            id=f"{SubjectKind.DEVICE}:{device.uuid}",
            role=device.role if owner is None else owner.role,
            device_id=device.uuid,
            account_id=None if owner is None else owner.uuid,
            roots=None if owner is None else _visible(owner),
        )

    def _refusal(self, subject: Subject) -> NotAuthenticated:
        if subject.kind is SubjectKind.DEVICE:
            return DeviceRevoked(_REVOKED) if subject.id in self._devices else NotAuthenticated(_UNKNOWN)
        return DeviceRevoked(_REMOVED) if subject.id in self._accounts else NotAuthenticated(_UNKNOWN)


def _visible(account: Account) -> frozenset[int] | None:
    """The roots that an account may see; None for all, which admins always do."""
    if account.role is Role.ADMIN or account.library is LibraryAccess.ALL:
        return None
    return account.roots if account.library is LibraryAccess.SOME else frozenset()
