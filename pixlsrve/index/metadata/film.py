"""Videos in other containers than MP4's family, by FFmpeg (PyAV), which is loaded when the first such file turns up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pixlsrve.index.metadata import text
from pixlsrve.index.metadata.dates import SECOND_US, Moment, parse_iso
from pixlsrve.index.metadata.findings import Findings
from pixlsrve.index.metadata.quicktime import Tracks
from pixlsrve.index.metadata.source import BoundedFile, Source
from pixlsrve.model import TakenSource

if TYPE_CHECKING:
    from collections.abc import Mapping

# FFmpeg's demuxers by our names, so that no file is opened as anything but what its bytes said.
_DEMUXERS = {
    "mkv": "matroska",
    "webm": "matroska",
    "avi": "avi",
    "m2ts": "mpegts",
    "ts": "mpegts",
    "mpeg": "mpeg",
    "wmv": "asf",
    "flv": "flv",
    "ogv": "ogg",
    "mp4": "mov",
    "mov": "mov",
    "m4v": "mov",
    "3gp": "mov",
    "3g2": "mov",
    "m4a": "mov",
}
_MEASURED_BYTES = 1024 * 1024
# The first megabyte tells every stream of a household's videos; FFmpeg's own 5 MB take longer than all else here.
_OPTIONS = {"probesize": "1048576", "analyzeduration": "2000000"}


def read_film(source: Source, form: str, found: Findings) -> Tracks:
    """Add what a video of this format says, and tell which tracks it has. Raises what PyAV raises for a broken one."""
    import av  # a large library: only for the files that need it

    av.logging.set_level(None)
    tracks = Tracks()
    codecs: list[str] = []
    with av.open(
        BoundedFile(source.file, source.size),
        "r",
        format=_DEMUXERS[form],
        container_options=_OPTIONS,
        metadata_errors="replace",
    ) as container:
        for stream in container.streams:
            if stream.type == "video" and not _is_cover(stream):
                tracks.has_video = True
                _size(stream.codec_context, found)
                found.frame_count = found.frame_count or stream.frames or None
            elif stream.type == "video":
                found.has_cover = True
                continue
            elif stream.type == "audio":
                tracks.has_audio = True
            else:
                continue
            codecs.append(_codec_name(stream))
        if container.duration is not None and found.duration_s is None:
            found.duration_s = container.duration / SECOND_US
        _tags({key.lower(): value for key, value in container.metadata.items()}, found)
    found.codecs = found.codecs or tuple(dict.fromkeys(codecs))
    return tracks


def read_sound_length(source: Source, form: str, found: Findings) -> None:
    """Add the duration of sound whose headers do not state one; a short file is measured packet by packet."""
    import av  # as above

    av.logging.set_level(None)
    file = BoundedFile(source.file, source.size)
    with av.open(file, "r", format=form, container_options=_OPTIONS, metadata_errors="replace") as container:
        if container.duration is not None:
            found.duration_s = container.duration / SECOND_US
        elif source.size <= _MEASURED_BYTES:
            found.duration_s = float(
                sum(packet.duration * packet.time_base for packet in container.demux(audio=0) if packet.duration)
            )


def _is_cover(stream: Any) -> bool:
    return "attached_pic" in str(stream.disposition)


def _codec_name(stream: Any) -> str:
    name = str(stream.codec_context.codec.canonical_name if stream.codec_context is not None else "unknown")
    return name[: text.SHORT]


def _size(context: Any, found: Findings) -> None:
    if found.width is None and context is not None and context.width > 0 and context.height > 0:
        found.width, found.height = context.width, context.height


def _tags(tags: Mapping[str, str], found: Findings) -> None:
    found.title = found.title or text.clean(tags.get("title", ""))
    found.artist = found.artist or text.clean(tags.get("artist", ""))
    found.album = found.album or text.clean(tags.get("album", ""))
    for name in ("creation_time", "date_utc", "date"):
        moment = parse_iso(tags.get(name, ""))
        if moment is not None:
            # Matroska and FFmpeg's creation_time are UTC; a bare date has no zone.
            is_utc = name != "date" and moment.offset_s in {None, 0}
            found.date(TakenSource.CONTAINER, Moment(moment.clock_us, is_utc=True) if is_utc else moment)
            return
