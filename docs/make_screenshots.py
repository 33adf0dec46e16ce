"""Takes the pictures of the gallery for README.md and these pages: `python -m docs.make_screenshots [--all FOLDER]`.

A real daemon serves generated photos to Debian's chromium. `--all` takes every page on a phone and a desk, in light and
dark, into a folder of one's own, to look at them after a change of how the pages look.
"""

from __future__ import annotations

import argparse
import io
import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, ImageColor, ImageDraw, ImageFilter
from playwright.sync_api import Browser, Page

from tests.daemon import Daemon
from tests.web.browsing import browser
from tests.web.household import Guest, picture, wait_for_thumbnails

IMAGES = Path(__file__).with_name("images")
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1440, "height": 900}
PLACES = {
    "Lisbon": (38.7169, -9.1399),
    "Bergen": (60.393, 5.3242),
    "Heidelberg": (49.4077, 8.6908),
    "Kyoto": (35.0211, 135.7538),
    "Garden": None,
}
SKIES = (("#274b7a", "#f3c9a1"), ("#5aa0d8", "#e8f3fb"), ("#2b2f5e", "#e58f6b"), ("#7fb5c9", "#fdf3d8"))
HILLS = ("#3d5a45", "#6d7f4e", "#4a5568", "#7a5c48", "#2f4f5f")
PAGES = {
    "timeline": "/",
    "albums": "/albums",
    "album": "/albums/{album}",
    "search": "/search?q=lisbon",
    "map": "/map",
    "more": "/more",
    "home": "/more/home",
    "devices": "/more/devices",
    "people": "/more/people",
    "settings": "/more/settings",
    "duplicates": "/more/duplicates",
    "problems": "/more/problems",
    "upload": "/more/upload",
    "away": "/more/away",
    "viewer": "/photo/{photo}",
    "login": "/login",
    "nowhere": "/more/nowhere",
}
SHOWN = (
    ("timeline", "phone", "light"),
    ("viewer", "phone", "dark"),
    ("timeline", "desk", "dark"),
    ("map", "desk", "light"),
    ("home", "desk", "light"),
    ("upload", "phone", "light"),
)


def scene(dice: random.Random, size: tuple[int, int]) -> Image.Image:
    """Hills below a sky with a sun, unlike each other."""
    width, height = size
    top, bottom = map(ImageColor.getrgb, dice.choice(SKIES))
    column = Image.new("RGB", (1, height))
    for y in range(height):
        part = min(y / height * 1.5, 1)
        column.putpixel((0, y), tuple(round(a + (b - a) * part) for a, b in zip(top, bottom, strict=True)))
    image = column.resize(size)
    draw = ImageDraw.Draw(image)
    x, y, radius = dice.randrange(width), dice.randrange(height // 2), height // 14
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill="#fff3cf")
    colour = ImageColor.getrgb(dice.choice(HILLS))
    for layer in range(4):
        level = height * (0.5 + layer * 0.13)
        points = [(at * width / 8, level + dice.uniform(-0.12, 0.1) * height) for at in range(9)]
        shade = tuple(round(part * (1.3 - layer * 0.25)) for part in colour)
        draw.polygon([(0, height), *points, (width, height)], fill=shade)
    return image.filter(ImageFilter.GaussianBlur(1.2))


def fill(photos: Path) -> None:
    """Three summers of generated photos in five albums, with dates and places."""
    dice = random.Random(7)  # noqa: S311  # pictures
    names = list(PLACES)
    for number in range(110):
        name = names[number // 8 % len(names)]
        size = (900, 675) if number % 4 else (675, 900)
        path = photos / name / f"IMG_{number:04}.jpg"
        year, month, day = 2024 + number // 48, 1 + number // 8 % 12, 3 + number % 8 // 4 * 9
        where = PLACES[name]
        near = None if where is None else (where[0] + dice.gauss(0, 0.02), where[1] + dice.gauss(0, 0.02))
        taken = f"{year}:{month:02}:{day:02} {8 + number % 8}:{dice.randrange(60):02}:00"
        picture(path, taken, near, size)
        with Image.open(path) as plain:
            exif = plain.getexif()
        scene(dice, size).save(path, "JPEG", quality=88, exif=exif)
    (photos / "Garden" / "broken.jpg").write_bytes(b"\xff\xd8 not a photo")
    (photos / "Lisbon" / "Copy.jpg").write_bytes((photos / "Lisbon" / "IMG_0000.jpg").read_bytes())


@contextmanager
def household() -> Iterator[Daemon]:
    """A daemon that has seen all photos."""
    with tempfile.TemporaryDirectory() as name:
        fill(Path(name) / "Photos")
        daemon = Daemon(Path(name) / "data", "--photos", str(Path(name) / "Photos")).start()
        try:
            wait_for_thumbnails(daemon)
            yield daemon
        finally:
            daemon.stop()


class Camera:
    """A browser of the administrator's on one screen, in one scheme."""

    def __init__(self, chromium: Browser, daemon: Daemon, screen: str, scheme: str) -> None:
        size = PHONE if screen == "phone" else DESK
        options = {"color_scheme": scheme, "reduced_motion": "reduce", "locale": "en-GB"}
        scale = 2 if screen == "phone" else 1
        self.context = chromium.new_context(viewport=size, device_scale_factor=scale, **options)  # type: ignore[arg-type]
        self.guest = Guest(self.context, daemon)
        self.guest.pair("--admin")
        self.album = self.guest.ask("/api/v1/albums")["albums"][0]["id"]
        self.photo = self.guest.photo("IMG_0083.jpg")["id"]

    def take(self, name: str) -> bytes:
        """A page as PNG."""
        page = self.guest.go(PAGES[name].format(album=self.album, photo=self.photo))
        page.wait_for_load_state("networkidle")
        if name == "viewer":
            page.keyboard.press("i")
        if name == "timeline":
            page.locator(".picture-there").first.wait_for()
        _rest(page)
        return page.screenshot()


def _rest(page: Page) -> None:
    """Return when every picture in the page is drawn."""
    page.evaluate(
        "() => Promise.all([...document.images].filter(each => !each.complete)"
        ".map(each => new Promise(done => { each.onload = each.onerror = done })))"
    )
    page.wait_for_timeout(700)


def save(png: bytes, path: Path) -> None:
    """A small WebP of it."""
    with Image.open(io.BytesIO(png)) as image:
        image.convert("RGB").save(path, "WEBP", quality=80, method=6)


def main() -> None:
    """Take what the pages show, or everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", type=Path, help="every page, into this folder")
    arguments = parser.parse_args()
    everything = [
        (name, screen, scheme) for name in PAGES for screen in ("phone", "desk") for scheme in ("light", "dark")
    ]
    wanted = SHOWN if arguments.all is None else everything
    folder: Path = arguments.all or IMAGES
    folder.mkdir(exist_ok=True)
    cameras: dict[tuple[str, str], Camera] = {}
    with household() as daemon, browser() as chromium:
        for name, screen, scheme in wanted:
            if (screen, scheme) not in cameras:
                cameras[screen, scheme] = Camera(chromium, daemon, screen, scheme)
            save(cameras[screen, scheme].take(name), folder / f"{name}-{screen}-{scheme}.webp")


if __name__ == "__main__":
    main()
