"""A device's end of the tunnel as the stock WireGuard programs read it: wg-quick(8) text, and its picture. Pure."""

from __future__ import annotations

import io

from pixlsrve.errors import ConfigError, Conflict
from pixlsrve.wg.endpoint import parse_endpoint
from pixlsrve.wg.peers import KEEPALIVE_S, PeerConfig

KEY_IS_ELSEWHERE = (
    "Only the device has its private key: take ?format=conf and put the key into it, or pair again without public_key."
)
_PIXELS_PER_MODULE = 8
_NO_KEY = "# PrivateKey = (this device's own; put it here and take the # away)"


def wg_quick(config: PeerConfig, *, has_dns: bool, comment: str = "") -> str:
    """The file that `wg-quick up` and the WireGuard apps take; `comment` is one line above it.

    Where only the device has its private key, that line is a comment. Raises ConfigError when the endpoint is no
    HOST:PORT, so that nothing else can stand in the file (THREATS T35).
    """
    endpoint = _dialled(config.server_endpoint)
    lines = [f"# {' '.join(comment.split())}"] if comment else []
    lines += ["[Interface]", _NO_KEY if config.private_key is None else f"PrivateKey = {config.private_key}"]
    lines.append(f"Address = {config.device_ip}")
    if has_dns and config.dns is not None:
        lines.append(f"DNS = {config.dns}")
    lines += ["", "[Peer]", f"PublicKey = {config.server_public_key}", f"AllowedIPs = {config.allowed_ips}"]
    lines += [f"Endpoint = {endpoint}", f"PersistentKeepalive = {KEEPALIVE_S}"]
    return "\n".join(lines) + "\n"


def require_key(config: PeerConfig) -> None:
    """Raises Conflict for a configuration without private key: an app could not use it."""
    if config.private_key is None:
        raise Conflict(KEY_IS_ELSEWHERE, reason="key_on_device")


def qr_picture(text: str) -> bytes:
    """The text as a QR code, PNG, for the WireGuard app's camera."""
    import segno  # imported late: no start waits for it

    picture = io.BytesIO()
    segno.make(text, error="m", micro=False).save(picture, kind="png", scale=_PIXELS_PER_MODULE)
    return picture.getvalue()


def _dialled(text: str) -> str:
    """An endpoint as it is dialled. Raises ConfigError."""
    endpoint = parse_endpoint(text, 0)
    if endpoint is None or not endpoint.port:
        raise ConfigError(f"The tunnel's endpoint {text!r} is no HOST:PORT.")
    return str(endpoint)
