"""Which program this is: its version, and the commit and day of its build where it was built for release."""

from __future__ import annotations

from importlib import resources

from pixlsrve import __version__

FILE_NAME = "build.txt"
"""Written into the package by a release's build: commit and day, one line."""


def version_text() -> str:
    """`1.0.0`, and where it is known `(commit 1a2b3c4, built 2026-11-21)`."""
    source = resources.files("pixlsrve").joinpath(FILE_NAME)
    if not source.is_file():
        return __version__
    commit, _, day = source.read_text("utf-8").strip().partition(" ")
    return f"{__version__} (commit {commit}, built {day})"
