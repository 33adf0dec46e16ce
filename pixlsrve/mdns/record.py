"""What is announced: the service type, the instance name, the TXT record. Pure (RFC 6763)."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

SERVICE_TYPE = "_pixlsrve._tcp.local."
LABEL_BYTES_MAX = 63
"""RFC 6763 §4.1.1: an instance name is one DNS label."""
TXT_STRING_BYTES_MAX = 255
"""RFC 6763 §6.1: one `key=value`."""
NAME_TRIES = 10
"""After that many names that others have, nobody is given up for: the host's id makes the last one its own."""
FALLBACK_NAME = "pixlsrve"
_ID_DIGITS = 8
_DOT = "\N{ONE DOT LEADER}"


@dataclass(frozen=True, kw_only=True)
class Announcement:
    """What the specification's TXT record tells. `name` is shown to people, `has_tls` says whether HTTPS is there."""

    host_id: str
    version: str
    api_port: int
    has_tls: bool
    name: str

    def txt(self) -> dict[str, str]:
        """The TXT record: exactly the specification's five, each short enough for its string (RFC 6763 §6.1)."""
        return {
            "host_id": self.host_id,
            "version": self.version,
            "api_port": str(self.api_port),
            "secure": "true" if self.has_tls else "false",
            "name": _cut(self.name, TXT_STRING_BYTES_MAX - len("name=")),
        }


def display_name(setting: str, host_name: str) -> str:
    """The name for people: the setting `mdns.name`, else the host's name without its domain.

    Without control characters (RFC 6763 §4.1.1), in composed form (RFC 5198), never empty.
    """
    return _clean(setting) or _clean(host_name.partition(".")[0]) or FALLBACK_NAME


def instance_name(name: str, attempt: int, host_id: str) -> str:
    """The label to try as number `attempt`, from 1: `name`, `name (2)` ..., in the end one with the host's id."""
    suffix = "" if attempt <= 1 else f" ({attempt})"
    if attempt >= NAME_TRIES:
        suffix = f" ({_short(host_id)})"
    # A dot inside the label can't be written with the library, which takes it for the end of the label.
    label = name.replace(".", _DOT)
    return _cut(label, LABEL_BYTES_MAX - len(suffix)) + suffix


def service_name(label: str) -> str:
    """The full name of an instance."""
    return f"{label}.{SERVICE_TYPE}"


def server_name(host_id: str) -> str:
    """The host's own name in `.local`, without a final dot.

    Not the system's name: that one belongs to avahi-daemon or mDNSResponder, with which we would compete for it.
    """
    return f"pixlsrve-{_short(host_id)}.local"


def _short(host_id: str) -> str:
    """The first digits of a UUID."""
    return re.sub("[^0-9a-z]", "", host_id.lower())[:_ID_DIGITS]


def _clean(text: str) -> str:
    """One line in composed form, without control characters and what else can't be written."""
    composed = unicodedata.normalize("NFC", text)
    kept = (" " if unicodedata.category(letter) in {"Cc", "Cs", "Zl", "Zp"} else letter for letter in composed)
    return " ".join("".join(kept).split())


def _cut(text: str, size_bytes: int) -> str:
    """As much of the beginning as fits into so many bytes of UTF-8."""
    return text.encode("utf-8")[:size_bytes].decode("utf-8", "ignore").rstrip()
