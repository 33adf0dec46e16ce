"""What keeps the tunnel from coming up, found out by looking, without a daemon."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pixlsrve.config import WireguardConfig
from pixlsrve.wg import isolation, userspace
from pixlsrve.wg.forwarding import Forwarding
from pixlsrve.wg.interface import TunnelUnavailable
from pixlsrve.wg.kernel import KernelBackend
from pixlsrve.wg.lan import check_overlap
from pixlsrve.wg.userspace import UserspaceBackend

Fault = tuple[str, str, str]
"""A stable word for programs, what is wrong, what to do about it."""


def faults(config: WireguardConfig) -> Iterator[Fault]:
    """Everything that is wrong, for a daemon that is not running; nothing where the tunnel is switched off."""
    if not config.enabled:
        return
    yield from _backend_faults()
    why = isolation.why_not()
    if why is not None:
        yield "tunnel_isolation", *why
    try:
        check_overlap(config)
        userspace.check_port(config.port)
    except TunnelUnavailable as error:
        yield f"tunnel_{error.reason}", error.message, error.remedy
    if (Path("/sys/class/net") / config.interface).exists():
        yield (
            "tunnel_interface_taken",
            f"The network interface {config.interface} exists already, though the daemon is not running.",
            f"If it is another program's, set wireguard.interface to another name; else `ip link delete "
            f"{config.interface}` removes it.",
        )
    if config.lan_access and not Forwarding().is_router:
        yield (
            "tunnel_lan_access",
            "This host forwards no packets yet; the daemon has to change that for wireguard.lan_access.",
            "If phones don't reach the LAN, run `sysctl -w net.ipv4.ip_forward=1` as root.",
        )


def _backend_faults() -> Iterator[Fault]:
    """What both ways lack."""
    kernel = KernelBackend.why_not()
    lacking = None if kernel is None else UserspaceBackend.why_not()
    if kernel is not None and lacking is not None:
        message, _, remedy = lacking.partition(". ")
        further = "" if kernel == lacking else f" Or, to have it in the kernel: {kernel}"
        yield "tunnel_backend", f"There can be no tunnel: {message}.", remedy + further
