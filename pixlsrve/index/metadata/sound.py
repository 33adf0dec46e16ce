"""Audio files: duration, codec, tags and whether there is a cover, by mutagen."""

from __future__ import annotations

import base64
import binascii
import importlib
from collections.abc import Callable, Iterable
from typing import Any

from pixlsrve.index.metadata import text
from pixlsrve.index.metadata.findings import Findings
from pixlsrve.index.metadata.source import BoundedFile, Source

# Module and classes by format, loaded when the first such file turns up.
_READERS = {
    "mp3": ("mutagen.mp3", ("MP3",)),
    "flac": ("mutagen.flac", ("FLAC",)),
    "m4a": ("mutagen.mp4", ("MP4",)),
    "aac": ("mutagen.aac", ("AAC",)),
    "opus": ("mutagen.oggopus", ("OggOpus",)),
    "wav": ("mutagen.wave", ("WAVE",)),
    "aiff": ("mutagen.aiff", ("AIFF",)),
    "wma": ("mutagen.asf", ("ASF",)),
    "ape": ("mutagen.monkeysaudio", ("MonkeysAudio",)),
}
_OGG = {b"\x01vorbis": ("mutagen.oggvorbis", "OggVorbis"), b"\x7fFLAC": ("mutagen.oggflac", "OggFLAC")}

_TITLE = ("TIT2", "title", "\xa9nam", "Title")
_ARTIST = ("TPE1", "artist", "\xa9ART", "Author", "Artist")
_ALBUM = ("TALB", "album", "\xa9alb", "WM/AlbumTitle", "Album")
_COVER = ("covr", "metadata_block_picture", "coverart", "WM/Picture", "Cover Art (Front)")


def read_sound(source: Source, form: str, found: Findings) -> None:
    """Add what an audio file of this format says. Raises what mutagen raises for a broken one."""
    file = _open(source, form)
    length = getattr(file.info, "length", None)
    if found.duration_s is None and isinstance(length, int | float) and length > 0:
        found.duration_s = float(length)
    found.codecs = found.codecs or (_codec(form, file.info, source.head),)
    tags = file.tags
    pictures = getattr(file, "pictures", None)
    if tags is not None:
        found.title = found.title or _text(tags, _TITLE)
        found.artist = found.artist or _text(tags, _ARTIST)
        found.album = found.album or _text(tags, _ALBUM)
    found.has_cover = found.has_cover or bool(pictures) or (tags is not None and _has_cover(tags))


def _open(source: Source, form: str) -> Any:
    if form == "ogg":
        module, name = next(
            (one for mark, one in _OGG.items() if mark in source.head[:256]), ("mutagen.oggspeex", "OggSpeex")
        )
    else:
        module, (name,) = _READERS[form]
    reader: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return reader(fileobj=BoundedFile(source.file, source.size))


def _text(tags: Any, names: Iterable[str]) -> str | None:
    for name in names:
        value = _get(tags, name)
        if value is None:
            continue
        values = getattr(value, "text", value)
        first = values[0] if isinstance(values, list) and values else values
        if (cleaned := text.clean(str(first))) is not None:
            return cleaned
    return None


def _get(tags: Any, name: str) -> Any:
    try:
        return tags.get(name)
    except (KeyError, ValueError, TypeError):  # Vorbis comments refuse keys that are not ASCII
        return None


def _has_cover(tags: Any) -> bool:
    if any(key.startswith("APIC") for key in tags.keys() if isinstance(key, str)):  # noqa: SIM118 - not every tag class iterates over its keys
        return True
    for name in _COVER:
        value = _get(tags, name)
        if value and (name != "metadata_block_picture" or _is_picture(value)):
            return True
    return False


def _is_picture(value: Any) -> bool:
    """Whether a Vorbis picture comment holds a FLAC picture block."""
    try:
        return len(base64.b64decode(value[0], validate=True)) > 32
    except (binascii.Error, ValueError, IndexError, TypeError):
        return False


_WMA_CODECS = {0x160: "wmav1", 0x161: "wmav2", 0x162: "wmapro", 0x163: "wmalossless"}
_WAV_CODECS = {6: "pcm_alaw", 7: "pcm_mulaw", 0x11: "adpcm_ima_wav", 2: "adpcm_ms", 0x55: "mp3"}


def _codec(form: str, info: Any, head: bytes) -> str:
    """The codec by FFmpeg's name."""
    if form == "wav":
        return _wav_codec(head)
    if form == "aiff":
        bits = getattr(info, "sample_size", 16) or 16
        return "pcm_s8" if bits == 8 else f"pcm_s{bits}be"
    if form == "wma":
        return _wma_codec(head)
    if form == "ogg":
        return "vorbis" if b"\x01vorbis" in head[:256] else "flac" if b"\x7fFLAC" in head[:256] else "speex"
    if form == "m4a":
        return "alac" if getattr(info, "codec", "") == "alac" else "aac"
    return form


def _wav_codec(head: bytes) -> str:
    at = head.find(b"fmt ")
    if at < 0 or len(head) < at + 24:
        return "pcm_s16le"
    tag = int.from_bytes(head[at + 8 : at + 10], "little")
    bits = int.from_bytes(head[at + 22 : at + 24], "little")
    if tag == 0xFFFE and len(head) >= at + 34:  # WAVEFORMATEXTENSIBLE: the tag is the GUID's beginning
        tag = int.from_bytes(head[at + 32 : at + 34], "little")
    if tag == 3:
        return f"pcm_f{bits}le"
    return _WAV_CODECS.get(tag, "pcm_u8" if bits == 8 else f"pcm_s{bits}le")


_ASF_AUDIO = bytes.fromhex("409e69f84d5bcf11a8fd00805f5c442b")


def _wma_codec(head: bytes) -> str:
    """The format tag in the stream properties of the sound (ASF specification §3.3)."""
    at = head.find(_ASF_AUDIO)
    tag = int.from_bytes(head[at + 54 : at + 56], "little") if at >= 0 else 0
    return _WMA_CODECS.get(tag, "wmav2")
