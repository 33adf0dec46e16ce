"""The tunnel as a profile for iPhones, iPads and Macs, which turn it on away from home by themselves. Pure.

Keys and values are those of Apple's VPN payload (com.apple.vpn.managed) and of WireGuard for Apple (MOBILECONFIG.md in
its source).
"""

from __future__ import annotations

import plistlib
import uuid
from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from pixlsrve.wg.peers import PeerConfig
from pixlsrve.wg.render import require_key, wg_quick

CONTENT_TYPE = "application/x-apple-aspen-config"
MOST_PROBES = 3
"""Each costs a device that is away the time until it gives up."""
_PREFIX = "arpa.home.pixlsrve"


class Platform(StrEnum):
    """Whose WireGuard app the profile is for; the values are the parameter's."""

    IOS = "ios"
    MACOS = "macos"


def platform_of(device_type: str) -> Platform:
    """The platform that a device's type names; iOS where it names none of Apple's."""
    return Platform.MACOS if device_type.casefold().startswith("mac") else Platform.IOS


def mobileconfig(
    config: PeerConfig,
    *,
    device_id: str,
    host_name: str,
    platform: Platform,
    home_urls: Sequence[str],
    own_names: Sequence[str],
    has_dns: bool,
) -> bytes:
    """The profile as XML.

    `home_urls` answer 200 at home and nowhere else, so that no network's name must be known: where one does, the tunnel
    is off. `own_names` alone are asked of the tunnel's DNS; everything else stays with the device's own. A profile
    replaces an earlier one of the same device. Raises Conflict when only the device has its private key.
    """
    require_key(config)
    text = wg_quick(config, has_dns=False)
    payload: dict[str, Any] = {
        "PayloadType": "com.apple.vpn.managed",
        "PayloadVersion": 1,
        "PayloadIdentifier": f"{_PREFIX}.{device_id}.tunnel",
        "PayloadDisplayName": "VPN",
        "UserDefinedName": f"Photos on {host_name}",
        "VPNType": "VPN",
        "VPNSubType": f"com.wireguard.{platform.value}",
        "VendorConfig": {"WgQuickConfig": text},
        "VPN": {
            "RemoteAddress": config.server_endpoint,
            "AuthenticationMethod": "Password",
            "OnDemandEnabled": 1,
            "OnDemandRules": _rules(home_urls),
        },
    }
    if has_dns and config.dns is not None:
        payload["DNS"] = {
            "DNSProtocol": "Cleartext",
            "ServerAddresses": [config.dns],
            "SupplementalMatchDomains": list(own_names),
            "SupplementalMatchDomainsNoSearch": 1,
        }
    payload["PayloadUUID"] = _uuid(device_id, repr(payload))
    profile = {
        "PayloadType": "Configuration",
        "PayloadVersion": 1,
        "PayloadIdentifier": f"{_PREFIX}.{device_id}",
        "PayloadDisplayName": f"Photos on {host_name}, from anywhere",
        "PayloadDescription": "Reaches the photos of this household from outside, by the WireGuard app.",
        "PayloadUUID": _uuid(device_id, payload["PayloadUUID"]),
        "PayloadContent": [payload],
    }
    return plistlib.dumps(profile)


def _rules(home_urls: Sequence[str]) -> list[dict[str, str]]:
    """When the tunnel is on; the first rule that fits counts. A phone network is never home, and needs no probe."""
    rules = [{"Action": "Connect", "InterfaceTypeMatch": "Cellular"}] if home_urls else []
    rules += [{"Action": "Disconnect", "URLStringProbe": url} for url in home_urls[:MOST_PROBES]]
    return [*rules, {"Action": "Connect"}]


def _uuid(device_id: str, content: str) -> str:
    """A UUID that changes with the content, and only with it."""
    return str(uuid.uuid5(uuid.UUID(device_id), content)).upper()
