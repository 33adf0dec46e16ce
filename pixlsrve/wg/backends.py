"""By what means this process has a tunnel: by its own rights, or through the helper that has them (THREATS T38)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from pixlsrve.wg import direct
from pixlsrve.wg.dns.listeners import OpenSockets, open_sockets
from pixlsrve.wg.forwarding import Forwarding
from pixlsrve.wg.helper import client
from pixlsrve.wg.interface import Backend
from pixlsrve.wg.isolation import Isolation, system_isolation

Choose = Callable[[], Awaitable[tuple[Backend, str]]]


@dataclass(frozen=True, kw_only=True)
class Means:
    """What the tunnel and its resolver are made with."""

    choose: Choose
    isolation: Isolation
    forwarding: Forwarding
    open_sockets: OpenSockets


def means() -> Means:
    """The helper's where the service has one (its socket is named in the environment and there), else our own."""
    path = client.socket_path()
    if path is None:
        return Means(
            choose=direct.choose, isolation=system_isolation(), forwarding=Forwarding(), open_sockets=open_sockets
        )
    link = client.Link(path)
    return Means(
        choose=lambda: client.choose(link),
        isolation=client.HelperIsolation(link),
        forwarding=client.HelperForwarding(link),
        open_sockets=link.open_sockets,
    )
