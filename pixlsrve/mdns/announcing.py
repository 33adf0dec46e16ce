"""Announces on the LAN, gives way to namesakes, and says goodbye (RFC 6762).

Only this module and `namesakes` speak multicast DNS, by python-zeroconf. One responder serves all interfaces, so that a
computer that is on one LAN twice, by cable and by radio, does not take itself for a namesake.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import structlog
from zeroconf import Error, IPVersion, NonUniqueNameException, ServiceInfo
from zeroconf.asyncio import AsyncZeroconf

from pixlsrve.mdns import record
from pixlsrve.mdns.interfaces import AddressChanges, Interface
from pixlsrve.mdns.namesakes import Namesakes, Verdict
from pixlsrve.mdns.record import Announcement

log = structlog.get_logger(__name__)

GOODBYE_LIMIT_S = 4.0


class AnnouncingFailed(Exception):
    """It can't be announced; the text says why."""


class Announcer:
    """Announces `what`. `read` finds the interfaces; `note` is told those that are announced on, and the name."""

    def __init__(
        self,
        what: Announcement,
        *,
        read: Callable[[], tuple[Interface, ...]],
        note: Callable[[tuple[Interface, ...], str], None],
    ) -> None:
        self._what = what
        self._read = read
        self._note = note
        self._attempt = 1

    async def announce(self, interfaces: tuple[Interface, ...], changes: AddressChanges) -> None:
        """Announce on these interfaces until they change or a namesake wants the name; goodbye when cancelled.

        Raises AnnouncingFailed.
        """
        try:
            await self._announce(interfaces, changes)
        except NonUniqueNameException as error:
            raise AnnouncingFailed(f"every name like {self._what.name!r} is taken on the LAN.") from error
        except (OSError, Error, RuntimeError) as error:
            raise AnnouncingFailed(f"{getattr(error, 'strerror', None) or error or type(error).__name__}.") from error

    async def _announce(self, interfaces: tuple[Interface, ...], changes: AddressChanges) -> None:
        async with _responding(interfaces) as zeroconf:
            try:
                with Namesakes(zeroconf.zeroconf, changes.poke) as namesakes:
                    info = await self._register(zeroconf, interfaces, namesakes)
                    label = info.name.removesuffix(f".{record.SERVICE_TYPE}")
                    self._note(interfaces, label)
                    log.info("announced on the LAN", name=label, interfaces=[each.name for each in interfaces])
                    await self._hold(zeroconf, info, namesakes, interfaces, changes)
            except asyncio.CancelledError:
                await _say_goodbye(zeroconf)
                raise
            finally:
                self._note((), "")

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
            await changes.wait_settled()
            if self._read() != interfaces:
                return
            verdict = namesakes.verdict()
            if verdict is Verdict.GIVE_WAY:
                log.info("the name belongs to another host on the LAN too; taking another one", name=info.name)
                namesakes.withdraw()
                self._attempt = self._attempt % record.NAME_TRIES + 1
                return
            if verdict is Verdict.INSIST:
                await (await zeroconf.async_update_service(info))
                namesakes.keep_asking()


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
