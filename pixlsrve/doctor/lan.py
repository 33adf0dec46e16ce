"""What keeps phones from finding and reaching the host on the LAN, tried while no daemon runs."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator, Sequence

from pixlsrve.config import Config
from pixlsrve.doctor.finding import Finding

MDNS_PORT, DNS_PORT = 5353, 53
_OWN_LOOPBACK = "127.0.53.1"
"""An address that nobody else listens on, so that only who listens on all addresses is in the way."""


def check_lan(config: Config, interfaces: Sequence[object]) -> Iterator[Finding]:
    """Whether there is a LAN, and whether the ports of mDNS and of the tunnel's DNS can be had."""
    if not interfaces:
        yield Finding(
            check="no_lan",
            severity="warning",
            message="This computer is on no network where phones could find it.",
            remedy="Plug in the cable or join the Wi-Fi; pixlsrve notices it by itself.",
        )
    if config.mdns.enabled and _taken(MDNS_PORT, "", is_shared=True):
        yield Finding(
            check="mdns_port",
            severity="warning",
            message="Another program keeps UDP port 5353 to itself, so that phones don't find this host by themselves.",
            remedy="`ss -lunp sport = :5353` shows which; in avahi-daemon.conf it is disallow-other-stacks=no.",
        )
    if config.wireguard.enabled and config.dns.enabled and _taken(DNS_PORT, _OWN_LOOPBACK, is_shared=False):
        yield Finding(
            check="dns_port",
            severity="warning",
            message="Another program listens on UDP port 53 of all addresses: there are no names in the tunnel.",
            remedy="`ss -lunp sport = :53` shows which; give it single addresses (dnsmasq: bind-interfaces), "
            "or set dns.enabled = false.",
        )


def _taken(port: int, address: str, *, is_shared: bool) -> bool:
    """Whether a UDP port can't be had, with a try that sends nothing."""
    with socket.socket(type=socket.SOCK_DGRAM) as probe:
        if is_shared:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if hasattr(socket, "SO_REUSEPORT"):
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False
