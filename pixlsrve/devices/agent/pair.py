"""Joining a host with a one-time code, over HTTPS where the host has it (DESIGN section 9, TLS)."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from urllib.parse import parse_qs

import aiohttp
import structlog
from yarl import URL

from pixlsrve.devices.agent import tls
from pixlsrve.devices.agent.host import HostRefused, HostUnreachable, fetch_bytes, fetch_json, open_session
from pixlsrve.devices.agent.state import Pairing
from pixlsrve.errors import InvalidInput, StartError

log = structlog.get_logger(__name__)

DEVICE_TYPE = "agent"


@dataclass(frozen=True)
class Code:
    """A typed code, or what a QR code's URL says beside it: the host's id and its certificate's fingerprint."""

    text: str
    host_id: str | None = None
    fingerprint: bytes | None = None


@dataclass(frozen=True)
class _Way:
    """How the host is called: `authority` is what its HTTPS is checked against from now on."""

    base: URL
    context: ssl.SSLContext | aiohttp.Fingerprint | bool
    authority: str | None = None
    is_plain: bool = False


def parse_code(text: str) -> Code:
    """A code as it was typed, or the whole URL below the QR code. Raises InvalidInput."""
    text = text.strip()
    if "#" not in text:
        return Code(text)
    facts = {name: values[0] for name, values in parse_qs(text.partition("#")[2]).items()}
    if not facts.get("c"):
        raise InvalidInput("That URL holds no code; it ends in #c=CODE and more.", reason="invalid_field")
    try:
        fingerprint = bytes.fromhex(facts.get("f", "").replace(":", ""))
    except ValueError:
        fingerprint = b""
    return Code(facts["c"], facts.get("h"), fingerprint if len(fingerprint) == 32 else None)


def parse_server(text: str) -> URL:
    """The host's base URL. Raises InvalidInput."""
    try:
        url = URL(text if "://" in text else f"http://{text}")
        is_good = url.scheme in {"http", "https"} and bool(url.host) and url.port is not None
    except ValueError:
        is_good = False
    if not is_good:
        raise InvalidInput(
            f"{text!r} is no server; write its URL, such as http://192.168.1.2:8080.", reason="invalid_field"
        )
    return URL.build(scheme=url.scheme, host=url.host or "", port=url.port)


async def pair(server: URL, code: Code, device_name: str) -> Pairing:
    """Join. Raises HostUnreachable, HostRefused, and StartError where the host is another than the code's."""
    async with open_session() as session:
        way = await _find_way(session, server, code)
        body = {"device_name": device_name, "device_type": DEVICE_TYPE, "pairing_code": code.text}
        answer = await fetch_json(session, "POST", way.base.join(URL("/api/v1/auth/pair")), body, way.context)
    return Pairing(
        server=str(server),
        host_id=str(answer["host_id"]),
        host_name=str(answer["host_name"]),
        device_id=str(answer["device_id"]),
        refresh_token=str(answer["refresh_token"]),
        authority=way.authority,
        is_plain=way.is_plain,
    )


async def _find_way(session: aiohttp.ClientSession, server: URL, code: Code) -> _Way:
    """HTTPS where there is any, its authority noted; the pairing code is sent to nobody else."""
    secure = server if server.scheme == "https" else await _secure_base(session, server, code)
    if secure is None:
        if code.fingerprint is not None:
            raise StartError("The code's URL promises HTTPS, and the host offers none; nothing was sent.")
        log.warning(
            "the host offers no HTTPS: what this device sends can be read on the network",
            remedy="set http.tls on the host, then pair again",
        )
        return _Way(server, True, is_plain=True)
    # Without a fingerprint from the QR code this certificate is taken on trust; later ones are checked by it.
    first = False if code.fingerprint is None else aiohttp.Fingerprint(code.fingerprint)
    pem = await fetch_bytes(session, secure.join(URL("/ca.crt")), first)
    if pem is None:
        return _Way(secure, tls.public())
    authority = pem.decode("ascii", "replace")
    try:
        context, digest = tls.pinned(authority), tls.fingerprint(authority)
    except (ssl.SSLError, ValueError) as error:
        raise StartError("The host's certificate authority can't be read.") from error
    await fetch_bytes(session, secure.join(URL("/healthz")), context)
    log.info("the host's certificate authority is kept", ca_fingerprint=digest)
    return _Way(secure, context, authority)


async def _secure_base(session: aiohttp.ClientSession, server: URL, code: Code) -> URL | None:
    """Where the host has HTTPS; None where it says that it has none. Raises HostUnreachable, StartError."""
    try:
        info = await fetch_json(session, "GET", server.join(URL("/api/v1/discovery/info")), None, True)
    except HostRefused as error:
        if error.status == 421:
            raise
        raise HostUnreachable(
            f"The host does not say whether it has HTTPS ({error.message}); write its https:// URL."
        ) from error
    if code.host_id is not None and info.get("host_id") != code.host_id:
        raise StartError("The code is of another host than the one at this URL; nothing was sent.")
    port = info.get("tls_port")
    return server.with_scheme("https").with_port(port) if isinstance(port, int) else None
