"""Small media files that the metadata tests make for themselves."""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from fractions import Fraction

import av
from PIL import Image, TiffImagePlugin

from pixlsrve.index.metadata import read_facts
from pixlsrve.model import Facts, Refusal

XMP = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:GCamera="http://ns.google.com/photos/1.0/camera/"
 xmlns:Container="http://ns.google.com/photos/1.0/container/"
 xmlns:Item="http://ns.google.com/photos/1.0/container/item/" {attributes}>{body}</rdf:Description>
</rdf:RDF></x:xmpmeta>"""


def xmp(attributes: str = "", body: str = "") -> bytes:
    """An XMP packet with these attributes and elements in its one description."""
    return XMP.format(attributes=attributes, body=body).encode()


def exif(
    image: Mapping[int, object] | None = None,
    photo: Mapping[int, object] | None = None,
    gps: Mapping[int, object] | None = None,
) -> bytes:
    """An Exif block (with its `Exif` prefix) of these tags, written by Pillow."""
    block = Image.Exif()
    block.update(image or {})
    if photo:
        block.get_ifd(0x8769).update(photo)
    if gps:
        block.get_ifd(0x8825).update(gps)
    return b"Exif\0\0" + block.tobytes().removeprefix(b"Exif\0\0")


def rational(over: int, under: int) -> TiffImagePlugin.IFDRational:
    """A rational as Pillow writes it."""
    return TiffImagePlugin.IFDRational(over, under)


def picture(form: str = "JPEG", size: tuple[int, int] = (40, 30), mode: str = "RGB", **options: object) -> bytes:
    """A picture of one colour in a format that Pillow writes."""
    file = io.BytesIO()
    Image.new(mode, size, 90 if mode in {"L", "P"} else None).save(file, form, **options)
    return file.getvalue()


def video(form: str = "mp4", codec: str = "mpeg4", metadata: dict[str, str] | None = None, frames: int = 20) -> bytes:
    """A silent video of 64 by 48 pixels at 10 frames a second."""
    file = io.BytesIO()
    with av.open(file, "w", format=form) as container:
        container.metadata.update(metadata or {})
        stream = container.add_stream(codec, rate=10)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(frames):
            frame = av.VideoFrame.from_image(Image.new("RGB", (64, 48), (90, 90, 90)))  # type: ignore[no-untyped-call]  # PyAV leaves it untyped
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def sound(form: str, codec: str, seconds: int = 2) -> bytes:
    """Silence of 48,000 samples a second."""
    file = io.BytesIO()
    with av.open(file, "w", format=form) as container:
        stream = container.add_stream(codec, rate=48000)
        assert isinstance(stream, av.AudioStream)
        stream.bit_rate = 96_000
        frame = av.AudioFrame(format="s16", layout="mono", samples=48000 * seconds)
        frame.planes[0].update(bytes(frame.planes[0].buffer_size))
        frame.sample_rate, frame.time_base = 48000, Fraction(1, 48000)
        context = stream.codec_context
        resampler = av.AudioResampler(context.format.name, context.layout, 48000, context.frame_size or 1024)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return file.getvalue()


def read(data: bytes, name: str = "a.bin", zone: tzinfo = UTC) -> Facts | Refusal:
    """What read_facts says about these bytes."""
    return read_facts(io.BytesIO(data), name, zone=zone, max_pixels=100_000_000)


def facts(data: bytes, name: str = "a.bin", zone: tzinfo = UTC) -> Facts:
    """As read, for a file that must have facts."""
    result = read(data, name, zone)
    assert isinstance(result, Facts), result
    return result


def local_text(result: Facts) -> str | None:
    """The wall clock as text, microseconds included."""
    return None if result.taken_local_us is None else clock_text(result.taken_local_us)


def clock_text(microseconds: int) -> str:
    """Microseconds since the epoch as text."""
    seconds, micros = divmod(microseconds, 1_000_000)
    value = datetime(1970, 1, 1) + timedelta(seconds=seconds)
    return f"{value.isoformat()}.{micros:06d}".removesuffix(".000000")


def box(kind: bytes, *contents: bytes) -> bytes:
    """An ISO media box."""
    content = b"".join(contents)
    return struct.pack(">I4s", 8 + len(content), kind) + content
