"""A userspace tunnel's network interface on macOS: the system names it (`utunN`), ifconfig and route set it up.

The argument lists are pure functions; keys are never among them.
"""

from __future__ import annotations

import asyncio
import os
from ipaddress import IPv4Interface
from pathlib import Path

from pixlsrve.wg import uapi
from pixlsrve.wg.interface import TunnelUnavailable, Why

MTU = 1420
"""Ethernet's 1,500 without the 80 of WireGuard over IPv6."""
NAME_FILE = "name"
_IFCONFIG, _ROUTE = "/sbin/ifconfig", "/sbin/route"


def commands(name: str, address: IPv4Interface) -> list[list[str]]:
    """What gives the interface its address and its route, and brings it up."""
    return [
        [_IFCONFIG, name, "inet", str(address), str(address.ip), "alias"],
        [_IFCONFIG, name, "mtu", str(MTU)],
        [_IFCONFIG, name, "up"],
        [_ROUTE, "-q", "-n", "delete", "-inet", str(address.network)],
        [_ROUTE, "-q", "-n", "add", "-inet", str(address.network), "-interface", name],
    ]


class MacLinks:
    """Looks after interfaces that are named by the system."""

    def why_not(self) -> Why | None:
        """Why no interface can be made here, with the remedy; None when one can."""
        if os.geteuid() == 0:
            return None
        return "Only root may make network interfaces on macOS.", "Run `sudo pixlsrve serve`."

    def arguments(self, name: str) -> list[str]:
        """What wireguard-go is told: to take the next free number."""
        return ["utun"]

    def environment(self, folder: Path) -> dict[str, str]:
        """Where wireguard-go writes the name that it got."""
        return {"WG_TUN_NAME_FILE": str(folder / NAME_FILE)}

    def made_name(self, name: str, folder: Path) -> str | None:
        """The name that the interface got; None as long as it isn't written."""
        try:
            return (folder / NAME_FILE).read_text("ascii").strip() or None
        except FileNotFoundError:
            return None

    def candidates(self, name: str) -> list[str]:
        """The interfaces that an earlier life may have left: all that answer as WireGuard."""
        return sorted(path.stem for path in uapi.SOCKETS.glob("utun*.sock"))

    async def exists(self, name: str) -> bool:
        """Whether there is such an interface; nobody can hold a name that the system chooses."""
        return False

    async def configure(self, name: str, address: IPv4Interface) -> None:
        """Have this IPv4 address on the interface, and have it up. Raises TunnelUnavailable."""
        for command in commands(name, address):
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            out, _ = await process.communicate()
            if process.returncode != 0 and "delete" not in command:
                words = out.decode(errors="replace").strip()
                raise TunnelUnavailable(f"The network interface {name} can't be set up: {words}.")

    async def delete(self, name: str) -> None:
        """The interface goes with the process that made it."""
