"""Has the service announced on every LAN: when, on which interfaces, and what became of it."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import Collection
from typing import Any

import structlog

from pixlsrve.mdns.interfaces import Address, AddressChanges, Interface, lan_interfaces
from pixlsrve.mdns.record import Announcement

log = structlog.get_logger(__name__)

RETRY_S = 5.0
LONGEST_RETRY_S = 60.0


class Advertiser:
    """Announces `what` until it is cancelled; a service (see `services`).

    `bound` are the addresses that HTTP listens on: others are not announced. `excluded` are interfaces that are no
    LAN: the tunnel's. With `is_on` false nothing is announced.
    """

    def __init__(
        self, what: Announcement, *, bound: Collection[str], excluded: Collection[str] = (), is_on: bool = True
    ) -> None:
        self._what = what
        self._is_on = is_on
        self._bound = [ipaddress.ip_address(text.partition("%")[0]) for text in bound]
        self._is_local = all(address.is_loopback for address in self._bound)
        self._excluded = excluded
        self._interfaces: tuple[Interface, ...] = ()
        self._label = ""
        self._trouble = ""

    async def run(self) -> None:
        """Announce, whenever there is a network to announce on, until cancelled; then say goodbye."""
        if self._is_local or not self._is_on:
            await asyncio.Event().wait()
        from pixlsrve.mdns.announcing import Announcer, AnnouncingFailed  # imported late: no start waits for it

        announcer = Announcer(self._what, read=self._read, note=self._note)
        retry_s = RETRY_S
        with AddressChanges() as changes:
            while True:
                interfaces = self._read()
                if not interfaces:
                    await changes.wait()
                    continue
                try:
                    await announcer.announce(interfaces, changes)
                    retry_s = RETRY_S
                except AnnouncingFailed as error:
                    self._fail(str(error))
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(retry_s):
                            await self._until_other_than(interfaces, changes)
                    retry_s = min(retry_s * 2, LONGEST_RETRY_S)

    @property
    def is_announced(self) -> bool:
        """Whether phones on the LAN can find us just now."""
        return bool(self._label)

    def status(self) -> dict[str, Any]:
        """What `pixlsrve status --json` shows under `mdns`."""
        if not self._is_on:
            return {"enabled": False, "reason": "switched off"}
        if self._is_local:
            return {"enabled": False, "reason": "HTTP listens on this computer only"}
        if not self._label:
            return {"enabled": False, "reason": self._trouble or "no network"}
        return {
            "enabled": True,
            "name": self._label,
            "interfaces": [interface.name for interface in self._interfaces],
            "addresses": [str(address) for interface in self._interfaces for address in interface.addresses],
        }

    def notices(self) -> list[dict[str, str]]:
        """What is wrong, with its remedy."""
        if not self._trouble:
            return []
        return [
            {
                "message": f"Phones can't find this host on the LAN by themselves: {self._trouble}",
                "remedy": "If another program keeps UDP port 5353 to itself, let it share the port (in "
                "avahi-daemon.conf: disallow-other-stacks=no); --no-mdns switches announcing off.",
            }
        ]

    def _read(self) -> tuple[Interface, ...]:
        return lan_interfaces(self._excluded, self._is_listened_on)

    def _is_listened_on(self, address: Address) -> bool:
        """Whether HTTP answers at an address: it listens there, or at all of its family."""
        return any(
            bound == address or (bound.is_unspecified and bound.version == address.version) for bound in self._bound
        )

    async def _until_other_than(self, interfaces: tuple[Interface, ...], changes: AddressChanges) -> None:
        """Wait until the interfaces or their addresses are no longer these."""
        while self._read() == interfaces:
            await changes.wait_settled()

    def _note(self, interfaces: tuple[Interface, ...], label: str) -> None:
        """What is announced from now on, and under which name; empty for nothing."""
        self._interfaces, self._label = interfaces, label
        if label:
            self._trouble = ""

    def _fail(self, trouble: str) -> None:
        """Keep why it can't be done, and say so once."""
        if trouble != self._trouble:
            log.warning("announcing on the LAN failed", cause=trouble)
        self._trouble = trouble
