"""Names of uploaded files, rebuilt so that every system that may see them can keep them (THREATS T22). Pure."""

from __future__ import annotations

import re
import unicodedata

NAME_MAX_BYTES = 255
FALLBACK = "upload"
_SUFFIX_ROOM_BYTES = 8
_EXTENSION_MAX = 16
_FOREIGN = re.compile(r'[<>:"|?*]')
"""Forbidden on Windows and FAT (Microsoft, "Naming Files, Paths, and Namespaces")."""
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9\u00b9\u00b2\u00b3]) *(\.|$)")
"""Devices on Windows, whatever follows the first dot."""
_DROPPED = frozenset(
    {"\u061c", "\u200e", "\u200f", "\ufeff", "\u2028", "\u2029"}
    | {chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))}
)
"""Marks that turn the direction of text or break lines; joiners stay, for emoji and some scripts need them."""


def rebuild(given: str) -> str:
    """A safe name for a file that its sender calls `given`: NFC, one component, at most 255 bytes, never hidden."""
    name = re.split(r"[/\\]", given)[-1]
    name = unicodedata.normalize("NFC", "".join(filter(_is_kept, name)))
    name = _FOREIGN.sub("_", name).strip().lstrip(".").rstrip(". ").lstrip()
    if not name:
        return FALLBACK
    if _RESERVED.match(name):
        name = f"_{name}"
    return _shortened(name, "")


def shown(given: str) -> str:
    """What a sender calls a file, for people to read: its last component, without controls and direction marks."""
    name = re.split(r"[/\\]", given)[-1]
    return unicodedata.normalize("NFC", "".join(filter(_is_kept, name))).strip()[:NAME_MAX_BYTES]


def numbered(name: str, number: int) -> str:
    """The name to try after `number` others were taken: `a.jpg`, `a_1.jpg`, `a_2.jpg`, ..."""
    return name if number == 0 else _shortened(name, f"_{number}")


def with_extension(name: str, extension: str) -> str:
    """`name` with the extension (no dot) that its content asks for."""
    return _shortened(f"{name}.{extension}", "")


def extension_of(name: str) -> str:
    """The lower-case extension without its dot; empty without one."""
    stem, dot, extension = name.rpartition(".")
    return extension.lower() if dot and stem else ""


def collision_key(name: str) -> str:
    """Equal for names that some file system takes for the same: without case, in whatever normal form."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())


def _is_kept(character: str) -> bool:
    return character not in _DROPPED and unicodedata.category(character) not in {"Cc", "Cs"}


def _shortened(name: str, suffix: str) -> str:
    """`name` with `suffix` before its extension, its stem cut so that the whole and further suffixes fit."""
    stem, dot, extension = name.rpartition(".")
    if not dot or not stem or len(extension) > _EXTENSION_MAX:
        stem, extension = name, ""
    else:
        extension = f".{extension}"
    room = NAME_MAX_BYTES - _SUFFIX_ROOM_BYTES - len(extension.encode())
    stem = stem.encode()[:room].decode("utf-8", "ignore").rstrip(". ")
    return f"{stem}{suffix}{extension}"
