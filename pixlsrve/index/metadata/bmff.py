"""Boxes of the ISO base media file format and QuickTime (ISO 14496-12 §4.2), walked without reading their contents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from pixlsrve.index.metadata.source import Source

MAX_BOXES = 4096


class Box(NamedTuple):
    """One box: its type, and where its content begins and ends in the file."""

    kind: bytes
    start: int
    end: int


def boxes(source: Source, start: int, end: int) -> Iterator[Box]:
    """The boxes between two offsets. A box with an impossible length ends the walk."""
    end = min(end, source.size)
    for _ in range(MAX_BOXES):
        head = source.read(start, 16)
        if start + 8 > end or len(head) < 8:
            return
        length, content = int.from_bytes(head[:4], "big"), start + 8
        if length == 1:
            length, content = int.from_bytes(head[8:16], "big"), start + 16
        elif length == 0:
            length = end - start
        if length < content - start:
            return
        yield Box(head[4:8], content, min(start + length, end))
        start += length


def child(source: Source, parent: Box, *path: bytes) -> Box | None:
    """The first box at the path of types below `parent`."""
    found: Box | None = parent
    for kind in path:
        if found is None:
            return None
        found = next((box for box in boxes(source, found.start, found.end) if box.kind == kind), None)
    return found


def content(source: Source, box: Box, limit: int) -> bytes:
    """The first `limit` bytes of a box's content."""
    return source.read(box.start, min(limit, box.end - box.start))
