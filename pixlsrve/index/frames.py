"""What the daemon and its worker processes say to each other: message types and their framing. No I/O.

A frame is four bytes of length, big endian, and that many bytes of MessagePack. Open files travel beside a job's frame
as descriptors (SCM_RIGHTS), so that a worker needs no rights to any folder. A job has one answer; a Rendered answer is
followed by as many raw bytes as it says.
"""

from __future__ import annotations

import msgspec

from pixlsrve.model import Content, Facts, Refusal

MAX_FILES = 32
"""Files in one job; the system passes 253 at most at once."""

MAX_FRAME_BYTES = 16 << 20
"""Above this a frame is taken for a sign that the worker was taken over; three thumbnails are a fiftieth of it."""

MAX_RENDERED_BYTES = 512 << 20


class Settings(msgspec.Struct, frozen=True, tag="settings"):
    """The first frame to a worker."""

    memory_mb: int
    max_pixels: int
    zone: str


class ReadFacts(msgspec.Struct, frozen=True, tag="facts"):
    """Read the header bytes of the files passed, in order."""

    names: list[str]
    seconds: float


class ReadContent(msgspec.Struct, frozen=True, tag="content"):
    """Read, hash and decode the file passed."""

    name: str
    memory_bytes: int
    """What the decoder may use; more is answered by NeedsMore."""
    seconds: float


class HashFile(msgspec.Struct, frozen=True, tag="hash"):
    """Hash the file passed."""

    seconds: float


class Render(msgspec.Struct, frozen=True, tag="render"):
    """Make the file passed a JPEG."""

    name: str
    memory_bytes: int
    seconds: float


Job = ReadFacts | ReadContent | HashFile | Render


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """A worker's first frame: what its sandbox has in force."""

    sandbox: dict[str, str]


class FactsOf(msgspec.Struct, frozen=True):
    """One file's facts, or the refusal that stands for them."""

    facts: Facts | None = None
    refusal: Refusal | None = None


class AllFacts(msgspec.Struct, frozen=True, tag="all_facts"):
    """The answer to ReadFacts, in the order of the job."""

    items: list[FactsOf]
    rss_bytes: int


class Whole(msgspec.Struct, frozen=True, tag="whole"):
    """The answer to ReadContent and HashFile."""

    content: Content
    rss_bytes: int


class Rendered(msgspec.Struct, frozen=True, tag="rendered"):
    """The answer to Render; the picture follows, and stands in `picture` once it has come."""

    size_bytes: int
    rss_bytes: int
    picture: bytes = b""


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """The job has no result, for this reason."""

    refusal: Refusal
    rss_bytes: int


class NeedsMore(msgspec.Struct, frozen=True, tag="needs_more"):
    """The job takes more memory than it was given; it may be sent again with as much."""

    estimate_bytes: int
    rss_bytes: int


Answer = AllFacts | Whole | Rendered | Refused | NeedsMore

_encoder = msgspec.msgpack.Encoder()
read_settings = msgspec.msgpack.Decoder(Settings).decode
read_job: msgspec.msgpack.Decoder[Job] = msgspec.msgpack.Decoder(Job)
read_ready = msgspec.msgpack.Decoder(Ready).decode
read_answer: msgspec.msgpack.Decoder[Answer] = msgspec.msgpack.Decoder(Answer)


def frame(message: msgspec.Struct) -> bytes:
    """The message as it goes over the socket."""
    body = _encoder.encode(message)
    return len(body).to_bytes(4, "big") + body
