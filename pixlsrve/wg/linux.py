"""A userspace tunnel's network interface on Linux: whether it can be made, its address, its removal (by rtnetlink)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterator
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any

from pixlsrve.wg.interface import TunnelUnavailable, Why

NO_RIGHTS: Why = (
    "The right to make network interfaces (CAP_NET_ADMIN) is missing.",
    "Run the daemon as root (`sudo pixlsrve serve`), or as a service that has this right.",
)
TUN = Path("/dev/net/tun")
_CAP_NET_ADMIN = 12
"""Its bit; linux/capability.h."""


class LinuxLinks:
    """Looks after interfaces with names of our choice."""

    def why_not(self) -> Why | None:
        """Why no interface can be made here, with the remedy; None when one can."""
        if not has_net_admin():
            return NO_RIGHTS
        if not TUN.exists():
            return f"There is no {TUN}.", f"Run `modprobe tun` as root; a container needs --device {TUN}."
        if not os.access(TUN, os.R_OK | os.W_OK):
            return f"This user may not open {TUN}.", f"Run `chmod 0666 {TUN}` as root, or run the daemon as root."
        return None

    def arguments(self, name: str) -> list[str]:
        """What wireguard-go is told."""
        return [name]

    def environment(self, folder: Path) -> dict[str, str]:
        """What wireguard-go needs to know beside that."""
        return {}

    def made_name(self, name: str, folder: Path) -> str | None:
        """The name that the interface got; None as long as there is none."""
        return name

    def candidates(self, name: str) -> list[str]:
        """The interfaces that an earlier life may have left."""
        return [name]

    async def exists(self, name: str) -> bool:
        """Whether there is such an interface."""
        return (Path("/sys/class/net") / name).exists()

    async def configure(self, name: str, address: IPv4Interface) -> None:
        """Have exactly this IPv4 address on the interface, and have it up. Raises TunnelUnavailable."""
        await asyncio.to_thread(_told, _configure, name, address)

    async def delete(self, name: str) -> None:
        """Remove the interface; fine when there is none. Raises TunnelUnavailable."""
        await asyncio.to_thread(_told, _delete, name)


def has_net_admin() -> bool:
    """Whether this process may make interfaces: CapEff of proc_pid_status(5)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> _CAP_NET_ADMIN & 1)
    return False


def _told(change: Any, *arguments: Any) -> None:
    """Make a change. Raises TunnelUnavailable instead of the library's errors."""
    from pyroute2.netlink.exceptions import NetlinkError  # type: ignore[import-untyped]  # the library has no types

    try:
        change(*arguments)
    except (NetlinkError, OSError) as error:
        raise TunnelUnavailable(f"The network interface {arguments[0]} can't be set up: {error}.") from error


@contextlib.contextmanager
def _links() -> Iterator[Any]:
    """The kernel's table of interfaces."""
    from pyroute2 import IPRoute  # type: ignore[import-untyped]  # the library has no types

    with IPRoute() as links:
        yield links


def _configure(name: str, wanted: IPv4Interface) -> None:
    with _links() as links:
        index = _index(links, name)
        if index is None:
            raise OSError("it is gone")
        has_it = False
        for found in list(links.get_addr(family=socket.AF_INET, index=index)):
            address, prefix = found.get_attr("IFA_ADDRESS"), found["prefixlen"]
            if (address, prefix) == (str(wanted.ip), wanted.network.prefixlen):
                has_it = True
            else:
                links.addr("del", index=index, address=address, prefixlen=prefix)
        if not has_it:
            links.addr("add", index=index, address=str(wanted.ip), prefixlen=wanted.network.prefixlen)
        links.link("set", index=index, state="up")


def _delete(name: str) -> None:
    with _links() as links:
        index = _index(links, name)
        if index is not None:
            links.link("del", index=index)


def _index(links: Any, name: str) -> int | None:
    found = links.link_lookup(ifname=name)
    return int(found[0]) if found else None
