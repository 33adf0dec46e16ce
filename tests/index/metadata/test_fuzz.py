"""No bytes make the metadata stage raise, hang or read without end (T25)."""

from __future__ import annotations

import io
import math
from functools import cache

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pixlsrve.index.metadata import EXTENSIONS, sniff
from pixlsrve.index.metadata.source import BUDGET_BYTES
from pixlsrve.model import Facts, Refusal
from tests.index.metadata.samples import box, exif, picture, rational, read, sound, video, xmp

MAGICS = (
    b"II*\0",
    b"MM\0*",
    b"II+\0\x08\0\0\0",
    b"FOVb",
    b"FUJIFILMCCD-RAW",
    b"\0MRM",
    b"IIU\0",
    b"fLaC",
    b"MAC ",
    b"OggS",
)
REASONS = {"empty", "unrecognised", "damaged", "unsupported", "out_of_memory", "unreadable"}


@cache
def seeds() -> list[bytes]:
    """Small valid files of every family."""
    block = exif(
        {0x0110: "Model", 0x010E: "text"},
        {0x9003: "2023:07:15 14:30:00", 0x829A: rational(1, 3), 0x927C: b"Apple iOS\0\0\1MM\0\1" + bytes(60)},
        {1: "N", 2: (rational(1, 1),) * 3, 3: "E", 4: (rational(2, 1),) * 3},
    )
    stills = [picture(form, exif=block) for form in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF")]
    plain = [picture(form) for form in ("GIF", "BMP", "ICO", "JPEG2000")]
    films = [video(), video("matroska"), video("avi")]
    sounds = [
        sound(*one, seconds=1)
        for one in (("mp3", "libmp3lame"), ("flac", "flac"), ("ogg", "libopus"), ("asf", "wmav2"))
    ]
    motion = picture(xmp=xmp('GCamera:MicroVideoOffset="40"')) + box(b"ftyp", bytes(32))
    return [*stills, *plain, *films, *sounds, motion]


def check(data: bytes) -> None:
    result = read(data, "IMG_20230715_143000.nef")
    if isinstance(result, Refusal):
        assert result.reason in REASONS
        return
    for value in msgspec.structs.asdict(result).values():
        assert not isinstance(value, float) or math.isfinite(value)
        assert not isinstance(value, str) or len(value) <= 2048
        assert not isinstance(value, int) or -(2**63) <= value < 2**63


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_damaged_files_never_raise(data: st.DataObject) -> None:
    """Files cut short or with flipped bytes give facts or a refusal (T25)."""
    seed = bytearray(data.draw(st.sampled_from(seeds())))
    for _ in range(data.draw(st.integers(0, 12))):
        seed[data.draw(st.integers(0, min(len(seed), 2000) - 1))] = data.draw(
            st.sampled_from((0, 1, 0x7F, 0x80, 0xFE, 0xFF))
        )
    check(bytes(seed[: data.draw(st.integers(0, len(seed)))]))


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(MAGICS), st.binary(max_size=300))
def test_noise_behind_a_signature_never_raises(magic: bytes, noise: bytes) -> None:
    """Any bytes behind any signature give facts or a refusal (T25)."""
    check(magic + noise)


class Shrinking(io.BytesIO):
    """A file that loses its second half after the first read."""

    def read(self, size: int | None = -1, /) -> bytes:
        """As ever, once."""
        data = super().read(size)
        self.truncate(len(self.getvalue()) // 2)
        return data


def test_shrinking_file_never_raises() -> None:
    """A file that shrinks while it is read gives facts or a refusal."""
    from datetime import UTC

    from pixlsrve.index.metadata import read_facts

    for seed in seeds():
        assert isinstance(read_facts(Shrinking(seed + bytes(100_000)), "a", zone=UTC, max_pixels=1), Facts | Refusal)


class Endless(io.RawIOBase):
    """A file of a terabyte that repeats one head and counts what is read of it."""

    def __init__(self, head: bytes) -> None:
        super().__init__()
        self.head, self.at, self.total = head, 0, 0

    def seekable(self) -> bool:
        """Yes."""
        return True

    def readable(self) -> bool:
        """Yes."""
        return True

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """As for any file."""
        self.at = offset + {0: 0, 1: self.at, 2: 1 << 40}[whence]
        return self.at

    def tell(self) -> int:
        """The position."""
        return self.at

    def read(self, size: int = -1, /) -> bytes:
        """The head, then zeros."""
        assert 0 <= size <= BUDGET_BYTES
        self.total += size
        data = (self.head[self.at :] if self.at < len(self.head) else b"")[:size].ljust(size, b"\0")
        self.at += size
        return data


def test_huge_files_are_read_in_bounds() -> None:
    """Of a terabyte, a few dozen megabytes at most are read (T25)."""
    from datetime import UTC

    from pixlsrve.index.metadata import read_facts

    for seed in [*seeds(), *MAGICS]:
        file = Endless(seed)
        read_facts(file, "a", zone=UTC, max_pixels=1)  # type: ignore[arg-type]
        assert file.total <= 2 * BUDGET_BYTES + 64 * 1024


def test_extensions_and_formats_agree() -> None:
    """Every generated file is recognised, and its format is one that the walker lists."""
    for seed in seeds():
        form = sniff(seed[: 64 * 1024], "a")
        assert form is not None
        assert form.name in EXTENSIONS
