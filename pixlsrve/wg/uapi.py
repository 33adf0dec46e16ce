"""WireGuard's cross-platform control protocol: what is said on a userspace implementation's socket.

The rules are those of https://www.wireguard.com/xplatform/. Encoding and parsing are pure; `exchange` is the only I/O.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from pixlsrve.wg.interface import DesiredPeer, PeerState

SOCKETS = Path("/var/run/wireguard")
"""Where every userspace implementation puts NAME.sock; its place is compiled in, and `wg` looks there too."""
GET = "get=1\n\n"
LIMIT_S = 5.0
"""An answer takes milliseconds, some hundred with thousands of peers on a slow computer."""
_LONGEST_BYTES = 64 << 20
_MALFORMED = "The userspace WireGuard says something that can't be understood."


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """What a device answers to `get=1`."""

    private_key: bytes | None
    listening_port: int
    peers: tuple[PeerState, ...]

    def __repr__(self) -> str:
        return f"Device(listening_port={self.listening_port}, peers={len(self.peers)})"


def socket_path(interface: str) -> Path:
    """The control socket of an interface."""
    return SOCKETS / f"{interface}.sock"


def encode_set(
    *,
    private_key: bytes | None = None,
    listening_port: int | None = None,
    put: Iterable[DesiredPeer] = (),
    remove: Iterable[bytes] = (),
) -> str:
    """A `set=1` request: keys of 32 bytes, a UDP port, peers to add or correct, then the keys of those to drop."""
    lines = ["set=1"]
    if private_key is not None:
        lines.append(f"private_key={private_key.hex()}")
    if listening_port is not None:
        lines.append(f"listen_port={listening_port}")
    for peer in put:
        lines += [f"public_key={peer.public_key.hex()}", "replace_allowed_ips=true", f"allowed_ip={peer.address}/32"]
    for key in remove:
        lines += [f"public_key={key.hex()}", "remove=true"]
    return "\n".join(lines) + "\n\n"


def parse(answer: str) -> Device:
    """The answer to GET. Raises OSError with the number that the device gave, ValueError for what is no answer."""
    private_key, port = None, 0
    peers: list[dict[str, list[str]]] = []
    for name, value in _pairs(answer):
        if name == "public_key":
            peers.append({name: [value]})
        elif peers:
            peers[-1].setdefault(name, []).append(value)
        elif name == "private_key":
            private_key = bytes.fromhex(value)
        elif name == "listen_port":
            port = int(value)
    return Device(private_key=private_key, listening_port=port, peers=tuple(map(_peer, peers)))


def check(answer: str) -> None:
    """The answer to a set request. Raises OSError with the number that the device gave."""
    for _ in _pairs(answer):
        pass


async def exchange(path: Path, request: str) -> str:
    """Send one request to the socket at `path`; the answer. Raises OSError, and TimeoutError after 5 s."""
    async with asyncio.timeout(LIMIT_S):
        reader, writer = await asyncio.open_unix_connection(path, limit=_LONGEST_BYTES)
        try:
            writer.write(request.encode("ascii"))
            await writer.drain()
            answer = await reader.readuntil(b"\n\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            raise ConnectionResetError(_MALFORMED) from error
        finally:
            writer.close()
    return answer.decode("ascii", "replace")


def _pairs(answer: str) -> Iterator[tuple[str, str]]:
    """The lines before `errno=`. Raises OSError unless that is 0, ValueError where it is missing."""
    for line in answer.splitlines():
        name, separator, value = line.partition("=")
        if name == "errno":
            number = abs(int(value))  # wireguard-go gives them negative
            if number:
                raise OSError(number, os.strerror(number))
            return
        if separator:
            yield name, value
    raise ValueError(_MALFORMED)


def _peer(facts: dict[str, list[str]]) -> PeerState:
    """One peer's lines, by name."""

    def number(name: str) -> int:
        return int(facts.get(name, ["0"])[-1])

    return PeerState(
        public_key=bytes.fromhex(facts["public_key"][0]),
        allowed_ips=tuple(facts.get("allowed_ip", ())),
        endpoint=facts.get("endpoint", [None])[-1],
        last_handshake_s=number("last_handshake_time_sec") or None,
        received_bytes=number("rx_bytes"),
        sent_bytes=number("tx_bytes"),
    )
