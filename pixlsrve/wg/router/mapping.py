"""Keeps the tunnel's port mapped at the default router: asked for, renewed, watched, and taken back on stop."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Literal

import msgspec
import structlog

from pixlsrve.outbound import Outbound
from pixlsrve.wg.router.gateway import Address, Gateway, find_gateway
from pixlsrve.wg.router.pcp import NatPmp, Pcp
from pixlsrve.wg.router.protocol import Mapper, Mapping, NoAnswer, ProtocolName, Refusal, Wish

if TYPE_CHECKING:
    from pixlsrve.wg.router.igd import Igd

log = structlog.get_logger(__name__)

LEASE_S = 3_600
CHECK_S = 60.0
"""How often to see whether the mapping is there and the outer address still the same."""
SHORTEST_CHECK_S = 5.0
FIRST_RETRY_S, LONGEST_RETRY_S = 10.0, 600.0
STOP_S = 4.0
OTHER_PORTS = 8
_FIRST_DYNAMIC, _DYNAMIC = 49_152, 16_384
"""RFC 6335 §6: ports that nobody is assigned."""

Trouble = Literal["no_router", "no_answer", "refused", "no_outer"]
"""no_outer: it refuses, and names no address outside."""


class MappingState(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the router."""

    is_settled: bool = False
    """Whether the first attempt has come to an end."""
    router: Address | None = None
    protocol: ProtocolName | None = None
    mapping: Mapping | None = None
    trouble: Trouble | None = None
    """Why there is no mapping."""
    outer: Address | None = None
    """The address outside of a router that refuses, as far as it names one."""
    detail: str = ""
    """The router's reason in words, for `refused`."""


def make_wish(*, port: int, outer_port: int, secret: bytes, lease_s: int = LEASE_S) -> Wish:
    """What to ask the router for. All of it follows from `secret`, so that a start after a crash asks for the same."""
    nonce = hmac.digest(secret, b"pixlsrve port mapping", "sha256")[:12]
    dice = hashlib.sha256(b"ports" + nonce).digest()
    others = (int.from_bytes(dice[2 * n : 2 * n + 2]) % _DYNAMIC + _FIRST_DYNAMIC for n in range(OTHER_PORTS))
    return Wish(port=port, outer_ports=tuple(dict.fromkeys((outer_port, *others))), lease_s=lease_s, nonce=nonce)


class PortMapping:
    """The background service. `on_change` is called whenever `state` has another value."""

    def __init__(
        self,
        wish: Wish,
        *,
        find: Callable[[], Gateway | None] = find_gateway,
        check_s: float = CHECK_S,
        retry_s: float = FIRST_RETRY_S,
    ) -> None:
        self._wish = wish
        self._find = find
        self._check_s = check_s
        self._retry_s = retry_s
        self._gateway: Gateway | None = None
        self._mapper: Mapper | None = None
        self.state = MappingState()
        self.on_change: Callable[[], None] = lambda: None

    async def run(self) -> None:
        """Work until cancelled; the mapping is then taken back."""
        pause_s = self._retry_s
        async with Outbound() as outbound:
            try:
                while True:
                    await self._round(outbound)
                    mapping = self.state.mapping
                    if mapping is None:
                        await asyncio.sleep(pause_s)
                        pause_s = min(pause_s * 2, max(LONGEST_RETRY_S, self._retry_s))
                    else:
                        pause_s = self._retry_s
                        await asyncio.sleep(self._until_check(mapping))
            finally:
                await self._take_back()

    def _until_check(self, mapping: Mapping) -> float:
        """Half of the lease at the latest; not so soon that a strange lease makes us a nuisance."""
        half_s = mapping.lease_s / 2 if mapping.lease_s else self._check_s
        return min(self._check_s, max(half_s, min(SHORTEST_CHECK_S, self._check_s)))

    async def _round(self, outbound: Outbound) -> None:
        """See after the mapping once."""
        gateway = await asyncio.to_thread(self._find)
        if gateway != self._gateway:
            await self._take_back()
            self._gateway = gateway
        if gateway is None:
            self._set(MappingState(is_settled=True, trouble="no_router"))
            return
        if self._mapper is not None and self.state.mapping is not None and await self._kept(self._mapper):
            return
        await self._map(gateway, outbound)

    async def _kept(self, mapper: Mapper) -> bool:
        """Whether the mapping is still there, or there again."""
        assert self.state.mapping is not None  # noqa: S101  # the caller's condition
        try:
            mapping = await mapper.keep(self.state.mapping)
        except (NoAnswer, Refusal) as error:
            log.warning("the router has dropped the port mapping", router=str(self.state.router), cause=str(error))
            return False
        self._set(msgspec.structs.replace(self.state, mapping=mapping))
        return True

    async def _map(self, gateway: Gateway, outbound: Outbound) -> None:
        """Ask the router in every way it may know, until one works."""
        refusal, refusing = "", []
        for mapper in await self._mappers(gateway, outbound):
            try:
                mapping = await mapper.make()
            except NoAnswer as error:
                log.debug("the router does not answer", protocol=mapper.name, cause=str(error))
                continue
            except Refusal as error:
                refusal = refusal or str(error)
                refusing.append(mapper)
                continue
            self._mapper = mapper
            self._set(MappingState(is_settled=True, router=gateway.router, protocol=mapper.name, mapping=mapping))
            return
        self._mapper = None
        trouble, outer = await _why(refusing)
        self._set(MappingState(is_settled=True, router=gateway.router, trouble=trouble, outer=outer, detail=refusal))

    async def _mappers(self, gateway: Gateway, outbound: Outbound) -> list[Mapper]:
        """What worked last first, then the cheapest."""
        igd = await asyncio.to_thread(_load_igd)  # large, and needed only here
        found: list[Mapper] = [
            Pcp(gateway, self._wish),
            NatPmp(gateway, self._wish),
            igd(gateway, self._wish, outbound),
        ]
        last = self.state.protocol
        return sorted(found, key=lambda mapper: mapper.name != last)

    async def _take_back(self) -> None:
        """End the mapping, if there is one."""
        mapper, mapping = self._mapper, self.state.mapping
        self._mapper = None
        self._set(MappingState(is_settled=self.state.is_settled))
        if mapper is None or mapping is None:
            return
        with suppress(NoAnswer, Refusal, TimeoutError):  # it ends by itself then
            async with asyncio.timeout(STOP_S):
                await mapper.end(mapping)
                log.info("the router's port mapping was taken back", port=mapping.port)

    def _set(self, state: MappingState) -> None:
        """Take over what is known now, and tell of it when it is news."""
        if state == self.state:
            return
        old, self.state = self.state, state
        mapping = state.mapping
        if mapping is not None and mapping != old.mapping:
            log.info(
                "the router lets the tunnel's port in",
                router=str(state.router),
                protocol=state.protocol,
                outer=str(mapping.outer),
                port=mapping.port,
            )
        elif state.trouble is not None and state.trouble != old.trouble:
            log.warning(
                "the router does not let the tunnel's port in",
                router=None if state.router is None else str(state.router),
                trouble=state.trouble,
                detail=state.detail,
            )
        self.on_change()


async def _why(refusing: list[Mapper]) -> tuple[Trouble, Address | None]:
    """What to make of refusals: routers that are not on the internet themselves refuse without saying so."""
    if not refusing:
        return "no_answer", None
    is_hidden = False
    for mapper in refusing:
        try:
            outer = await mapper.outer()
        except (NoAnswer, Refusal):
            continue
        if outer is not None:
            return "refused", outer
        is_hidden = True
    return ("no_outer" if is_hidden else "refused"), None


def _load_igd() -> type[Igd]:
    """The UPnP part, with its libraries."""
    from pixlsrve.wg.router.igd import Igd

    return Igd
