"""The tunnel's interface by wireguard-go, a process of ours that is told what to do over its socket."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Collection
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Protocol

import structlog

from pixlsrve.wg import process as processes
from pixlsrve.wg import uapi
from pixlsrve.wg.interface import DesiredPeer, InterfaceSettings, PeerState, TunnelUnavailable, Why, port_taken
from pixlsrve.wg.linux import LinuxLinks
from pixlsrve.wg.macos import MacLinks
from pixlsrve.wg.process import Process

log = structlog.get_logger(__name__)

START_LIMIT_S = 10.0
STALE_LIMIT_S = 3.0
_LOOK_S = 0.02
_AS_ROOT = "" if sys.platform == "darwin" else " as root"


class Links(Protocol):
    """What differs between the systems."""

    def why_not(self) -> Why | None:
        """Why no interface can be made, with the remedy."""

    def arguments(self, name: str) -> list[str]:
        """wireguard-go's arguments."""

    def environment(self, folder: Path) -> dict[str, str]:
        """wireguard-go's environment; `folder` is for what it writes."""

    def made_name(self, name: str, folder: Path) -> str | None:
        """The interface's name once it has one."""

    def candidates(self, name: str) -> list[str]:
        """Interfaces that an earlier life may have left."""

    async def exists(self, name: str) -> bool:
        """Whether somebody has this name."""

    async def configure(self, name: str, address: IPv4Interface) -> None:
        """Give the interface its address, and bring it up. Raises TunnelUnavailable."""

    async def delete(self, name: str) -> None:
        """Remove the interface. Raises TunnelUnavailable."""


class UserspaceBackend:
    """Drives one wireguard-go. Its calls are made one after the other, but for `lost`."""

    name = "userspace"

    def __init__(self, links: Links | None = None) -> None:
        self._links: Links = links or _system_links()
        self._process: Process | None = None
        self._interface = ""
        self._folder: Path | None = None

    @property
    def interface(self) -> str:
        """The interface's name; empty while there is none."""
        return self._interface

    @staticmethod
    def why_not() -> str | None:
        """Why wireguard-go can't carry the tunnel here, with the remedy; None when it can."""
        why = _why_not(_system_links())
        return None if why is None else " ".join(why)

    async def ensure(self, settings: InterfaceSettings) -> None:
        """Have wireguard-go running with this key, port and address. Raises TunnelUnavailable."""
        if self._process is None or not self._process.is_running:
            await self._start(settings)
        device = await self._device()
        if device.private_key != settings.private_key:
            await self._set(uapi.encode_set(private_key=settings.private_key))
        await self._links.configure(self._interface, settings.address)
        # Being told its port opens wireguard-go's sockets anew, so it is told only once the link is up, and no more.
        if settings.port not in (0, device.listening_port):
            await self._set(uapi.encode_set(listening_port=settings.port), settings.port)

    async def apply(self, *, put: Collection[DesiredPeer], remove: Collection[bytes]) -> None:
        """Add or correct peers, then drop some. Raises TunnelUnavailable."""
        if put or remove:
            await self._set(uapi.encode_set(put=put, remove=remove))

    async def peers(self) -> list[PeerState]:
        """Every peer that wireguard-go has. Raises TunnelUnavailable."""
        return list((await self._device()).peers)

    async def listening_port(self) -> int:
        """The UDP port. Raises TunnelUnavailable."""
        return (await self._device()).listening_port

    async def lost(self) -> None:
        """Wait for the end of wireguard-go."""
        if self._process is not None:
            await self._process.ended()

    async def tear_down(self) -> None:
        """End wireguard-go, which takes the interface with it, and remove its socket."""
        process, self._process = self._process, None
        if process is not None:
            await process.end()
            if self._interface:
                uapi.socket_path(self._interface).unlink(missing_ok=True)
        if self._folder is not None:
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)
        self._interface, self._folder = "", None

    async def _start(self, settings: InterfaceSettings) -> None:
        """A new process, answering. Raises TunnelUnavailable."""
        await self.tear_down()
        why = _why_not(self._links)
        if why is not None:
            raise TunnelUnavailable(*why)
        for name in self._links.candidates(settings.name):
            await self._clear(name, settings)
        check_port(settings.port)
        program = processes.find(processes.PROGRAM) or processes.PROGRAM
        folder = self._folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="pixlsrve-wg-"))
        try:
            self._process = await Process.start(
                program, self._links.arguments(settings.name), self._links.environment(folder)
            )
        except OSError as error:
            raise TunnelUnavailable(f"wireguard-go can't be started: {error.strerror}.") from error
        try:
            await self._wait_answering(self._process, settings.name, folder)
        except TunnelUnavailable:
            await self.tear_down()
            raise

    async def _wait_answering(self, process: Process, name: str, folder: Path) -> None:
        """Until wireguard-go answers on its socket. Raises TunnelUnavailable when it ends, or takes too long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(START_LIMIT_S):
                while process.is_running:
                    self._interface = self._links.made_name(name, folder) or ""
                    if self._interface and await _answers(self._interface):
                        return
                    await asyncio.sleep(_LOOK_S)
                await process.ended()
        if process.is_running:
            raise TunnelUnavailable("wireguard-go does not answer.", "It is started again soon.")
        raise TunnelUnavailable(f"wireguard-go ended at once: {process.last_words()}.")

    async def _clear(self, name: str, settings: InterfaceSettings) -> None:
        """End what an earlier life of ours left; raises TunnelUnavailable where the interface is somebody else's."""
        path = uapi.socket_path(name)
        try:
            device = uapi.parse(await uapi.exchange(path, uapi.GET))
        except (OSError, ValueError):
            device = None
        if device is not None and device.private_key != settings.private_key:
            if name == settings.name:
                raise _not_ours(name)
            return
        if device is not None:
            log.info("a tunnel of an earlier life is replaced", interface=name)
            path.unlink(missing_ok=True)  # wireguard-go ends when its socket goes
        for _ in range(int(STALE_LIMIT_S / _LOOK_S)):
            if not await self._links.exists(name):
                _forget(path)
                return
            await asyncio.sleep(_LOOK_S)
        raise _not_ours(name)

    async def _device(self) -> uapi.Device:
        try:
            return uapi.parse(await uapi.exchange(uapi.socket_path(self._interface), uapi.GET))
        except (OSError, ValueError) as error:
            raise _refusal(error) from error

    async def _set(self, request: str, port: int = 0) -> None:
        try:
            uapi.check(await uapi.exchange(uapi.socket_path(self._interface), request))
        except (OSError, ValueError) as error:
            raise _refusal(error, port) from error


def _system_links() -> Links:
    return MacLinks() if sys.platform == "darwin" else LinuxLinks()


def _why_not(links: Links) -> Why | None:
    if processes.find(processes.PROGRAM) is None:
        install = "brew install wireguard-go" if sys.platform == "darwin" else "apt-get install wireguard-go"
        return "The program wireguard-go is not installed.", f"Run `{install}`{_AS_ROOT}."
    return links.why_not() or _sockets_why_not()


def _sockets_why_not() -> Why | None:
    """Why wireguard-go could not make its socket: the folder is its own choice, not ours."""
    existing = next(folder for folder in (uapi.SOCKETS, *uapi.SOCKETS.parents) if folder.exists())
    if os.access(existing, os.W_OK | os.X_OK):
        return None
    return (
        f"This user may not write to the folder {uapi.SOCKETS}.",
        f"Run `sudo install -d -o $USER -m 0700 {uapi.SOCKETS}`, or run the daemon as root.",
    )


def check_port(port: int) -> None:
    """Raises TunnelUnavailable for a UDP port that somebody has: wireguard-go would only write that into its log."""
    if not port:
        return
    for family, host in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):  # noqa: S104  # as WireGuard does
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind((host, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                raise port_taken(port) from error


def _not_ours(name: str) -> TunnelUnavailable:
    """The error for an interface of our name that another program has."""
    return TunnelUnavailable(
        f"The network interface {name} exists already and is not this daemon's.",
        f"Remove it with `ip link delete {name}`, or set wireguard.interface to another name.",
        reason="interface_taken",
    )


async def _answers(interface: str) -> bool:
    try:
        uapi.parse(await uapi.exchange(uapi.socket_path(interface), uapi.GET))
    except (OSError, ValueError):
        return False
    return True


def _forget(path: Path) -> None:
    """Remove a socket on which nobody answers any more."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise TunnelUnavailable(f"An old socket is in the way: {path}.", f"Run `rm {path}` as root.") from error


def _refusal(error: Exception, port: int = 0) -> TunnelUnavailable:
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return port_taken(port)
    return TunnelUnavailable(f"wireguard-go does not answer as it should: {error}.", "It is started again soon.")
