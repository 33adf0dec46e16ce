"""A file of the library as an answer, the same at every door."""

from __future__ import annotations

from aiohttp import web

from pixlsrve.http import content
from pixlsrve.http.openfile import FileVersion
from pixlsrve.http.ranges import Span
from pixlsrve.store.assets import Original

REVALIDATE = "private, no-cache"
UNKNOWN = "application/octet-stream"


async def send_original(
    request: web.Request,
    fd: int,
    original: Original,
    *,
    filename: str,
    mime: str | None = None,
    window: Span | None = None,
    attachment: bool = False,
) -> web.StreamResponse:
    """The file behind `fd`, or the part `window` of type `mime`, under a tag of what the index knows.

    Takes `fd` over and raises like `content.send_file`.
    """
    return await content.send_file(
        request,
        fd,
        mime=mime or original.mime or UNKNOWN,
        cache_control=REVALIDATE,
        etag=tag(original, "" if window is None else f"-{window.start:x}"),
        version=version(original),
        window=window,
        filename=filename,
        attachment=attachment,
    )


def tag(original: Original, suffix: str = "") -> str | None:
    """The opaque tag of a file whose hash is known."""
    return None if original.sha256 is None else f"{original.sha256.hex()}{suffix}"


def version(original: Original) -> FileVersion:
    """The file as the index knows it."""
    return FileVersion(original.size_bytes, original.mtime_ns, original.inode)
