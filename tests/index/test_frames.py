"""What a worker may say."""

from __future__ import annotations

import msgspec
import pytest

from pixlsrve.index import frames
from pixlsrve.model import Content, Facts, Kind

_PHOTO = Facts(kind=Kind.PHOTO, format="jpeg", mime="image/jpeg")
_CONTENT = Content(sha256=bytes(32), size_bytes=1)


@pytest.mark.parametrize(
    "answer",
    [
        frames.AllFacts([frames.FactsOf(facts=msgspec.structs.replace(_PHOTO, iso=2**63))], 1),
        frames.Whole(msgspec.structs.replace(_CONTENT, thumbnails={2**63: b""}), 1),
    ],
)
def test_numbers_that_no_column_holds_are_no_answer(answer: frames.Answer) -> None:
    """A worker that was taken over costs the one file that did it, and not the indexing of all others (T25)."""
    with pytest.raises(msgspec.ValidationError):
        frames.read_answer.decode(frames.frame(answer)[4:])
