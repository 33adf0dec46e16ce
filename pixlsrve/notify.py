"""Telling systemd how the service is (sd_notify(3)): one datagram a message, nothing where nobody asked."""

from __future__ import annotations

import contextlib
import os
import socket


def notify(state: str, status: str = "") -> None:
    """Send `state` (READY=1, STOPPING=1, or nothing) and a status line to NOTIFY_SOCKET, where there is one."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    if address.startswith("@"):  # the abstract namespace
        address = "\0" + address[1:]
    lines = [line for line in (state, f"STATUS={' '.join(status.split())}" if status else "") if line]
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        sender.sendto("\n".join(lines).encode(), address)
