"""Ports that the daemon will want, tried while it is not running."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator

from pixlsrve.config import Config
from pixlsrve.doctor.finding import Finding


def check_ports(config: Config) -> Iterator[Finding]:
    """Whether the ports of HTTP, HTTPS and the broadcast websocket can be had."""
    yield from _check(
        config,
        config.http.port,
        "port",
        "Stop the other program, or choose another address or port with --host and --port.",
    )
    if config.http.tls:
        yield from _check(
            config,
            config.http.tls_port,
            "tls_port",
            "HTTPS stays off meanwhile; stop the other program, or set http.tls_port.",
        )
    yield from _check(
        config,
        config.compat.websocket_port if config.http.port else 0,
        "websocket_port",
        "The broadcast websocket stays off meanwhile; stop the other program, or set compat.websocket_port.",
        host=("compat.websocket_host", config.compat.websocket_host),
    )


def _check(
    config: Config, port: int, check: str, remedy: str, host: tuple[str, str] | None = None
) -> Iterator[Finding]:
    """Whether one port can be had. `host` is the setting of its address and the value, unless it is that of HTTP."""
    if not port:
        return
    setting, address_wanted = host or ("http.host", config.http.host)
    try:
        families = socket.getaddrinfo(address_wanted or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror:
        yield Finding(
            check="address",
            message=f"The address {address_wanted} in {setting} is not known here.",
            remedy=f"Correct {setting}, or leave it empty for all addresses.",
        )
        return
    for family, kind, protocol, _, address in families:
        error = _bind_error(family, kind, protocol, address)
        if error in (errno.EADDRINUSE, errno.EACCES, errno.EADDRNOTAVAIL):
            yield _finding(address_wanted, port, error, check, remedy)
            return


def _bind_error(family: int, kind: int, protocol: int, address: tuple[object, ...]) -> int:
    """The error number of binding to the address; 0 for none."""
    try:
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind(address)
            probe.listen(1)
    except OSError as error:
        return error.errno or 0
    return 0


def _finding(host: str, port: int, error: int, check: str, remedy: str) -> Finding:
    """The error as a finding."""
    if error == errno.EADDRINUSE:
        message = f"Port {port} is taken by another program."
    elif error == errno.EACCES:
        message = f"This user may not listen on port {port}."
    else:
        message = f"No network interface has the address {host}."
    return Finding(check=check, message=message, remedy=remedy)
