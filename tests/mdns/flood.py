"""Somebody on the LAN who means harm: multicast DNS packets that are malformed, endless or lies.

Usage: python -m tests.mdns.flood ADDRESS COUNT [INSTANCE]; sends COUNT of each kind from ADDRESS, and writes `sent`.
"""

from __future__ import annotations

import random
import socket
import struct
import sys
from collections.abc import Callable
from contextlib import suppress

GROUP = ("224.0.0.251", 5353)
RECORDS = 40
LONGEST_TTL_S = 0x7FFFFFFF
A, PTR, SRV, IN = 1, 12, 33, 1
SERVICE = ("_pixlsrve", "_tcp", "local")
DICE = random.Random(5)


def _name(*labels: str) -> bytes:
    return b"".join(bytes([len(label.encode())]) + label.encode() for label in labels) + b"\0"


def junk() -> bytes:
    """Bytes without any sense."""
    return DICE.randbytes(DICE.randrange(1, 1_400))


def broken() -> bytes:
    """A header that promises much, and a name that points at itself."""
    return struct.pack(">6H", 0, 0x8400, 9, 65_535, 65_535, 9) + b"\xc0\x0c" * DICE.randrange(1, 600)


def records() -> bytes:
    """Addresses that nobody asked for, to be kept for ever."""
    body = b"".join(
        _name(DICE.randbytes(6).hex(), "local") + struct.pack(">HHIH", A, IN, LONGEST_TTL_S, 4) + DICE.randbytes(4)
        for _ in range(RECORDS)
    )
    return struct.pack(">6H", 0, 0x8400, 0, RECORDS, 0, 0) + body


def question() -> bytes:
    """Our own service, asked for by unicast, so that each wants an answer of its own."""
    header = struct.pack(">6H", DICE.randrange(65_536), 0, 1, 0, 0, 0)
    return header + _name(*SERVICE) + struct.pack(">HH", PTR, IN | 0x8000)


def namesake(instance: str) -> Callable[[], bytes]:
    """Says that our name is another host's."""
    target = struct.pack(">HHH", 0, 0, 80) + _name("zzz", "local")
    answer = _name(instance, *SERVICE) + struct.pack(">HHIH", SRV, IN | 0x8000, 120, len(target)) + target
    return lambda: struct.pack(">6H", DICE.randrange(65_536), 0x8400, 0, 1, 0, 0) + answer


def main(address: str, count: str, instance: str = "") -> None:
    """Send."""
    kinds = [junk, broken, records, question, *([namesake(instance)] if instance else [])]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        made.bind((address, GROUP[1]))
        made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(address))
        made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
        for _ in range(int(count)):
            for kind in kinds:
                with suppress(OSError):  # a full queue
                    made.sendto(kind(), GROUP)
    print("sent", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
