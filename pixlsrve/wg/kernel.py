"""The tunnel's interface in the Linux kernel (docs/decisions/0007-tunnel-backends.md)."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import platform
import socket
import sys
import threading
from collections.abc import Callable, Collection, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import structlog

from pixlsrve.wg.interface import DesiredPeer, InterfaceSettings, PeerState, TunnelUnavailable, Why, port_taken
from pixlsrve.wg.linux import NO_RIGHTS, has_net_admin

log = structlog.get_logger(__name__)

T = TypeVar("T")
_NETLINK_ROUTE, _LINK_NEWS = 0, 1
"""The protocol, and its group of news about interfaces; linux/netlink.h, linux/rtnetlink.h."""
_NEWS_BYTES = 65_536
_NOT_LOADED = (
    "The kernel's WireGuard module is not loaded.",
    "Run `modprobe wireguard` as root, and write the word wireguard into /etc/modules-load.d/pixlsrve.conf so that "
    "it is loaded at each start.",
)
_NOT_THERE = (
    "This system's kernel has no WireGuard.",
    "Install a kernel of Linux 5.6 or newer, which usually has it, or wireguard-go (`apt install wireguard-go`).",
)
_NO_NETLINK = (
    "The kernel's netlink sockets are closed to the daemon.",
    "Allow AF_NETLINK where the daemon is sandboxed.",
)


class KernelBackend:
    """Drives a WireGuard interface of the Linux kernel.

    Requests go from a thread with an event loop of its own: the kernel answers a netlink request within the system call
    that sends it, and may take its time, which even a non-blocking socket waits for. One request at a time.
    """

    name = "kernel"

    def __init__(self) -> None:
        self._settings: InterfaceSettings | None = None
        self._turn = threading.Lock()

    @property
    def interface(self) -> str:
        """The interface's name; empty before it was made."""
        return "" if self._settings is None else self._settings.name

    @staticmethod
    def why_not() -> str | None:
        """Why the kernel can't carry the tunnel here, with the remedy; None when it can.

        Blocks for as long as the kernel needs to load its module, where it does so by itself.
        """
        if sys.platform != "linux":
            return "The kernel's WireGuard is Linux's only."
        if not has_net_admin():
            return " ".join(NO_RIGHTS)
        try:
            return None if _in_thread(_has_family) else " ".join(missing_module())
        except TunnelUnavailable as error:
            return error.text

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

    async def listening_port(self) -> int:
        """The UDP port that it listens on just now. Raises TunnelUnavailable."""
        from pixlsrve.wg import netlink

        name = self._name()
        return await self._run(lambda: netlink.listening_port(name))

    async def lost(self) -> None:
        """Wait until the interface is gone, or is another one of the same name."""
        name = self._name()
        index = _index(name)
        changed = asyncio.Event()
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, _NETLINK_ROUTE) as news:
            news.bind((0, _LINK_NEWS))
            loop.add_reader(news, _drain, news, changed)
            try:
                while index is not None and _index(name) == index:
                    changed.clear()
                    await changed.wait()
            finally:
                loop.remove_reader(news)

    async def tear_down(self) -> None:
        """Remove the interface; fine when there is none, or when it can't be done."""
        if self._settings is None:
            return
        from pixlsrve.wg import netlink

        name = self._name()
        try:
            await self._run(lambda: netlink.remove(name))
        except TunnelUnavailable as error:
            log.warning("the tunnel's interface stays", interface=name, reason=error.message)

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


def _index(name: str) -> int | None:
    """The interface's index, None where there is none."""
    try:
        return socket.if_nametoindex(name)
    except OSError:
        return None


def _drain(news: socket.socket, changed: asyncio.Event) -> None:
    """Something happened to some interface; what it was does not matter, nor whether some of it was lost."""
    with contextlib.suppress(OSError):
        news.recv(_NEWS_BYTES)
    changed.set()


async def _has_family() -> bool:
    from pixlsrve.wg import netlink

    return await netlink.has_family()


def _refusal(code: int, settings: InterfaceSettings | None) -> TunnelUnavailable:
    """The kernel's error in a person's words."""
    name = settings.name if settings else "of the tunnel"
    if code in (errno.EPERM, errno.EACCES):
        return TunnelUnavailable(*NO_RIGHTS)
    if code in (errno.EOPNOTSUPP, errno.ENOENT, errno.EPROTONOSUPPORT):
        return TunnelUnavailable(*missing_module())
    if code == errno.EAFNOSUPPORT:
        return TunnelUnavailable(*_NO_NETLINK)
    if code == errno.EADDRINUSE and settings is not None:
        return port_taken(settings.port)
    if code == errno.ENODEV:
        return TunnelUnavailable(f"The network interface {name} is gone.", "It is made again within a minute.")
    return TunnelUnavailable(f"The kernel refuses the network interface {name}: {os.strerror(code)}.")


def missing_module(listing: Path | None = None) -> Why:
    """What is wrong, and what is to be done, where the kernel answers that it knows no WireGuard.

    `listing` is the kernel's modules.dep, which names the modules on disk.
    """
    listing = listing or Path("/lib/modules") / platform.release() / "modules.dep"
    try:
        is_on_disk = "/wireguard.ko" in listing.read_text(errors="replace")
    except OSError:
        is_on_disk = False
    return _NOT_LOADED if is_on_disk else _NOT_THERE
