"""A small household's photos on disk, and browsers that look at them through a real daemon."""

from __future__ import annotations

import io
import json
import shutil
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.TiffImagePlugin import IFDRational
from playwright.sync_api import Browser

from tests.daemon import Daemon
from tests.index.metadata.samples import sound, video, xmp
from tests.web.browsing import Visitor

SMALL = {"width": 320, "height": 640}
DESK = {"width": 1440, "height": 900}
HOSTILE = "\"><img src=x onerror='document.title=1'>.jpg"
ARABIC = "صورة جميلة.jpg"
LISBON, KYOTO = (38.7169, -9.1399), (35.0211, 135.7538)


def picture(
    path: Path,
    taken: str | None = None,
    position: tuple[float, float] | None = None,
    size: tuple[int, int] = (400, 300),
    caption: str = "",
    packet: bytes | None = None,
) -> Path:
    """Write a JPEG of one colour of its own, taken at a wall clock such as `2023:07-15 10:00:00` and at a place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    number = sum(path.name.encode()) * 7919
    image = Image.new("RGB", size, (number % 256, number // 256 % 256, 160))
    exif = Image.Exif()
    if caption:
        exif[0x010E] = caption
    if taken:
        exif.get_ifd(0x8769)[0x9003] = taken
    if position:
        exif.get_ifd(0x8825).update(
            {
                1: "N" if position[0] >= 0 else "S",
                2: _degrees(position[0]),
                3: "E" if position[1] >= 0 else "W",
                4: _degrees(position[1]),
            }
        )
    out = io.BytesIO()
    image.save(out, "JPEG", exif=exif, **({"xmp": packet} if packet else {}))
    path.write_bytes(out.getvalue())
    return path


def _degrees(value: float) -> tuple[IFDRational, ...]:
    exact = Fraction(abs(value)).limit_denominator(100_000)
    return (IFDRational(exact.numerator, exact.denominator), IFDRational(0, 1), IFDRational(0, 1))


def fill(photos: Path) -> None:
    """Two years of photos in albums: places, a live photo, a film, a sound, a copy, hostile and right-to-left names."""
    for number in range(24):
        month, position = 1 + number % 12, LISBON if number % 3 == 0 else KYOTO if number % 3 == 1 else None
        where = None if position is None else (position[0] + number / 1000, position[1])
        size = (400, 300) if number % 2 else (300, 400)
        picture(photos / f"Trips/IMG_{number:04}.jpg", f"202{number // 12}:{month:02}:10 10:00:00", where, size)
    shutil.copyfile(photos / "Trips/IMG_0000.jpg", photos / "Trips/Copy of 0.jpg")
    picture(photos / HOSTILE, "2022:01:01 10:00:00", caption="<script>document.title = 'x'</script><b>bold</b>")
    picture(photos / ARABIC, "2022:01:02 10:00:00")
    film = video(codec="libx264")
    packet = xmp(f'GCamera:MicroVideo="1" GCamera:MicroVideoOffset="{len(film)}"')
    live = picture(photos / "Moving/live.jpg", "2022:02:01 10:00:00", packet=packet)
    live.write_bytes(live.read_bytes() + film)
    (photos / "Moving/film.mp4").write_bytes(video(codec="libx264", frames=40))
    (photos / "Moving/sound.mp3").write_bytes(sound("mp3", "mp3"))
    Image.new("RGB", (500, 400), (20, 120, 60)).save(photos / "Moving/scan.tiff")


class Guest(Visitor):
    """A visitor who came in by a pairing code and asks the API what a test has to know."""

    def ask(self, path: str) -> Any:
        """The API's answer to the page itself."""
        return self.page.evaluate("path => fetch(path).then(answer => answer.json())", path)

    def photo(self, filename: str) -> dict[str, Any]:
        """The photo with this file name."""
        photos = self.ask("/api/v1/photos?limit=500")["photos"]
        found: dict[str, Any] = next(photo for photo in photos if photo["filename"] == filename)
        return found


@contextmanager
def receive(chromium: Browser, daemon: Daemon, *pairing: str, **options: Any) -> Iterator[Guest]:
    """A browser of its own, paired with these options; fails when a script failed, or a request left the host."""
    context = chromium.new_context(**{"viewport": DESK, "locale": "en-GB", **options})
    guest = Guest(context, daemon)
    guest.pair(*pairing)
    yield guest
    context.close()
    assert guest.problems == [], guest.problems


def wait_for_thumbnails(daemon: Daemon) -> None:
    """Return once everything is indexed and each photo's thumbnail is there."""
    daemon.wait_indexed()
    token, pause = daemon.token(), threading.Event()
    for _ in range(600):
        request = urllib.request.Request(  # noqa: S310  # ourselves
            f"{daemon.url}/api/v1/host/status", headers={"Authorization": f"Bearer {token}"}
        )
        with urllib.request.urlopen(request, timeout=180) as answer:  # noqa: S310  # ourselves
            if not json.load(answer)["indexing_status"]["in_progress"]:
                return
        pause.wait(0.1)
    pytest.fail("the thumbnails were not made")
