"""What is told to macOS's tools."""

from __future__ import annotations

import ipaddress
from pathlib import Path

from pixlsrve.wg.macos import MacLinks, commands


def test_arguments() -> None:
    """ifconfig(8) and route(8): the address with its prefix, the tunnel's MTU, up, and the network's route."""
    assert commands("utun4", ipaddress.IPv4Interface("10.100.0.1/24")) == [
        ["/sbin/ifconfig", "utun4", "inet", "10.100.0.1/24", "10.100.0.1", "alias"],
        ["/sbin/ifconfig", "utun4", "mtu", "1420"],
        ["/sbin/ifconfig", "utun4", "up"],
        ["/sbin/route", "-q", "-n", "delete", "-inet", "10.100.0.0/24"],
        ["/sbin/route", "-q", "-n", "add", "-inet", "10.100.0.0/24", "-interface", "utun4"],
    ]


def test_name_is_the_systems(tmp_path: Path) -> None:
    """wireguard-go is asked for the next free utun, and its name is read from the file that it writes."""
    links = MacLinks()
    assert links.arguments("pixlsrve0") == ["utun"]
    (name,) = links.environment(tmp_path).items()
    assert name[0] == "WG_TUN_NAME_FILE"
    assert links.made_name("pixlsrve0", tmp_path) is None
    Path(name[1]).write_text("")
    assert links.made_name("pixlsrve0", tmp_path) is None
    Path(name[1]).write_text("utun7\n")
    assert links.made_name("pixlsrve0", tmp_path) == "utun7"
