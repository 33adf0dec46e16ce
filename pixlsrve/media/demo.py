"""The library of `serve --demo`: pictures with dates and places, and three pieces of music, all made by calculation.

It lives in a folder of its own, which is made once and whole, and in which nothing that anybody else put is touched.
"""

from __future__ import annotations

import array
import io
import math
import random
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import av
from PIL import Image, ImageDraw, ImageFilter

from pixlsrve.errors import StartError
from pixlsrve.media.roots import Roots
from pixlsrve.store import identity
from pixlsrve.store.database import Database

ROOT = "Demo"
"""The root's name, as clients see it."""
MARK = ".pixlsrve-demo"
"""Tells the folder from one that somebody made himself; the walker passes over its name."""
FIXED_ID = uuid.UUID("904cb473-5d17-4885-9363-46f466a7d140")
"""The media id of the specification's example (specs/flutter-app-backend.md)."""
FIXED_PATH = b"Music/audio_test_1.mp3"
_SIZE = (1_200, 800)
_SAMPLES_S = 44_100
_TUNES = {
    "audio_test_1.mp3": (262, 330, 392, 523, 392, 330, 262),
    "audio_test_2.mp3": (220, 262, 330, 440, 330, 262, 220),
    "audio_test_3.mp3": (294, 370, 440, 587, 440, 370, 294),
}
_NOTE_S = 0.6
_MP3_FRAME = 1_152


class _Album(NamedTuple):
    folder: str
    latitude: float
    longitude: float
    date: str
    offset: str
    sky: tuple[int, int, int]
    ground: tuple[int, int, int]


_ALBUMS = (
    _Album("Lisbon", 38.7107, -9.1366, "2023:05:{:02}", "+01:00", (255, 176, 108), (150, 84, 64)),
    _Album("Kyoto", 35.0116, 135.7681, "2024:04:{:02}", "+09:00", (250, 205, 215), (92, 118, 82)),
    _Album("Zermatt", 46.0207, 7.7491, "2022:08:{:02}", "+02:00", (140, 190, 235), (96, 112, 130)),
    _Album("Cape Town", -33.9249, 18.4241, "2021:12:{:02}", "+02:00", (112, 178, 220), (120, 132, 90)),
)
_PICTURES = 6


def make(data_dir: Path) -> Path:
    """The library that belongs to a data directory, made unless it is there. Raises StartError where it can't be.

    It lies beside the data directory: no photo folder may lie inside.
    """
    folder = data_dir.with_name(f"{data_dir.name}-photos")
    root = folder / ROOT
    if (root / MARK).exists():
        return root
    if (data_dir / "state.db").exists():
        raise StartError(
            f"{data_dir} holds a library of its own; name another data directory with --data-dir.",
        )
    if folder.exists():
        raise StartError(
            f"{folder} is there and is no folder of --demo; name another data directory with --data-dir.",
        )
    unfinished = folder.with_name(folder.name + ".part")
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700, parents=True)
        for name, content in _files():
            path = unfinished / ROOT / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        (unfinished / ROOT / MARK).touch()
        unfinished.rename(folder)
    except OSError as error:
        raise StartError(f"The demo's folder {folder} can't be made: {error.strerror}.") from error
    return root


async def give_ids(state: Database, roots: Roots) -> None:
    """Write down the id of the demo's first piece of music, before it is seen for the first time."""
    for root in roots:
        is_demo = (root.path / MARK).exists()
        if is_demo and not await identity.written_ids(state, "asset", root.id, [FIXED_PATH]):
            async with state.transaction() as tx:
                await identity.write_ids(tx, "asset", [(root.id, FIXED_PATH, FIXED_ID.bytes)])


def _files() -> Iterator[tuple[str, bytes]]:
    """The names and contents of all files."""
    for seed, album in enumerate(_ALBUMS):
        for number in range(_PICTURES):
            yield f"{album.folder}/{album.folder} {number + 1}.jpg", _picture(album, number, seed * 100 + number)
    for name, tune in _TUNES.items():
        yield f"Music/{name}", _music(tune)


def _picture(album: _Album, number: int, seed: int) -> bytes:
    """A landscape: a sky that grows lighter, a sun, and hills one before the other."""
    dice = random.Random(seed)  # noqa: S311  # a picture, no secret
    width, height = _SIZE
    sky = Image.linear_gradient("L").resize(_SIZE)
    picture = Image.composite(Image.new("RGB", _SIZE, (255, 244, 230)), Image.new("RGB", _SIZE, album.sky), sky)
    draw = ImageDraw.Draw(picture)
    x, y, radius = dice.randrange(200, 1_000), dice.randrange(120, 360), dice.randrange(40, 90)
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(255, 250, 215))
    picture = picture.filter(ImageFilter.GaussianBlur(3))
    draw = ImageDraw.Draw(picture)
    for layer in range(4):
        shade = 1.25 - layer * 0.25
        colour = tuple(min(255, round(part * shade)) for part in album.ground)
        base, wave, phase = 380 + layer * 105, dice.uniform(0.004, 0.011), dice.uniform(0, 6)
        rise = dice.randrange(40, 110)
        ridge = [
            (x, base + rise * math.sin(x * wave + phase) + 14 * math.sin(x * wave * 5.3 + phase * 2))
            for x in range(0, width + 8, 8)
        ]
        draw.polygon([(0, height), *ridge, (width, height)], fill=colour)
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=85, exif=_exif(album, number, dice))
    return out.getvalue()


def _exif(album: _Album, number: int, dice: random.Random) -> Image.Exif:
    """What a camera would have written (Exif 2.32, tags by number)."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "pixlsrve", "Demo camera"
    date = f"{album.date.format(3 + number * 2)} {9 + number:02}:{number * 7:02}:00"
    exif[0x0132] = date
    details = exif.get_ifd(0x8769)
    details |= {0x9003: date, 0x9004: date, 0x9011: album.offset, 0x829A: 1 / 250, 0x829D: 5.6, 0x8827: 100}
    position = exif.get_ifd(0x8825)
    latitude = album.latitude + dice.uniform(-0.01, 0.01)
    longitude = album.longitude + dice.uniform(-0.01, 0.01)
    position |= {1: "N" if latitude >= 0 else "S", 2: _degrees(latitude)}
    position |= {3: "E" if longitude >= 0 else "W", 4: _degrees(longitude)}
    return exif


def _degrees(value: float) -> tuple[float, float, float]:
    """Degrees, minutes and seconds without a sign."""
    minutes, seconds = divmod(abs(value) * 3_600, 60)
    degrees, minutes = divmod(minutes, 60)
    return degrees, minutes, round(seconds, 2)


def _music(tune: tuple[int, ...]) -> bytes:
    """A tune of plain tones (in Hz) as MP3."""
    samples = array.array("h")
    count = round(_SAMPLES_S * _NOTE_S)
    for tone in tune:
        for at in range(count):
            loudness = min(at, count - at, 2_000) / 2_000 * 9_000
            samples.append(round(loudness * math.sin(2 * math.pi * tone * at / _SAMPLES_S)))
    out = io.BytesIO()
    with av.open(out, "w", format="mp3") as container:
        stream = container.add_stream("libmp3lame", rate=_SAMPLES_S, layout="mono")
        stream.bit_rate = 96_000
        raw = samples.tobytes()
        for number, start in enumerate(range(0, len(raw), _MP3_FRAME * 2)):
            chunk = raw[start : start + _MP3_FRAME * 2]
            frame = av.AudioFrame(format="s16p", layout="mono", samples=len(chunk) // 2)
            frame.planes[0].update(chunk.ljust(frame.planes[0].buffer_size, b"\0"))
            frame.sample_rate, frame.pts = _SAMPLES_S, number * _MP3_FRAME
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return out.getvalue()
