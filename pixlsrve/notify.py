"""Telling systemd how the service is (sd_notify(3)): one datagram a message, nothing where nobody asked."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping


def is_asked() -> bool:
    """Whether somebody wants to know."""
    return os.environ.get("NOTIFY_SOCKET", "").startswith(("/", "@"))


def notify(state: str, status: str = "") -> None:
    """Send `state` (READY=1, WATCHDOG=1, STOPPING=1, ...) and a status line to NOTIFY_SOCKET, where there is one."""
    if not is_asked():
        return
    address = os.environ["NOTIFY_SOCKET"]
    if address.startswith("@"):  # the abstract namespace
        address = "\0" + address[1:]
    lines = [line for line in (state, f"STATUS={' '.join(status.split())}" if status else "") if line]
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        sender.sendto("\n".join(lines).encode(), address)


def watchdog_s(env: Mapping[str, str] = os.environ) -> float | None:
    """How long systemd waits for a sign of life before it kills this process, seconds; None where it doesn't wait."""
    pid, limit = env.get("WATCHDOG_PID", ""), env.get("WATCHDOG_USEC", "")
    if not limit.isdigit() or not int(limit) or (pid and pid != str(os.getpid())):
        return None
    return int(limit) / 1e6
