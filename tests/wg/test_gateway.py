"""Which router is the LAN's way out, read from what each system says."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from pixlsrve.wg.router.gateway import parse_route_macos, parse_routes_v4, parse_routes_v6

V4 = """Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
wlan0\t00000000\tFE00A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0
eth0\t00000000\t0100A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0
ppp0\t00000000\t00000000\t0001\t0\t0\t50\t00000000\t0\t0\t0
eth0\t0000A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0
bad0\t00000000\t0200A8C0\t0203\t0\t0\t1\t00000000\t0\t0\t0
"""
V6 = "\n".join(
    [
        f"{'0' * 32} 00 {'0' * 32} 00 fe80{'0' * 24}0001 00000400 00000001 00000000 00000003     eth0",
        f"2001{'0' * 28} 40 {'0' * 32} 00 {'0' * 32} 00000100 00000001 00000000 00000001     eth0",
        f"{'0' * 32} 00 {'0' * 32} 00 {'0' * 32} ffffffff 00000001 00000000 00200200       lo",
    ]
)
MACOS = """   route to: default
destination: default
       mask: default
    gateway: 192.168.1.1
  interface: en0
      flags: <UP,GATEWAY,DONE,STATIC,PRCLONING,GLOBAL>
"""


def test_linux_ipv4() -> None:
    """/proc/net/route: only real default routers, the lowest metric first."""
    assert parse_routes_v4(V4) == [(IPv4Address("192.168.0.1"), "eth0"), (IPv4Address("192.168.0.254"), "wlan0")]


def test_linux_ipv6() -> None:
    """/proc/net/ipv6_route: the default router, and not the system's reject route."""
    assert parse_routes_v6(V6) == [(IPv6Address("fe80::1"), "eth0")]


def test_macos() -> None:
    """route(8): the router of the default route; an interface without router is none."""
    assert parse_route_macos(MACOS) == [(IPv4Address("192.168.1.1"), "en0")]
    assert parse_route_macos(MACOS.replace("192.168.1.1", "link#12")) == []
    assert parse_route_macos(MACOS.replace("192.168.1.1", "fe80::1%en0")) == [(IPv6Address("fe80::1"), "en0")]
    assert parse_route_macos("route: writing to routing socket: not in table\n") == []
