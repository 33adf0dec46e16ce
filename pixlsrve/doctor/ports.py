"""Ports that the daemon will want, tried while it is not running."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator

from pixlsrve.config import Config
from pixlsrve.doctor.finding import Finding


def check_ports(config: Config) -> Iterator[Finding]:
    """Whether the ports of HTTP and HTTPS can be had."""
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
            "tls port",
            "HTTPS stays off meanwhile; stop the other program, or set http.tls_port.",
        )


def _check(config: Config, port: int, check: str, remedy: str) -> Iterator[Finding]:
    """Whether one port can be had."""
    if not port:
        return
    try:
        families = socket.getaddrinfo(config.http.host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror:
        yield Finding(
            check="address",
            message=f"The address {config.http.host} in http.host is not known here.",
            remedy="Correct http.host, or leave it empty for all addresses.",
        )
        return
    for family, kind, protocol, _, address in families:
        error = _bind_error(family, kind, protocol, address)
        if error in (errno.EADDRINUSE, errno.EACCES, errno.EADDRNOTAVAIL):
            yield _finding(config, port, error, check, remedy)
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


def _finding(config: Config, port: int, error: int, check: str, remedy: str) -> Finding:
    """The error as a finding."""
    if error == errno.EADDRINUSE:
        message = f"Port {port} is taken by another program."
    elif error == errno.EACCES:
        message = f"This user may not listen on port {port}."
    else:
        message = f"No network interface has the address {config.http.host}."
    return Finding(check=check, message=message, remedy=remedy)
