"""What the benchmarks share: a real daemon, generated pictures and trees, medians, and one JSON object as the answer.

Scratch files go to PIXLSRVE_BENCHMARK_DIR (default: a folder in the system's temporary one); what takes long to make
(the file of place names, `sharp`) is kept there for the next run.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import platform
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import PIL
from PIL import Image, ImageChops, ImageFilter

from pixlsrve.cli.control import Control
from pixlsrve.media.places.build import ensure_places

T = TypeVar("T")

SIZE_12_MP = (4032, 3024)
START_LIMIT_S = 120.0
MAKER_NOTE_BYTES = 12_000
NICENESS = 10
"""References run as nice as the daemon's workers: on a busy machine the comparison would mean nothing otherwise."""


def cache_dir() -> Path:
    """The folder for what is kept between runs."""
    default = Path(tempfile.gettempdir()) / "pixlsrve-benchmarks"
    folder = Path(os.environ.get("PIXLSRVE_BENCHMARK_DIR") or default)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """An empty folder that is removed in the end."""
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=cache_dir()))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# Pictures


def scene(size: tuple[int, int], seed: int) -> Image.Image:
    """A picture with a sky, shapes with edges, textures and sensor noise: it compresses as photos do."""
    dice = random.Random(seed)
    width, height = size
    layers = []
    for _ in range(3):
        grain = Image.frombytes("L", (24, 18), dice.randbytes(24 * 18)).resize(size, Image.Resampling.BICUBIC)
        shapes = Image.frombytes("L", (160, 120), dice.randbytes(160 * 120)).filter(ImageFilter.MedianFilter(7))
        grain = Image.blend(grain, shapes.resize(size, Image.Resampling.NEAREST), 0.35)
        layers.append(grain)
    picture = Image.merge("RGB", layers)
    texture = Image.frombytes("L", (1024, 1024), dice.randbytes(1024 * 1024)).filter(ImageFilter.GaussianBlur(0.8))
    tiled = Image.new("L", size)
    for x in range(0, width, 1024):
        for y in range(0, height, 1024):
            tiled.paste(texture, (x, y))
    tiled = tiled.point([round((value - 128) * 0.25) + 128 for value in range(256)])
    return ImageChops.add(picture, Image.merge("RGB", [tiled] * 3), scale=1, offset=-128)


def exif_of(number: int, dice: random.Random) -> Image.Exif:
    """What a camera writes: dates with offset, exposure, lens, position, and a maker's note."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0131] = "Apple", "iPhone 14 Pro", "17.5.1"
    date = f"20{dice.randrange(10, 25):02}:{dice.randrange(1, 13):02}:{dice.randrange(1, 29):02} 12:{number % 60:02}:07"
    exif[0x0132] = date
    details = exif.get_ifd(0x8769)
    details |= {0x9003: date, 0x9004: date, 0x9011: "+02:00", 0x9291: f"{number % 1000:03}"}
    details |= {0x829A: 1 / dice.randrange(30, 900), 0x829D: 1.78, 0x8827: dice.choice((64, 100, 400)), 0x920A: 6.86}
    details |= {0xA434: "iPhone 14 Pro back triple camera 6.86mm f/1.78", 0x927C: dice.randbytes(MAKER_NOTE_BYTES)}
    position = exif.get_ifd(0x8825)
    position |= {1: "N", 2: (dice.randrange(36, 60), dice.randrange(60), 12.5)}
    position |= {3: "E", 4: (dice.randrange(1, 25), dice.randrange(60), 30.25), 6: dice.randrange(900)}
    return exif


def make_photos(
    folder: Path, count: int, size: tuple[int, int] = SIZE_12_MP, *, scenes: int = 8, first: int = 0
) -> list[Path]:
    """`count` JPEGs of `scenes` different pictures; each file has its own Exif, and so its own content.

    `first` is the first one's number, which its name and its Exif depend on.
    """
    folder.mkdir(parents=True, exist_ok=True)
    dice = random.Random(first)
    bodies = []
    for seed in range(min(scenes, count)):
        plain = folder / "plain.jpg"
        scene(size, seed).save(plain, "JPEG", quality=90)
        bodies.append(plain.read_bytes())
        plain.unlink()
    paths = []
    for number in range(first, first + count):
        block = exif_of(number, dice).tobytes()
        app1 = b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block
        body = bodies[number % len(bodies)]
        path = folder / f"IMG_{number:05}.jpg"
        path.write_bytes(body[:2] + app1 + body[2:])
        paths.append(path)
    return paths


def make_tiny_tree(folder: Path, count: int, *, per_folder: int = 200) -> None:
    """`count` different JPEGs of 64 x 48 pixels, in folders of `per_folder`."""
    dice = random.Random(3)
    bodies = []
    for seed in range(64):
        out = io.BytesIO()
        scene((64, 48), seed).save(out, "JPEG", quality=85)
        bodies.append(out.getvalue())
    for number in range(count):
        if number % per_folder == 0:
            place = folder / f"{2000 + number // per_folder % 25}" / f"{number // per_folder:05}"
            place.mkdir(parents=True, exist_ok=True)
        (place / f"IMG_{number:07}.jpg").write_bytes(bodies[dice.randrange(64)] + b"%d" % number)


# Processes


def family(pid: int) -> list[int]:
    """A process and all below it."""
    found, pending = [], [pid]
    while pending:
        found.append(current := pending.pop())
        for children in Path(f"/proc/{current}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                pending += map(int, children.read_text().split())
    return found


def cpu_s(pid: int) -> float:
    """Processor time that a process and all below it have used, its own children that have ended included."""
    ticks = 0
    for member in family(pid):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15] if member == pid else fields[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


# The daemon


class Daemon:
    """`pixlsrve serve` on a data directory of its own; `serving` makes and ends one."""

    def __init__(self, process: subprocess.Popen[str], data_dir: Path) -> None:
        assert process.stdout is not None
        self.process = process
        self.data_dir = data_dir
        line = process.stdout.readline()
        assert line.startswith("listening on "), f"the daemon did not start; see {data_dir / 'log'}"
        self.url = line.removeprefix("listening on ").strip()
        self.control = Control(data_dir)

    @property
    def pid(self) -> int:
        """The daemon's own process."""
        return self.process.pid

    def token(self) -> str:
        """A bearer token."""
        answer: dict[str, str] = self.control.post("/tokens", {"role": "admin", "expires_in": 86_400})
        return answer["token"]

    def get(self, path: str, token: str) -> bytes:
        """The body of a successful GET below /api/v1."""
        request = urllib.request.Request(
            f"{self.url}/api/v1/{path}", headers={"Authorization": f"Bearer {token}"}
        )  # http to ourselves
        with urllib.request.urlopen(request) as answer:  # http to ourselves
            return bytes(answer.read())

    def scan(self) -> str:
        """Ask for a walk of everything; the scan's id."""
        scan_id: str = self.control.post("/scan", {"full_scan": False, "accept_removals": False})["scan_id"]
        return scan_id

    def state(self, scan_id: str = "x") -> dict[str, Any]:
        """How far the indexing is."""
        state: dict[str, Any] = self.control.get(f"/scan/{scan_id}")
        return state

    def wait_idle(self, *, photos: int | None = None, every_s: float = 0.05) -> dict[str, Any]:
        """Wait until nothing is left to do (and so many photos are known)."""
        while True:
            state = self.state()
            if not state["in_progress"] and (photos is None or state["photos_indexed"] >= photos):
                return state
            time.sleep(every_s)

    def time_stages(self, *, photos: int, every_s: float = 0.02) -> dict[str, float]:
        """Seconds spent in each stage until nothing is left to do and so many photos are known."""
        spent: dict[str, float] = {}
        last = time.perf_counter()
        while (state := self.state())["in_progress"] or state["photos_indexed"] < photos:
            now = time.perf_counter()
            spent[state["stage"]] = spent.get(state["stage"], 0.0) + now - last
            last = now
            time.sleep(every_s)
        return spent

    def processes(self) -> list[int]:
        """The daemon and all processes below it."""
        return family(self.pid)

    def cpu_s(self) -> float:
        """Processor time that they have used, those that have ended included."""
        return cpu_s(self.pid)

    def pss_mb(self) -> float:
        """The proportional set size of all of them, in 10^6 bytes."""
        total = 0
        for pid in self.processes():
            with contextlib.suppress(OSError):
                for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                    if line.startswith("Pss:"):
                        total += int(line.split()[1]) * 1024
        return total / 1e6


@contextlib.contextmanager
def serving(
    data_dir: Path, *photos: Path, options: Sequence[str] = (), cpu: int | None = None, **settings: str
) -> Iterator[Daemon]:
    """A daemon over `photos`; `settings` are environment variables without their PIXLSRVE_."""
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    places = ensure_places(cache_dir())
    if not (data_dir / places.name).exists():
        shutil.copyfile(places, data_dir / places.name)
    roots = [part for path in photos for part in ("--photos", str(path))]
    command = [sys.executable, "-m", "pixlsrve", "serve", "--data-dir", str(data_dir), "--port", "0", *roots]
    command += ["--no-tls", "--no-mdns", "--no-vpn", *options]
    if cpu is not None:
        command = ["taskset", "-c", str(cpu), *command]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PIXLSRVE_")}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed daemon has its bytecode
    environment = {**kept, "HOME": str(data_dir), **{f"PIXLSRVE_{name}": value for name, value in settings.items()}}
    with (data_dir / "log").open("a") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
        try:
            yield Daemon(process, data_dir)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def indexed_tree(files: int) -> Path:
    """A folder with `photos`, so many tiny files, and `data`, where a daemon has indexed them; made once, kept."""
    folder = cache_dir() / f"library-{files}"
    if not (folder / "done").exists():
        shutil.rmtree(folder, ignore_errors=True)
        make_tiny_tree(folder / "photos", files)
        with serving(folder / "data", folder / "photos") as daemon:
            daemon.wait_idle(photos=files, every_s=1.0)
        (folder / "done").touch()
    return folder


# Measuring


def timed(call: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def rounds(count: int, **calls: Callable[[], T]) -> dict[str, list[T]]:
    """Run the calls in turn `count` times, so that whatever else the machine does hits all of them; their answers."""
    found: dict[str, list[T]] = {name: [] for name in calls}
    for _ in range(count):
        for name, call in calls.items():
            found[name].append(call())
    return found


def median(values: Sequence[float], digits: int = 2) -> float:
    """The median, rounded."""
    return round(statistics.median(values), digits)


def rounded(values: Sequence[float], digits: int = 2) -> list[float]:
    """All values, rounded."""
    return [round(value, digits) for value in values]


def report(**facts: Any) -> None:
    """Print the answer, with the machine it was found on."""
    machine = {
        "cpus": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "pillow": PIL.__version__,
        "load": [round(value, 1) for value in os.getloadavg()],
    }
    print(json.dumps({**facts, "machine": machine}, indent=1))


def parser(text: str | None) -> argparse.ArgumentParser:
    """A parser that says what the script measures."""
    return argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
