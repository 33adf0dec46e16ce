"""What is put into the machine's photo folder: real photos, HEICs, RAWs and films, and photos of 12 megapixels."""

from __future__ import annotations

import shutil
from pathlib import Path

import pillow_heif

from benchmarks import harness
from tests.index.metadata.samples import video
from tests.qemu.root import make_image

HEAVY = ("heic", "large", "raw", "video")
"""Folders of the test media that are taken whole: what needs most memory."""
LEFT_OUT = {".json", ".md", ".tar", ".tsv"}
LARGE = 12
_ROOM_MB = 64


def make_media(folder: Path, source: Path | None, count: int) -> tuple[Path, int]:
    """An image with at most `count` files of `source`, or as many made here, and `LARGE` photos; how many there are."""
    tree = folder / "media"
    harness.make_photos(tree / "camera", LARGE, scenes=4)
    if source is None:
        _made(tree / "made", count)
    else:
        for number, path in enumerate(_chosen(source, count)):
            place = tree / path.relative_to(source).parent
            place.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place / f"{number:03}-{path.name}")
    files = [path for path in tree.rglob("*") if path.is_file()]
    image = folder / "media.ext4"
    make_image(image, tree, _ROOM_MB + 2 * sum(path.stat().st_size for path in files) // 1_000_000)
    return image, len(files)


def _chosen(source: Path, count: int) -> list[Path]:
    """The heavy folders, and of the others as many as there is room for, evenly."""
    files = [path for path in sorted(source.rglob("*")) if path.is_file() and path.suffix.lower() not in LEFT_OUT]
    heavy = [path for path in files if path.relative_to(source).parts[0] in HEAVY][:count]
    others = [path for path in files if path.relative_to(source).parts[0] not in HEAVY]
    room = min(count - len(heavy), len(others))
    return heavy + [others[number * len(others) // room] for number in range(room)]


def _made(folder: Path, count: int) -> None:
    """Photos, a third of them HEICs, and a film for every ten."""
    folder.mkdir()
    scenes = [harness.scene((2016, 1512), seed) for seed in range(4)]
    for number in range(count):
        scene = scenes[number % 4].rotate(number % 20)
        if number % 10 == 0:
            (folder / f"{number:03}.mp4").write_bytes(video(codec="libx264", frames=10 + number))
        elif number % 3 == 0:
            pillow_heif.from_pillow(scene).save(folder / f"{number:03}.heic", quality=60)
        else:
            scene.save(folder / f"{number:03}.jpg", quality=88)
