"""The poster frame of a video: upright, in square pixels, from the file's own bytes and with one decoder thread."""

from __future__ import annotations

from typing import Any, BinaryIO

import av
import av.error
from PIL import Image, ImageStat

from pixlsrve.media.decode.limits import Limits, Undecodable, check_pixels
from pixlsrve.media.decode.stills import Picture, fitted

DEMUXERS = {
    "mp4": "mov",
    "mov": "mov",
    "m4v": "mov",
    "3gp": "mov",
    "3g2": "mov",
    "qt": "mov",
    "mkv": "matroska",
    "webm": "matroska",
    "avi": "avi",
    "mpegts": "mpegts",
    "m2ts": "mpegts",
    "ts": "mpegts",
    "mpeg": "mpeg",
    "mpg": "mpeg",
    "wmv": "asf",
    "asf": "asf",
    "flv": "flv",
    "ogv": "ogg",
    "ogg": "ogg",
}
"""The demuxer is chosen by content, never probed: FFmpeg also has demuxers that open other files and addresses."""

_PLACES = (0.1, 0.3, 0.5, 0.0)
"""Parts of the duration where a frame is taken until one is not black; openings are often faded in."""

_BLACK_LUMA = 12
"""Mean luma of 0 to 255 at or below which a frame is taken for black."""

_MAX_PACKETS = 600
"""Packets read in search of one frame: 20 s of film, more than any distance between key frames in practice."""


def decode(source: BinaryIO, *, format: str, side_px: int | None, limits: Limits) -> Picture:  # noqa: A002
    """A frame at about a tenth of the duration, fitted into a square of `side_px`. Raises Undecodable."""
    demuxer = DEMUXERS.get(format)
    if demuxer is None:
        raise Undecodable("unsupported", f"Videos of the format {format} cannot be decoded here.")
    source.seek(0)
    try:
        with av.open(source, mode="r", format=demuxer, metadata_errors="ignore") as container:
            return _poster(container, side_px, limits)
    except (av.error.FFmpegError, OSError, ValueError, EOFError, IndexError, MemoryError) as error:
        if isinstance(error, MemoryError):
            raise
        raise Undecodable("damaged", "No frame of the video can be decoded.") from error


def still(source: BinaryIO, stored: tuple[int, int], size: tuple[int, int]) -> Image.Image | None:
    """The single picture of a HEIF file, `stored` pixels large, scaled to `size`; None where FFmpeg sees another."""
    source.seek(0)
    try:
        with av.open(source, mode="r", format="mov", metadata_errors="ignore") as container:
            for stream in container.streams.video:
                if (stream.codec_context.width, stream.codec_context.height) == stored:
                    stream.codec_context.thread_count = 1
                    frame = _frame(container, stream, 0)
                    image: Image.Image | None = frame and frame.to_image(width=size[0], height=size[1])
                    return image
    except (av.error.FFmpegError, OSError, ValueError, EOFError, IndexError):
        return None
    return None


def _poster(container: Any, side_px: int | None, limits: Limits) -> Picture:
    streams = [stream for stream in container.streams.video if not _is_cover(stream)] or list(container.streams.video)
    if not streams:
        raise Undecodable("unsupported", "The file holds no moving picture.")
    stream = streams[0]
    check_pixels(stream.codec_context.width, stream.codec_context.height, limits)
    stream.codec_context.thread_count = 1
    best: Picture | None = None
    for place in _PLACES:
        frame = _frame(container, stream, place)
        if frame is None:
            continue
        best = _picture(frame, stream, side_px)
        if ImageStat.Stat(best.image.convert("L").reduce(8 if min(best.image.size) >= 8 else 1)).mean[0] > _BLACK_LUMA:
            break
    if best is None:
        raise Undecodable("damaged", "No frame of the video can be decoded.")
    return best


def _is_cover(stream: Any) -> bool:
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def _frame(container: Any, stream: Any, place: float) -> Any | None:
    """The first frame that decodes from the key frame before this part of the duration."""
    try:
        if container.duration:
            container.seek(int(container.duration * place), backward=True)
        elif place:
            return None
    except av.error.FFmpegError:
        if place:
            return None
    for count, packet in enumerate(container.demux(stream)):
        if count > _MAX_PACKETS:
            return None
        try:
            for frame in packet.decode():
                return frame
        except av.error.InvalidDataError:
            continue
    return None


def _picture(frame: Any, stream: Any, side_px: int | None) -> Picture:
    aspect = stream.sample_aspect_ratio
    width, height = frame.width, frame.height
    if aspect and 0.1 < aspect < 10:
        width = max(1, round(width * aspect))
    size = fitted(width, height, side_px) if side_px else (width, height)
    image: Image.Image = frame.to_image(width=size[0], height=size[1])
    turns = round(frame.rotation / 90) % 4
    if turns:
        operations = (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270)
        image = image.transpose(operations[turns - 1])
    if turns % 2:
        width, height = height, width
    return Picture(image, width, height)
