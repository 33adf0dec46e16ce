"""The library's routes on a real server over a library made by hand."""

from __future__ import annotations

from tests.library_api import api

__all__ = ["api"]
