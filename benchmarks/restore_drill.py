"""Backup and restore of a host with 100,000 photos: `python -m benchmarks.restore_drill`.

Prints JSON: seconds for `backup` beside a running daemon, `restore --dry-run`, `restore`, and from the start of the
restored daemon to its first page of photos. The index is made by benchmarks/big_library.py, and the state gets 20,000
ids that were written down, 20,000 uploads' records and 20 devices. The reference is `tar` with gzip, packing and
unpacking the same files in the same run.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

from benchmarks import harness
from benchmarks.big_library import build
from benchmarks.startup import first_answer, prepare

ROWS = 20_000


def fill_state(path: Path) -> None:
    """Rows as a household has them after some years."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executemany(
            "INSERT INTO asset_identity (root_id, path, uuid) VALUES (1, ?, ?)",
            ((f"2014/moved/IMG_{number:06}.jpg".encode(), os.urandom(16)) for number in range(ROWS)),
        )
        connection.executemany(
            "INSERT INTO upload (root_id, path, sha256, size_bytes, owner, name, stored_us) "
            "VALUES (1, ?, ?, 3000000, ?, '', 1)",
            ((f"uploads/{number:06}.jpg".encode(), os.urandom(32), "phone") for number in range(ROWS)),
        )
        connection.executemany(
            "INSERT INTO device (uuid, role, name, type, paired_us) VALUES (?, 'member', ?, 'ios', 1)",
            ((f"phone-{number}", f"Phone {number}") for number in range(20)),
        )
        connection.commit()


def command(*arguments: str) -> None:
    """Run pixlsrve, as a person would."""
    subprocess.run([sys.executable, "-m", "pixlsrve", *arguments], check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    """Measure and print."""
    parser = harness.parser(__doc__)
    parser.add_argument("--photos", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    index = harness.cache_dir() / f"index-{arguments.photos}.db"
    if not index.exists():
        build(index, arguments.photos)
    with harness.scratch() as folder:
        data, photos = folder / "full" / "data", folder / "full" / "photos"
        token = prepare(data, photos, index)
        fill_state(data / "state.db")
        first_answer(data, photos, token, arguments.photos)  # settles what a start writes
        files = ["state.db", "index.db", "keys"]
        made: list[Path] = []

        def restored() -> Path:
            return folder / f"data-{len(made)}"

        def backup() -> float:
            made.append(folder / f"backup-{len(made)}")
            with harness.serving(data, photos):
                return harness.timed(lambda: command("backup", "--data-dir", str(data), str(made[-1])))

        def dry_run() -> float:
            return harness.timed(lambda: command("restore", "--dry-run", "--data-dir", str(restored()), str(made[-1])))

        def restore() -> float:
            return harness.timed(lambda: command("restore", "--data-dir", str(restored()), str(made[-1])))

        def start() -> float:
            return first_answer(restored(), photos, token, arguments.photos)

        def tar_pack() -> float:
            pack = ["tar", "-czf", str(folder / "packed"), "-C", str(data), *files]
            return harness.timed(lambda: subprocess.run(pack, check=True))

        def tar_unpack() -> float:
            shutil.rmtree(folder / "unpacked", ignore_errors=True)
            (folder / "unpacked").mkdir()
            unpack = ["tar", "-xzf", str(folder / "packed"), "-C", str(folder / "unpacked")]
            return harness.timed(lambda: subprocess.run(unpack, check=True))

        seconds = harness.rounds(
            arguments.rounds,
            backup=backup,
            dry_run=dry_run,
            restore=restore,
            start=start,
            tar_pack=tar_pack,
            tar_unpack=tar_unpack,
        )
        size_mb = round(made[-1].stat().st_size / 1e6, 1)
        plain_mb = round(sum((data / name).stat().st_size for name in files[:2]) / 1e6, 1)
    medians = {name: harness.median(values, 2) for name, values in seconds.items()}
    harness.report(
        photos=arguments.photos,
        databases_mb=plain_mb,
        backup_mb=size_mb,
        seconds=medians,
        drill_s=round(medians["backup"] + medians["restore"] + medians["start"], 2),
        restore_to_tar=round(medians["restore"] / medians["tar_unpack"], 2),
        backup_to_tar=round(medians["backup"] / medians["tar_pack"], 2),
    )


if __name__ == "__main__":
    main()
