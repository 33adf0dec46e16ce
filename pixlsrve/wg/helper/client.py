"""The service's side of the tunnel's helper: what looks like a backend, rules and switches, and is asked of the helper.

Calls go from threads, one at a time, and wait for their answers at most LIMIT_S. The helper takes everything down when
its connection ends; whoever asks next then finds no interface, is told so, and the tunnel is brought up anew.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TypeVar

from pixlsrve.wg.forwarding import Forwarding
from pixlsrve.wg.helper import frames
from pixlsrve.wg.interface import Backend, DesiredPeer, InterfaceSettings, PeerState, TunnelUnavailable
from pixlsrve.wg.isolation import Rules

VARIABLE = "PIXLSRVE_TUNNEL_SOCKET"
LIMIT_S = 45.0
_GONE = "The tunnel's helper is not there"
_REMEDY = "It is started again soon; `systemctl status pixlsrve-tunnel.service` says more."
ReplyT = TypeVar("ReplyT", bound=frames.Reply)


def socket_path() -> Path | None:
    """The helper's socket; None where there is no helper."""
    named = os.environ.get(VARIABLE, "")
    return Path(named) if named and Path(named).is_socket() else None


class Link:
    """The connection to the helper, made when it is first needed and again after its end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket: socket.socket | None = None
        self._turn = threading.Lock()

    async def ask(self, request: frames.Request, kind: type[ReplyT]) -> ReplyT:
        """The reply, from a thread. Raises TunnelUnavailable."""
        return await asyncio.to_thread(self.ask_here, request, kind)

    def ask_here(self, request: frames.Request, kind: type[ReplyT]) -> ReplyT:
        """The reply; blocks. Raises TunnelUnavailable."""
        with self._turn:
            reply, descriptors = self._exchange(request)
        _close(descriptors)
        return _expected(reply, kind)

    def open_sockets(self, address: str, port: int, interface: str | None) -> tuple[socket.socket, socket.socket]:
        """A datagram and a listening socket for names in the tunnel; blocks. Raises OSError.

        The helper knows address, port and interface and would give no others.
        """
        try:
            with self._turn:
                reply, descriptors = self._exchange(frames.OpenDns())
            if isinstance(reply, frames.Failed):
                raise OSError(reply.errno, reply.text)
            _expected(reply, frames.Done)
        except TunnelUnavailable as error:
            raise OSError(error.message) from error
        made = [socket.socket(fileno=descriptor) for descriptor in descriptors]
        for each in made:
            each.setblocking(False)
        if len(made) != 2:
            for each in made:
                each.close()
            raise OSError("the tunnel's helper gave no sockets")
        return made[0], made[1]

    def close(self) -> None:
        """End the connection, and with it the tunnel."""
        with self._turn:
            self._drop()

    def _exchange(self, request: frames.Request) -> tuple[frames.AnyReply, list[int]]:
        """Send, and read. Raises TunnelUnavailable; the connection then is closed, for nobody knows where it stands."""
        try:
            connection = self._socket = self._socket or _connect(self.path)
            connection.sendall(frames.encode(request))
            head, descriptors, _, _ = socket.recv_fds(connection, frames.LENGTH.size, 2)
            try:
                return frames.decode_reply(_body(connection, head)), descriptors
            except BaseException:
                _close(descriptors)
                raise
        except OSError as error:
            self._drop()
            raise TunnelUnavailable(f"{_GONE}: {error.strerror or error}.", _REMEDY) from error
        except TunnelUnavailable:
            self._drop()
            raise

    def _drop(self) -> None:
        connection, self._socket = self._socket, None
        if connection is not None:
            connection.close()


class HelperBackend:
    """The interface that the helper has for us."""

    def __init__(self, link: Link, name: str) -> None:
        self.name = name
        self._link = link
        self._interface = ""

    @property
    def interface(self) -> str:
        """The interface's name; empty before it was made."""
        return self._interface

    async def ensure(self, settings: InterfaceSettings) -> None:
        """Have the interface. Raises TunnelUnavailable."""
        request = frames.Ensure(settings.name, settings.private_key, settings.port, str(settings.address))
        self._interface = (await self._link.ask(request, frames.Made)).interface

    async def apply(self, *, put: Collection[DesiredPeer], remove: Collection[bytes]) -> None:
        """Add or correct peers, then drop some. Raises TunnelUnavailable."""
        peers = [frames.Peer(peer.public_key, str(peer.address)) for peer in put]
        await self._link.ask(frames.Apply(peers, list(remove)), frames.Done)

    async def peers(self) -> list[PeerState]:
        """Every peer. Raises TunnelUnavailable."""
        return (await self._link.ask(frames.ListPeers(), frames.Peers)).peers

    async def listening_port(self) -> int:
        """The UDP port. Raises TunnelUnavailable."""
        return (await self._link.ask(frames.AskPort(), frames.Made)).port

    async def lost(self) -> None:
        """Wait for the loss of the interface, or of the helper itself."""
        try:
            reader, writer = await asyncio.open_unix_connection(self._link.path)
        except OSError:
            return
        try:
            writer.write(frames.encode(frames.Watch()))
            await reader.read(1)
        except OSError:
            return
        finally:
            writer.close()

    async def tear_down(self) -> None:
        """Remove the interface; by ending the connection where it can't be asked for."""
        self._interface = ""
        try:
            await self._link.ask(frames.TearDown(), frames.Done)
        except TunnelUnavailable:
            await asyncio.to_thread(self._link.close)


class HelperIsolation:
    """The rules that the helper enforces for us."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def enforce(self, rules: Rules) -> bool:
        """Have the rules in force; whether they were put (back). Raises TunnelUnavailable."""
        lan = [str(network) for network in rules.lan]
        request = frames.Enforce(rules.interface, str(rules.address), lan, list(rules.opened))
        return (await self._link.ask(request, frames.Changed)).changed

    async def lift(self) -> None:
        """Take them away, and end the connection. Raises TunnelUnavailable."""
        try:
            await self._link.ask(frames.Lift(), frames.Done)
        finally:
            await asyncio.to_thread(self._link.close)


class HelperForwarding(Forwarding):
    """The switches that the helper sets for us; anybody may read them. Where it can't, nothing is opened."""

    def __init__(self, link: Link) -> None:
        super().__init__()
        self._link = link

    def close(self, interface: str) -> None:
        """Nothing that arrives in the tunnel is forwarded; blocks."""
        self._ask([], is_open=False)

    def open(self, interface: str, lan: Iterable[str]) -> list[str]:
        """Have these interfaces forward; those that still don't. Blocks."""
        return self._ask(sorted(set(lan)), is_open=True)

    def restore(self) -> None:
        """The helper does so by itself when the rules are lifted."""

    def _ask(self, names: list[str], *, is_open: bool) -> list[str]:
        try:
            return self._link.ask_here(frames.Forward(names, is_open), frames.Unopened).names
        except TunnelUnavailable:
            return names


async def choose(link: Link) -> tuple[Backend, str]:
    """The backend that the helper has chosen, and why. Raises TunnelUnavailable."""
    chosen = await link.ask(frames.Choose(), frames.Chosen)
    return HelperBackend(link, chosen.name), chosen.why


def _connect(path: Path) -> socket.socket:
    """Raises OSError."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(LIMIT_S)
        connection.connect(str(path))
    except OSError:
        connection.close()
        raise
    return connection


def _body(connection: socket.socket, head: bytes) -> bytes:
    """What follows the first bytes of a length. Raises OSError at the connection's end."""
    (length,) = frames.LENGTH.unpack(head + _exactly(connection, frames.LENGTH.size - len(head)))
    if length > frames.MAX_REPLY_BYTES:
        raise OSError("it says too much")
    return _exactly(connection, length)


def _exactly(connection: socket.socket, count: int) -> bytes:
    parts = bytearray()
    while len(parts) < count:
        piece = connection.recv(min(count - len(parts), 1 << 16))
        if not piece:
            raise OSError("it has ended")
        parts += piece
    return bytes(parts)


def _expected(reply: frames.AnyReply, kind: type[ReplyT]) -> ReplyT:
    """Raises TunnelUnavailable for a refusal, and for what does not belong to the request."""
    if isinstance(reply, kind):
        return reply
    if isinstance(reply, frames.Refused):
        raise TunnelUnavailable(reply.message, reply.remedy, reason=reply.reason)
    raise TunnelUnavailable("The tunnel's helper does not answer as it should.", _REMEDY)


def _close(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
