"""What the helper does for one service, from its coming to its going, and what it refuses to do (THREATS T35, T38).

The service is believed in nothing: names, addresses, keys and networks are checked here against each other and against
what the computer really has, so that a service that was taken over can do no more than run a tunnel into itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Collection
from ipaddress import AddressValueError, IPv4Address, IPv4Interface, IPv4Network, NetmaskValueError
from pathlib import Path

import structlog

from pixlsrve.config import WireguardConfig
from pixlsrve.errors import ConfigError
from pixlsrve.wg import addresses, direct
from pixlsrve.wg.dns.listeners import open_sockets
from pixlsrve.wg.forwarding import Forwarding
from pixlsrve.wg.helper import frames
from pixlsrve.wg.interface import Backend, DesiredPeer, InterfaceSettings, TunnelUnavailable
from pixlsrve.wg.isolation import Isolation, Rules, system_isolation
from pixlsrve.wg.lan import check_overlap, lan_networks
from pixlsrve.wg.watch import rules_watched

log = structlog.get_logger(__name__)

DNS_PORT = 53
OWN_NAMES = "pixlsrve"
"""An interface that exists already may be taken over when its name begins so."""
SETTLE_S = 0.2
_INTERFACES = Path("/sys/class/net")
_SHARED = IPv4Network("100.64.0.0/10")
"""RFC 6598; other tunnels use it too."""
Sockets = tuple[socket.socket, socket.socket]


class Session:
    """One service's tunnel. Its calls are made one after the other, but for `lost`."""

    def __init__(
        self,
        choose: Callable[[], Awaitable[tuple[Backend, str]]] = direct.choose,
        isolation: Isolation | None = None,
        forwarding: Forwarding | None = None,
    ) -> None:
        self._choose = choose
        self._isolation = isolation or system_isolation()
        self._forwarding = forwarding or Forwarding()
        self._backend: Backend | None = None
        self._rules: Rules | None = None
        self._is_made = False
        self._turn = asyncio.Lock()

    async def answer(self, request: frames.AnyRequest) -> tuple[frames.AnyReply, Sockets | None]:
        """The reply to a request, with sockets where it asked for some. Never raises TunnelUnavailable."""
        async with self._turn:
            try:
                if isinstance(request, frames.OpenDns):
                    return await self._open_dns()
                return await self._do(request), None
            except TunnelUnavailable as error:
                return frames.Refused(error.message, error.remedy, error.reason), None

    async def lost(self) -> None:
        """Wait until the interface, or what drives it, has gone by itself."""
        if self._backend is not None and self._is_made:
            await self._backend.lost()

    async def guard(self) -> None:
        """Put the rules back whenever somebody takes them away, until cancelled; without them there is no tunnel."""
        changed = asyncio.Event()
        with rules_watched(changed.set):
            while True:
                await changed.wait()
                await asyncio.sleep(SETTLE_S)
                changed.clear()
                async with self._turn:
                    await self._keep_rules()

    async def end(self) -> None:
        """Leave nothing behind."""
        async with self._turn:
            await self._tear_down()
            with contextlib.suppress(TunnelUnavailable):
                await self._isolation.lift()
            self._forwarding.restore()

    async def _do(self, request: frames.AnyRequest) -> frames.AnyReply:
        """One request's reply. Raises TunnelUnavailable."""
        match request:
            case frames.Choose():
                await self._tear_down()
                self._backend, why = await self._choose()
                return frames.Chosen(self._backend.name, why)
            case frames.Enforce():
                return await self._enforce(request)
            case frames.Ensure():
                return await self._ensure(request)
            case frames.Apply():
                put = [
                    DesiredPeer(public_key=each.public_key, address=self._guest(each.address)) for each in request.put
                ]
                _check_distinct(put)
                await self._made().apply(put=put, remove=request.remove)
            case frames.ListPeers():
                return frames.Peers(await self._made().peers())
            case frames.AskPort():
                backend = self._made()
                return frames.Made(backend.interface, await backend.listening_port())
            case frames.Forward():
                return self._forward(request)
            case frames.TearDown():
                await self._tear_down()
            case frames.Lift():
                await self._lift()
            case _:
                raise TunnelUnavailable("That is asked on a connection of its own.")
        return frames.Done()

    async def _enforce(self, request: frames.Enforce) -> frames.Changed:
        """Rules for one interface and one network of the tunnel. Raises TunnelUnavailable."""
        address = _host_address(request.address)
        config = WireguardConfig(interface=request.interface, network=str(address.network))
        check_overlap(config)
        if self._is_made and self._rules is not None and self._rules.interface != request.interface:
            raise _forbidden("The tunnel has another interface.")
        if not self._is_made:
            _check_free(request.interface)
        lan = tuple(sorted(map(_network, request.lan)))
        there = lan_networks(config)
        if not set(lan) <= {network for _, network in there} or not set(request.opened) <= {name for name, _ in there}:
            raise _forbidden("Only networks of this computer can be opened.")
        if self._rules is not None and self._rules.interface != request.interface:
            await self._isolation.lift()
        opened = {*request.opened, *self._openable(lan, there)}
        rules = Rules(interface=request.interface, address=address, lan=lan, opened=tuple(sorted(opened)))
        if not self._forwarding.opened <= (opened if lan else set()):
            self._forwarding.restore()  # never open without the rule that keeps all others from going through
        changed = await self._isolation.enforce(rules)
        self._rules = rules
        return frames.Changed(changed)

    async def _ensure(self, request: frames.Ensure) -> frames.Made:
        """The interface, which the rules in force are about. Raises TunnelUnavailable."""
        rules, backend = self._rules, self._backend
        if backend is None or rules is None:
            raise _forbidden("There is no tunnel without its rules.")
        if (request.name, request.address) != (rules.interface, str(rules.address)):
            raise _forbidden("The rules in force are another tunnel's.")
        if not self._is_made:
            _check_free(request.name)
        settings = InterfaceSettings(
            name=request.name, private_key=request.private_key, port=request.port, address=rules.address
        )
        await backend.ensure(settings)
        self._is_made = True
        return frames.Made(backend.interface, await backend.listening_port())

    def _forward(self, request: frames.Forward) -> frames.Unopened:
        """Raises TunnelUnavailable for interfaces that the rules in force do not open."""
        backend, rules = self._made(), self._rules
        if not request.is_open or rules is None or not rules.lan:
            self._forwarding.close(backend.interface)
            return frames.Unopened([])
        config = WireguardConfig(interface=rules.interface, network=str(rules.address.network))
        led = {name for name, network in lan_networks(config) if network in rules.lan}
        if not set(request.lan) <= (led if self._forwarding.is_router else led & set(rules.opened)):
            raise _forbidden("Only networks that the rules are about can be opened.")
        return frames.Unopened(self._forwarding.open(backend.interface, request.lan))

    def _openable(self, lan: Collection[IPv4Network], there: Collection[tuple[str, IPv4Network]]) -> set[str]:
        """The interfaces that would forward for the tunnel's sake only, and so for nobody else."""
        return set() if self._forwarding.is_router else {name for name, network in there if network in lan}

    async def _open_dns(self) -> tuple[frames.AnyReply, Sockets | None]:
        """Sockets at the only address and port that there can be. Raises TunnelUnavailable."""
        backend, rules = self._made(), self._rules
        if rules is None:
            raise _forbidden("There is no tunnel without its rules.")
        try:
            return frames.Done(), open_sockets(str(rules.address.ip), DNS_PORT, backend.interface)
        except OSError as error:
            return frames.Failed(error.errno or 0, error.strerror or str(error)), None

    async def _keep_rules(self) -> None:
        """The rules in force, or no interface."""
        if self._rules is None:
            return
        try:
            await self._isolation.enforce(self._rules)
        except TunnelUnavailable as error:
            log.warning("the tunnel is taken down", reason=error.text)
            await self._tear_down()
            self._forwarding.restore()

    async def _lift(self) -> None:
        """No rules; only where there is no interface any more. Raises TunnelUnavailable."""
        if self._is_made:
            raise _forbidden("The rules stay as long as there is an interface.")
        self._rules = None
        self._forwarding.restore()
        await self._isolation.lift()

    async def _tear_down(self) -> None:
        backend, self._backend = self._backend, None
        self._is_made = False
        if backend is not None:
            await backend.tear_down()

    def _made(self) -> Backend:
        """The backend of the interface. Raises TunnelUnavailable where there is none yet."""
        if self._backend is None or not self._is_made:
            raise TunnelUnavailable("The tunnel's interface was not made yet.")
        return self._backend

    def _guest(self, text: str) -> IPv4Address:
        """A phone's address. Raises TunnelUnavailable for one that is none of the tunnel's network."""
        rules = self._rules
        try:
            address = IPv4Address(text)
        except AddressValueError as error:
            raise _forbidden(f"{text!r} is no address.") from error
        if rules is not None:
            network = rules.address.network
            taken = {rules.address.ip, network.network_address, network.broadcast_address}
            if address in network and address not in taken:
                return address
        raise _forbidden(f"{address} is no phone's address in the tunnel.")


def _forbidden(message: str, remedy: str = "") -> TunnelUnavailable:
    """What the service may not have done, whoever it has become."""
    return TunnelUnavailable(message, remedy, reason="not_permitted")


def _check_free(name: str) -> None:
    """Raises TunnelUnavailable for an interface that is none of ours: everybody's have names that are known."""
    if name in (".", ".."):
        raise _forbidden("That is no interface's name.")
    if (_INTERFACES / name).exists() and not name.startswith(OWN_NAMES):
        raise TunnelUnavailable(
            f"The network interface {name} exists already.",
            f"Remove it with `ip link delete {name}`, or set wireguard.interface to a name that is free.",
            reason="interface_taken",
        )


def _check_distinct(peers: list[DesiredPeer]) -> None:
    """Raises TunnelUnavailable where two phones were to have one address, or one phone two (THREATS T35)."""
    if len({peer.public_key for peer in peers}) < len(peers) or len({peer.address for peer in peers}) < len(peers):
        raise _forbidden("Each phone has one address, and each address one phone.")


def _host_address(text: str) -> IPv4Interface:
    """The host's address with the tunnel's network. Raises TunnelUnavailable unless both may be a tunnel's."""
    try:
        address = IPv4Interface(text)
        network = addresses.parse_network(str(address.network))
    except (AddressValueError, NetmaskValueError, ConfigError) as error:
        raise _forbidden(f"{text!r} is no tunnel's network.") from error
    first = addresses.address_of(network, addresses.SERVER_NUMBER)
    is_local = network.is_private or network.subnet_of(_SHARED)
    if not is_local or network.is_loopback or network.is_link_local or address.ip != first:
        raise _forbidden(
            f"The tunnel can't have the network {network}.",
            'Set wireguard.network to a private one, such as "10.100.0.0/24".',
        )
    return address


def _network(text: str) -> IPv4Network:
    """Raises TunnelUnavailable for what is no network."""
    try:
        return IPv4Network(text)
    except ValueError as error:
        raise _forbidden(f"{text!r} is no network.") from error
