"""What the service and the tunnel's helper say to each other: MessagePack behind a length, over a Unix socket.

Requests carry what the service means and no more: no command, no path, no program. What a type can't say (an address
within the tunnel's network, a name that is somebody else's) is checked by `session`.
"""

from __future__ import annotations

import struct
from typing import Annotated

import msgspec
from msgspec import Meta

from pixlsrve.wg.interface import PeerState, TunnelUnavailable

LENGTH = struct.Struct("!I")
MAX_REQUEST_BYTES = 8 << 20
"""65,534 peers of 60 bytes; who announces more loses its connection before a byte of it is read."""
MAX_REPLY_BYTES = 32 << 20
_MOST_PEERS = 65_534
_MOST_LAN = 64

Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_=+.-]{1,15}$")]
Key = Annotated[bytes, Meta(min_length=32, max_length=32)]
Port = Annotated[int, Meta(ge=0, le=65_535)]
Address = Annotated[str, Meta(max_length=18)]


class Request(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """What the service asks; each is answered by one reply."""


class Choose(Request, frozen=True):
    """Which backend there is: Chosen."""


class Enforce(Request, frozen=True):
    """Have the rules of `isolation.Rules` in force: Changed."""

    interface: Name
    address: Address
    lan: Annotated[list[Address], Meta(max_length=_MOST_LAN)]
    opened: Annotated[list[Name], Meta(max_length=_MOST_LAN)]


class Lift(Request, frozen=True):
    """Take the rules away, once there is no interface: Done."""


class Ensure(Request, frozen=True):
    """Have the interface: Made."""

    name: Name
    private_key: Key
    port: Port
    address: Address

    def __repr__(self) -> str:
        return f"Ensure(name={self.name!r}, port={self.port}, address={self.address!r})"


class Peer(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One peer that may use the tunnel."""

    public_key: Key
    address: Address


class Apply(Request, frozen=True):
    """Add or correct peers, then drop some: Done."""

    put: Annotated[list[Peer], Meta(max_length=_MOST_PEERS)]
    remove: Annotated[list[Key], Meta(max_length=_MOST_PEERS)]


class ListPeers(Request, frozen=True):
    """Every peer of the interface: Peers."""


class AskPort(Request, frozen=True):
    """The UDP port just now: Made."""


class TearDown(Request, frozen=True):
    """Remove the interface: Done."""


class Forward(Request, frozen=True):
    """Have the tunnel's and these interfaces forward, or for none of them the tunnel's not: Unopened."""

    lan: Annotated[list[Name], Meta(max_length=_MOST_LAN)]
    is_open: bool


class OpenDns(Request, frozen=True):
    """A datagram and a listening socket at port 53 of the host's address in the tunnel: Done, and both sockets."""


class Watch(Request, frozen=True):
    """On a connection of its own: answered with Done when the interface, or what drives it, has gone by itself."""


AnyRequest = Choose | Enforce | Lift | Ensure | Apply | ListPeers | AskPort | TearDown | Forward | OpenDns | Watch


class Reply(msgspec.Struct, frozen=True, tag=True):
    """What the helper answers."""


class Done(Reply, frozen=True):
    """It is done."""


class Refused(Reply, frozen=True):
    """It can't be, or may not be: a TunnelUnavailable."""

    message: str
    remedy: str
    reason: str


class Failed(Reply, frozen=True):
    """A socket can't be had."""

    errno: int
    text: str


class Chosen(Reply, frozen=True):
    """The backend, and why that one."""

    name: str
    why: str


class Changed(Reply, frozen=True):
    """Whether the rules were put (back)."""

    changed: bool


class Made(Reply, frozen=True):
    """The interface that there is."""

    interface: str
    port: int


class Peers(Reply, frozen=True):
    """All of them."""

    peers: list[PeerState]


class Unopened(Reply, frozen=True):
    """The interfaces that still don't forward."""

    names: list[str]


AnyReply = Done | Refused | Failed | Chosen | Changed | Made | Peers | Unopened

_request = msgspec.msgpack.Decoder(AnyRequest)
_reply = msgspec.msgpack.Decoder(AnyReply)


def encode(message: Request | Reply) -> bytes:
    """A message with its length before it."""
    body = msgspec.msgpack.encode(message)
    return LENGTH.pack(len(body)) + body


def decode_request(body: bytes) -> AnyRequest:
    """Raises TunnelUnavailable for what is none."""
    try:
        request: AnyRequest = _request.decode(body)
    except msgspec.MsgspecError as error:
        raise TunnelUnavailable(f"The tunnel's helper was asked for what it does not do: {error}.") from error
    return request


def decode_reply(body: bytes) -> AnyReply:
    """Raises TunnelUnavailable for what is none."""
    try:
        reply: AnyReply = _reply.decode(body)
    except msgspec.MsgspecError as error:
        raise TunnelUnavailable(f"The tunnel's helper does not answer as it should: {error}.") from error
    return reply
