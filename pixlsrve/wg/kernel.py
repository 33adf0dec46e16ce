"""The tunnel's interface in the Linux kernel (docs/decisions/0007-tunnel-backends.md)."""

from __future__ import annotations

import asyncio
import errno
import os
import platform
import sys
import threading
from collections.abc import Callable, Collection, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from pixlsrve.wg.interface import DesiredPeer, InterfaceSettings, PeerState, TunnelUnavailable

T = TypeVar("T")
_CAP_NET_ADMIN = 12
"""Its bit; linux/capability.h."""
_NO_RIGHTS = (
    "The right to make network interfaces (CAP_NET_ADMIN) is missing; run the daemon as the service that "
    "`pixlsrve install` sets up, or as root."
)
_NOT_LOADED = (
    "The kernel's WireGuard module is not loaded; run `modprobe wireguard` as root, and write the word wireguard "
    "into /etc/modules-load.d/pixlsrve.conf so that it is loaded at each start."
)
_NOT_THERE = "This system's kernel has no WireGuard; a kernel of Linux 5.6 or newer usually has it."
_NO_NETLINK = "The kernel's netlink sockets are closed to the daemon; allow AF_NETLINK where it is sandboxed."


class KernelBackend:
    """Drives a WireGuard interface of the Linux kernel.

    Requests go from a thread with an event loop of its own: the kernel answers a netlink request within the system call
    that sends it, and may take its time, which even a non-blocking socket waits for. One request at a time.
    """

    name = "kernel"

    def __init__(self) -> None:
        self._settings: InterfaceSettings | None = None
        self._turn = threading.Lock()

    @staticmethod
    def why_not() -> str | None:
        """Why the kernel can't carry the tunnel here, with the remedy; None when it can.

        Blocks for as long as the kernel needs to load its module, where it does so by itself.
        """
        if sys.platform != "linux":
            return "The kernel's WireGuard is Linux's only."
        if not _has_net_admin():
            return _NO_RIGHTS
        try:
            return None if _in_thread(_has_family) else _module_remedy()
        except TunnelUnavailable as error:
            return error.message

    async def ensure(self, settings: InterfaceSettings) -> None:
        """Have the interface up with this key, port and address; a WireGuard interface of that name is taken over.

        Raises TunnelUnavailable.
        """
        from pixlsrve.wg import netlink

        self._settings = settings
        await self._run(lambda: netlink.ensure(settings))

    async def apply(self, *, put: Collection[DesiredPeer], remove: Collection[bytes]) -> None:
        """Add or correct peers, then drop those with the keys in `remove`. Raises TunnelUnavailable."""
        from pixlsrve.wg import netlink

        name = self._name()
        await self._run(lambda: netlink.apply(name, put, remove))

    async def peers(self) -> list[PeerState]:
        """Every peer that the interface has just now. Raises TunnelUnavailable."""
        from pixlsrve.wg import netlink

        name = self._name()
        return await self._run(lambda: netlink.peers(name))

    async def tear_down(self) -> None:
        """Remove the interface; fine when there is none. Raises TunnelUnavailable."""
        if self._settings is None:
            return
        from pixlsrve.wg import netlink

        name = self._name()
        await self._run(lambda: netlink.remove(name))

    def _name(self) -> str:
        if self._settings is None:
            raise TunnelUnavailable("The tunnel's interface was not made yet.")
        return self._settings.name

    async def _run(self, request: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The request's answer, by a thread. Raises TunnelUnavailable."""
        return await asyncio.to_thread(self._run_here, request)

    def _run_here(self, request: Callable[[], Coroutine[Any, Any, T]]) -> T:
        with self._turn:
            return _on_own_loop(request, self._settings)


def _on_own_loop(request: Callable[[], Coroutine[Any, Any, T]], settings: InterfaceSettings | None = None) -> T:
    """Run a request to its end in this thread. Raises TunnelUnavailable."""
    from pyroute2.netlink.exceptions import NetlinkError  # type: ignore[import-untyped]  # the library has no types

    try:
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            return runner.run(request())
    except NetlinkError as error:
        raise _refusal(error.code, settings) from error
    except OSError as error:
        raise _refusal(error.errno or errno.EIO, settings) from error


def _in_thread(request: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """The same in a thread of its own, so that it may also be called where an event loop runs."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(_on_own_loop, request).result()


async def _has_family() -> bool:
    from pixlsrve.wg import netlink

    return await netlink.has_family()


def _refusal(code: int, settings: InterfaceSettings | None) -> TunnelUnavailable:
    """The kernel's error in a person's words."""
    name = settings.name if settings else "of the tunnel"
    if code in (errno.EPERM, errno.EACCES):
        return TunnelUnavailable(_NO_RIGHTS, reason="no_rights")
    if code in (errno.EOPNOTSUPP, errno.ENOENT, errno.EPROTONOSUPPORT):
        return TunnelUnavailable(_module_remedy(), reason="no_wireguard")
    if code == errno.EAFNOSUPPORT:
        return TunnelUnavailable(_NO_NETLINK, reason="no_rights")
    if code == errno.EADDRINUSE and settings is not None:
        return TunnelUnavailable(
            f"The UDP port {settings.port} is taken by another program (`ss -lunp` shows it); end that program, or set "
            "wireguard.port to another port.",
            reason="port_taken",
        )
    if code == errno.ENODEV:
        return TunnelUnavailable(f"The network interface {name} is gone; it is made again within a minute.")
    return TunnelUnavailable(f"The kernel refuses the network interface {name}: {os.strerror(code)}.")


def _module_remedy() -> str:
    """What is to be done where the kernel answers that it knows no WireGuard."""
    listing = Path("/lib/modules") / platform.release() / "modules.dep"
    try:
        is_on_disk = "/wireguard.ko" in listing.read_text(errors="replace")
    except OSError:
        is_on_disk = False
    return _NOT_LOADED if is_on_disk else _NOT_THERE


def _has_net_admin() -> bool:
    """Whether this process may make interfaces: CapEff in proc_pid_status(5)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> _CAP_NET_ADMIN & 1)
    return False
