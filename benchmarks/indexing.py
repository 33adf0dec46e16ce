"""Full indexing of 12-megapixel JPEGs against `sharp` and against libjpeg alone: `python -m benchmarks.indexing`.

Prints JSON. `pixlsrve` is the real daemon with two workers: from the moment the folder appears until it says that
nothing is left to do, that is walk, headers, SHA-256, three thumbnails, and all of it committed. `sharp` (from npm,
installed into the cache folder) hashes the same files and makes the same three sizes from one decode, two files at a
time, writing nothing; the start of node is not counted. `libjpeg` is Pillow decoding at quarter scale, without
converting colours, in two processes, and nothing else: the floor. All run at the niceness of the daemon's workers.
Beside the pace by the clock stands the pace by processor time (photos for two seconds of it), which a machine that has
other things to do does not distort.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from benchmarks import harness

SHARP_JS = """
const fs = require('fs/promises'), crypto = require('crypto'), path = require('path'), sharp = require('sharp');
sharp.cache(false); sharp.concurrency(Number(process.argv[3]));
const folder = process.argv[2];
async function one(file) {
  const bytes = await fs.readFile(file);
  const sha256 = crypto.createHash('sha256').update(bytes).digest();
  const big = await sharp(bytes).rotate().resize(800, 800, {fit: 'inside', withoutEnlargement: true})
    .raw().toBuffer({resolveWithObject: true});
  const raw = {raw: {width: big.info.width, height: big.info.height, channels: big.info.channels}};
  for (const side of [800, 400, 200])
    await sharp(big.data, raw).resize(side, side, {fit: 'inside'}).jpeg({quality: 80}).toBuffer();
  return sha256;
}
(async () => {
  const files = (await fs.readdir(folder)).sort().map(name => path.join(folder, name));
  await one(files[0]);
  const started = process.hrtime.bigint(), before = process.cpuUsage();
  let next = 0;
  const lane = async () => { while (next < files.length) await one(files[next++]); };
  await Promise.all([lane(), lane()]);
  const used = process.cpuUsage(before);
  console.log(JSON.stringify(
    {seconds: Number(process.hrtime.bigint() - started) / 1e9, cpu_s: (used.user + used.system) / 1e6}));
})();
"""


def sharp_folder() -> Path:
    """A folder where node finds `sharp`; installed at the first use."""
    folder = harness.cache_dir() / "sharp"
    if not (folder / "node_modules" / "sharp").is_dir():
        folder.mkdir(exist_ok=True)
        command = ["npm", "install", "--no-audit", "--no-fund", "--silent", "--prefix", str(folder), "sharp@0.34"]
        subprocess.run(command, check=True)
    (folder / "index.js").write_text(SHARP_JS)
    return folder


class Taken(NamedTuple):
    """Seconds for all files by the clock, and of processor time."""

    seconds: float
    cpu_s: float


def run_sharp(node: Path, photos: Path, threads: int) -> Taken:
    """All files; `threads` is what each picture may use inside libvips."""
    command = ["nice", "-n", str(harness.NICENESS), "node", str(node / "index.js"), str(photos), str(threads)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return Taken(**json.loads(done.stdout))


def decode_quarter(path: str) -> float:
    """libjpeg at 1/4, left in YCbCr; processor time in seconds."""
    started = time.process_time()
    with Image.open(path) as image:
        image.draft("YCbCr", (image.width // 4, image.height // 4))
        image.load()
    return time.process_time() - started


def run_libjpeg(photos: Path) -> Taken:
    """All files in two processes that are there already."""
    files = [str(path) for path in sorted(photos.iterdir())]
    with multiprocessing.Pool(2, os.nice, (harness.NICENESS,)) as pool:
        pool.map(decode_quarter, files[:2])
        started = time.perf_counter()
        cpu_s = sum(pool.map(decode_quarter, files, chunksize=4))
        return Taken(time.perf_counter() - started, cpu_s)


def run_pixlsrve(folder: Path, staged: Path, count: int) -> Taken:
    """From the appearance of the folder to the last commit."""
    roots = folder / "roots"
    roots.mkdir(parents=True)
    with harness.serving(folder / "data", roots, INDEX__WORKERS="2") as daemon:
        daemon.wait_idle()
        started, cpu_s = time.perf_counter(), daemon.cpu_s()
        staged.rename(roots / "photos")
        daemon.scan()
        state = daemon.wait_idle(photos=count)
        taken = Taken(time.perf_counter() - started, daemon.cpu_s() - cpu_s)
        assert state["photos_indexed"] == count, state
        assert not state["quarantined"], state
    (roots / "photos").rename(staged)
    return taken


def main() -> None:
    """Measure and print."""
    parser = harness.parser(__doc__)
    parser.add_argument("--photos", type=int, default=160)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    count = arguments.photos
    node = sharp_folder()
    with harness.scratch() as folder:
        photos = folder / "photos"
        paths = harness.make_photos(photos, count)
        numbers = iter(range(1_000))
        taken = harness.rounds(
            arguments.rounds,
            pixlsrve=lambda: run_pixlsrve(folder / f"run{next(numbers)}", photos, count),
            sharp=lambda: run_sharp(node, photos, 1),
            sharp_two_threads_each=lambda: run_sharp(node, photos, 2),
            libjpeg_quarter=lambda: run_libjpeg(photos),
        )
        mean_bytes = sum(path.stat().st_size for path in paths) // count
    by_clock = {name: harness.median([count / value.seconds for value in values]) for name, values in taken.items()}
    by_cpu = {name: harness.median([count * 2 / value.cpu_s for value in values]) for name, values in taken.items()}
    harness.report(
        photos=count,
        mean_bytes=mean_bytes,
        photos_per_s=by_clock,
        photos_per_two_cpu_s=by_cpu,
        seconds={name: harness.rounded([value.seconds for value in values]) for name, values in taken.items()},
        times_sharp=ratio(by_clock, "sharp"),
        times_libjpeg_quarter=ratio(by_clock, "libjpeg"),
        times_sharp_by_cpu=ratio(by_cpu, "sharp"),
        times_libjpeg_quarter_by_cpu=ratio(by_cpu, "libjpeg"),
        wanted={"times_sharp": 1.4, "times_libjpeg_quarter": 0.7},
    )


def ratio(pace: dict[str, float], reference: str) -> float:
    """Our pace as a multiple of the best one whose name begins like this."""
    return round(pace["pixlsrve"] / max(value for name, value in pace.items() if name.startswith(reference)), 2)


if __name__ == "__main__":
    main()
