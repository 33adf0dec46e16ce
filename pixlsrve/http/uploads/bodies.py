"""Files in the bodies of requests, as a form's part or raw, on their way to where uploads end."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import NamedTuple, cast

from aiohttp import BodyPartReader, MultipartReader, StreamReader, web
from aiohttp.http_exceptions import HttpProcessingError

from pixlsrve.errors import InvalidInput, TooLarge
from pixlsrve.http import keys
from pixlsrve.http.inputs import UnsupportedBody
from pixlsrve.http.uploads.keys import owner_of
from pixlsrve.media.uploads.service import Receiving
from pixlsrve.store.assets import Viewer

FORM = "multipart/form-data"
NO_FILE = "No file part in the request"
NO_NAME = "No selected file"
FILE_FIELD = "file"
OPEN_OWNER = "open-media-api"
"""Whose uploads are that came without a token, where the setting compat.open_media_api lets them in."""
_DAMAGED_FORM = (ValueError, AssertionError, HttpProcessingError)
"""What the framework's reader raises for a form that is none: the last for lines that are too long or too many."""
_CHUNK_BYTES = 256 * 1024
_PARTS_MAX = 64
_LINES_MAX = 10_000
_FIELD_MAX_BYTES = 64 * 1024
_PLAIN = frozenset({"", "7bit", "8bit", "binary"})

Begin = Callable[[str, int | None, int | None], Awaitable[Receiving]]
"""Begins an upload: what the form calls the file (empty without a form), its size, and the most that it can be.

Sizes are in bytes, None where they are not known.
"""


class Form(NamedTuple):
    """What a body brought: the file, complete and not yet finished, and the form's other fields."""

    receiving: Receiving
    fields: dict[str, str]


class Sender(NamedTuple):
    """Who sends: the key of records and quotas, and what they may see."""

    owner: str
    viewer: Viewer


def sender_of(request: web.Request) -> Sender:
    """Who sends a request. Raises NotPermitted for who sees nothing of the library."""
    principal = request.get(keys.PRINCIPAL)
    return Sender(OPEN_OWNER, None) if principal is None else Sender(owner_of(principal), principal.roots)


async def receive(request: web.Request, begin: Begin, *, is_form_needed: bool = False) -> Form:
    """Read a body that is a form with one file, or else the file itself. The caller finishes or abandons it.

    Raises InvalidInput where there is no file, UnsupportedBody, and what writing raises.
    """
    check_encoding(request)
    if request.content_type == FORM:
        return await _receive_form(request, begin)
    if is_form_needed or not request.can_read_body:
        raise InvalidInput(NO_FILE, reason="no_file")
    receiving = await begin("", request.content_length, None)
    try:
        while chunk := await request.content.readany():
            await receiving.write(chunk)
    except BaseException:
        await receiving.abandon()
        raise
    return Form(receiving, {})


def check_encoding(request: web.Request) -> None:
    """Raises UnsupportedBody for a body that is compressed."""
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise UnsupportedBody("The body must be sent uncompressed.")


async def form_parts(request: web.Request) -> AsyncIterator[BodyPartReader]:
    """The parts of a form in their order; one that is not read when the next is asked for is skipped.

    Raises InvalidInput for what is no form or ends before its time, UnsupportedBody for encoded parts, TooLarge for
    too many.
    """
    with _told():
        # The framework's reader, over a body that can't keep it busy with lines before the first part.
        reader = MultipartReader(request.headers, cast(StreamReader, _FewLines(request.content)))
    for _ in range(_PARTS_MAX):
        with _told():
            part = await reader.next()
        if part is None:
            return
        if not isinstance(part, BodyPartReader):
            raise InvalidInput("A form within a form is not understood.", reason="invalid_form")
        encoding = part.headers.get("Content-Transfer-Encoding", "").lower()
        if encoding not in _PLAIN or part.headers.get("Content-Encoding"):
            raise UnsupportedBody("The form's parts must be sent as they are, not encoded.")
        yield part
    raise TooLarge(f"The form has more than {_PARTS_MAX} parts.")


def is_file(part: BodyPartReader) -> bool:
    """Whether a part is a file: by its name, or because it has a file's."""
    return part.name == FILE_FIELD or part.filename is not None


async def read_file(part: BodyPartReader) -> AsyncIterator[bytes]:
    """The bytes of a part. Raises InvalidInput for one that ends before its time."""
    while True:
        with _told():
            chunk = await part.read_chunk(_CHUNK_BYTES)
        if not chunk:
            return
        yield bytes(chunk)


async def read_field(part: BodyPartReader) -> str:
    """The text of a part. Raises TooLarge, and InvalidInput as above."""
    value = b""
    async for chunk in read_file(part):
        value += chunk
        if len(value) > _FIELD_MAX_BYTES:
            raise TooLarge("A field of the form is too long.")
    return value.decode("utf-8", "replace")


def several_files() -> InvalidInput:
    """What a form with more than one file is told."""
    return InvalidInput("The form holds more than one file; send one at a time.", reason="several_files")


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Raises InvalidInput for what the framework's reader says of a form that is none."""
    try:
        yield
    except _DAMAGED_FORM as error:
        raise InvalidInput("The form is damaged.", reason="invalid_form") from error


class _FewLines:
    """A body that is read by lines (what stands before and between the parts) only so often; files are not."""

    def __init__(self, content: StreamReader) -> None:
        self._content = content
        self._left = _LINES_MAX

    async def readline(self, *, max_line_length: int | None = None) -> bytes:
        """The next line. Raises ValueError when there have been too many."""
        self._left -= 1
        if self._left < 0:
            raise ValueError("too many lines outside the parts")
        return await self._content.readline(max_line_length=max_line_length)

    def __getattr__(self, name: str) -> object:
        return getattr(self._content, name)


async def _receive_form(request: web.Request, begin: Begin) -> Form:
    """The file is the part called `file` (specs/media-server.md, specs/flutter-app-backend.md)."""
    reading = _Reading(begin, request.content_length)
    try:
        async for part in form_parts(request):
            await reading.take(part)
        if reading.receiving is None:
            raise InvalidInput(NO_FILE, reason="no_file")
    except BaseException:
        await reading.abandon()
        raise
    return Form(reading.receiving, reading.fields)


class _Reading:
    """A form while it is read."""

    def __init__(self, begin: Begin, at_most: int | None) -> None:
        self.receiving: Receiving | None = None
        self.fields: dict[str, str] = {}
        self._begin = begin
        self._at_most = at_most

    async def take(self, part: BodyPartReader) -> None:
        """Take one part in; a file under another name is skipped, as the specifications' own servers do."""
        if not is_file(part):
            value = await read_field(part)
            if part.name is not None:
                self.fields.setdefault(part.name, value)
        elif part.name == FILE_FIELD:
            if self.receiving is not None:
                raise several_files()
            await self._take_file(part)

    async def _take_file(self, part: BodyPartReader) -> None:
        if part.filename == "":
            raise InvalidInput(NO_NAME, reason="no_file")
        self.receiving = await self._begin(part.filename or "", None, self._at_most)
        async for chunk in read_file(part):
            await self.receiving.write(chunk)

    async def abandon(self) -> None:
        """Forget the file."""
        receiving, self.receiving = self.receiving, None
        if receiving is not None:
            await receiving.abandon()
