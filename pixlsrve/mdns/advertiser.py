"""Announces the service on every LAN, follows the addresses, gives way to namesakes, and says goodbye (RFC 6762).

Only this module and `namesakes` speak multicast DNS, by python-zeroconf. One responder serves all interfaces, so that a
computer that is on one LAN twice, by cable and by radio, does not take itself for a namesake.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import AsyncIterator, Collection
from typing import Any

import structlog
from zeroconf import Error, IPVersion, NonUniqueNameException, ServiceInfo
from zeroconf.asyncio import AsyncZeroconf

from pixlsrve.mdns import record
from pixlsrve.mdns.interfaces import Address, AddressChanges, Interface, lan_interfaces
from pixlsrve.mdns.namesakes import Namesakes, Verdict
from pixlsrve.mdns.record import Announcement

log = structlog.get_logger(__name__)

SETTLE_S = 0.2
"""Addresses come in groups: how long to wait for the rest of one."""
RETRY_S = 5.0
LONGEST_RETRY_S = 60.0
GOODBYE_LIMIT_S = 4.0


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
        self._attempt = 1
        self._trouble = ""

    async def run(self) -> None:
        """Announce, whenever there is a network to announce on, until cancelled; then say goodbye."""
        if self._is_local or not self._is_on:
            await asyncio.Event().wait()
        retry_s = RETRY_S
        with AddressChanges() as changes:
            while True:
                interfaces = self._read()
                if not interfaces:
                    await changes.wait()
                    continue
                try:
                    await self._announce(interfaces, changes)
                    retry_s = RETRY_S
                except (OSError, Error, RuntimeError) as error:
                    self._fail(error)
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
            await changes.wait()
            await asyncio.sleep(SETTLE_S)

    async def _announce(self, interfaces: tuple[Interface, ...], changes: AddressChanges) -> None:
        """Announce on these interfaces until they change or a namesake wants the name; goodbye when cancelled.

        Raises OSError, zeroconf.Error.
        """
        async with _responding(interfaces) as zeroconf:
            try:
                with Namesakes(zeroconf.zeroconf, changes.poke) as namesakes:
                    info = await self._register(zeroconf, interfaces, namesakes)
                    self._interfaces, self._label = interfaces, info.name.removesuffix(f".{record.SERVICE_TYPE}")
                    self._trouble = ""
                    log.info("announced on the LAN", name=self._label, interfaces=[each.name for each in interfaces])
                    await self._hold(zeroconf, info, namesakes, interfaces, changes)
            except asyncio.CancelledError:
                await _say_goodbye(zeroconf)
                raise
            finally:
                self._interfaces, self._label = (), ""

    async def _register(
        self, zeroconf: AsyncZeroconf, interfaces: tuple[Interface, ...], namesakes: Namesakes
    ) -> ServiceInfo:
        """Announce under the first name that nobody else has (RFC 6762 §8.1). Raises NonUniqueNameException."""
        while True:
            info = self._info(interfaces)
            namesakes.watch(info)
            try:
                announced = await zeroconf.async_register_service(info)
            except NonUniqueNameException:
                if self._attempt >= record.NAME_TRIES:
                    self._attempt = 1
                    raise
                self._attempt += 1
                continue
            await announced
            return info

    def _info(self, interfaces: tuple[Interface, ...]) -> ServiceInfo:
        """The records, in the library's words."""
        label = record.instance_name(self._what.name, self._attempt, self._what.host_id)
        return ServiceInfo(
            record.SERVICE_TYPE,
            record.service_name(label),
            port=self._what.api_port,
            properties=self._what.txt(),
            server=f"{record.server_name(self._what.host_id)}.",
            addresses=[address.packed for each in interfaces for address in each.addresses],
        )

    async def _hold(
        self,
        zeroconf: AsyncZeroconf,
        info: ServiceInfo,
        namesakes: Namesakes,
        interfaces: tuple[Interface, ...],
        changes: AddressChanges,
    ) -> None:
        """Answer questions until the interfaces change or we give way to a namesake."""
        namesakes.keep_asking()
        while True:
            await changes.wait()
            await asyncio.sleep(SETTLE_S)
            if self._read() != interfaces:
                return
            verdict = namesakes.verdict()
            if verdict is Verdict.GIVE_WAY:
                log.info("the name belongs to another host on the LAN too; taking another one", name=self._label)
                namesakes.withdraw()
                self._attempt = self._attempt % record.NAME_TRIES + 1
                return
            if verdict is Verdict.INSIST:
                await (await zeroconf.async_update_service(info))
                namesakes.keep_asking()

    def _fail(self, error: Exception) -> None:
        """Keep why it can't be done, and say so once."""
        if isinstance(error, NonUniqueNameException):
            trouble = f"every name like {self._what.name!r} is taken on the LAN."
        else:
            trouble = f"{getattr(error, 'strerror', None) or error or type(error).__name__}."
        if trouble != self._trouble:
            log.warning("announcing on the LAN failed", cause=trouble)
        self._trouble = trouble


@contextlib.asynccontextmanager
async def _responding(interfaces: tuple[Interface, ...]) -> AsyncIterator[AsyncZeroconf]:
    """A responder on these interfaces; closed without a goodbye, since what follows replaces what it has said.

    Raises OSError, zeroconf.Error.
    """
    choice: list[str | int | tuple[tuple[str, int, int], int]] = []
    for interface in interfaces:
        choice += [str(address) for address in interface.ipv4[:1]]
        if interface.has_ipv6:
            choice.append(interface.index)
    has_ipv4 = any(isinstance(each, str) for each in choice)
    has_ipv6 = any(isinstance(each, int) for each in choice)
    both = IPVersion.All if has_ipv4 else IPVersion.V6Only
    zeroconf = AsyncZeroconf(interfaces=choice, ip_version=both if has_ipv6 else IPVersion.V4Only)
    try:
        await zeroconf.zeroconf.async_wait_for_start()
        if not zeroconf.zeroconf.engine.senders:
            raise OSError("no interface took the multicast group")
        yield zeroconf
    finally:
        registry = zeroconf.zeroconf.registry
        registry.async_remove(registry.async_get_service_infos())
        await zeroconf.async_close()


async def _say_goodbye(zeroconf: AsyncZeroconf) -> None:
    """Withdraw what was announced (RFC 6762 §10.1), in a limited time."""
    with contextlib.suppress(TimeoutError, OSError):
        async with asyncio.timeout(GOODBYE_LIMIT_S):
            await zeroconf.async_unregister_all_services()
