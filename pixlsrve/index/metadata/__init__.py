"""What the header bytes of a media file say: format, size, moment, place, camera, tags.

`read_facts` is the stage's only entrance. It reads bounded pieces of one open file and never raises on their contents.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import tzinfo
from typing import BinaryIO

from pixlsrve.index.metadata.bitmaps import read_bmp, read_gif, read_ico, read_jp2, read_png, read_webp
from pixlsrve.index.metadata.film import read_film, read_sound_length
from pixlsrve.index.metadata.findings import Findings
from pixlsrve.index.metadata.heif import read_heif
from pixlsrve.index.metadata.jpeg import read_jpeg
from pixlsrve.index.metadata.quicktime import Tracks, read_quicktime
from pixlsrve.index.metadata.raw import read_cr2, read_cr3, read_crw, read_mrw, read_raf, read_tiff, read_x3f
from pixlsrve.index.metadata.sniff import EXTENSIONS, RAW_FORMATS, Format, format_named, sniff
from pixlsrve.index.metadata.sound import read_sound
from pixlsrve.index.metadata.source import Damaged, Source
from pixlsrve.model import Facts, Kind, Refusal

__all__ = ["EXTENSIONS", "RAW_FORMATS", "Format", "read_facts", "sniff"]

_STILLS: dict[str, Callable[[Source, Findings], None]] = {
    "jpeg": read_jpeg,
    "png": read_png,
    "apng": read_png,
    "webp": read_webp,
    "gif": read_gif,
    "bmp": read_bmp,
    "ico": read_ico,
    "jp2": read_jp2,
    "heic": read_heif,
    "heif": read_heif,
    "avif": read_heif,
    "cr2": read_cr2,
    "cr3": read_cr3,
    "crw": read_crw,
    "mrw": read_mrw,
    "raf": read_raf,
    "x3f": read_x3f,
}
"""Stills by format; every other one is a TIFF within."""

_QUICKTIME = frozenset({"mp4", "mov", "m4v", "3gp", "3g2", "m4a"})


def read_facts(file: BinaryIO, name: str, *, zone: tzinfo, max_pixels: int) -> Facts | Refusal:
    """The facts of an open, seekable file, or why there are none.

    `name` is the base file name, `zone` the host's time zone for local times without one. A picture of more than
    `max_pixels` still has facts: only its decoding is refused, later. Refusals: `empty`, `unrecognised`, `unsupported`,
    `damaged` (no size or no tracks could be read), `out_of_memory`, `unreadable` (the system could not read the file).
    """
    try:
        source = Source(file)
        if not source.head:
            return Refusal(reason="empty", message="The file is empty.")
        form = sniff(source.head, name)
        if form is None:
            return Refusal(
                reason="unrecognised", message="The contents are no photo, video or audio format known here."
            )
        if form.name == "jxl":
            return Refusal(reason="unsupported", message="JPEG XL pictures are not supported.")
        return _read(source, form, name, zone)
    except Damaged as error:
        return Refusal(reason="damaged", message=f"The file is damaged: {error}.")
    except MemoryError:
        return Refusal(reason="out_of_memory", message="Reading the file's header took too much memory.")
    except OSError:
        return Refusal(reason="unreadable", message="The file could not be read.")
    except Exception:  # noqa: BLE001 - the edge between hostile bytes and the index: whatever a parser or library raises
        return Refusal(reason="damaged", message="The file's header is damaged.")


def _read(source: Source, form: Format, name: str, zone: tzinfo) -> Facts | Refusal:
    found = Findings()
    if form.name in _QUICKTIME:
        form = _read_quicktime(source, form, found)
    elif form.kind is Kind.PHOTO:
        _STILLS.get(form.name, read_tiff)(source, found)
        if not found.has_size:
            raise Damaged("the picture has no size")
    elif form.kind is Kind.AUDIO:
        _read_sound(source, form, found)
    else:
        tracks = read_film(source, form.name, found)
        form = _by_tracks(form, tracks)
    return found.facts(form.kind, form.name, form.mime, name, zone)


def _read_quicktime(source: Source, form: Format, found: Findings) -> Format:
    tracks = read_quicktime(source, found)
    if (tracks.has_video or tracks.has_audio) and (tracks.is_fragmented or not found.duration_s):
        stated_s, found.duration_s = found.duration_s, None
        with suppress(Exception):  # the boxes have said the rest already
            read_film(source, form.name, found)
        found.duration_s = found.duration_s or stated_s
    form = _by_tracks(form, tracks)
    if form.kind is Kind.AUDIO:
        with suppress(Exception):  # tags in an odd order are no reason to refuse sound that plays
            read_sound(source, "m4a", found)
    return form


def _read_sound(source: Source, form: Format, found: Findings) -> None:
    read_sound(source, form.name, found)
    if found.duration_s is None and form.name in {"mp3", "aac"}:
        with suppress(Exception):  # the rest is known
            read_sound_length(source, form.name, found)


def _by_tracks(form: Format, tracks: Tracks) -> Format:
    """The format as its tracks have it: a container without pictures is audio."""
    if tracks.has_video:
        return form if form.kind is Kind.VIDEO else format_named("mp4")
    if not tracks.has_audio:
        raise Damaged("the film has no tracks")
    if form.kind is Kind.AUDIO or form.name in _QUICKTIME:
        return format_named("m4a")
    return Format(Kind.AUDIO, form.name, form.mime.replace("video/", "audio/"))
