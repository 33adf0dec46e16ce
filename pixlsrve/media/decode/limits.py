"""What one decode may cost, and the exception that says a file's pixels cannot be had. No decoding here."""

from __future__ import annotations

from dataclasses import dataclass

from pixlsrve.model import Refusal

MIB = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The bounds of one decode, checked against the header before any pixel is decoded (T25)."""

    max_pixels: int
    """Width times height above which a picture is refused, whatever its format."""
    memory_bytes: int
    """What the decoder's own buffers may take; formats that cannot be decoded in parts are refused above it."""


class Undecodable(Exception):
    """The pixels cannot be had. `refusal` is what the quarantine list shows."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.refusal = Refusal(reason=reason, message=message)


class NeedsMemory(Exception):
    """The decode is possible but takes `estimate_bytes`, more than was allowed without asking."""

    def __init__(self, estimate_bytes: int) -> None:
        super().__init__(f"needs {estimate_bytes} bytes")
        self.estimate_bytes = estimate_bytes


def check_pixels(width_px: int, height_px: int, limits: Limits) -> None:
    """Refuse impossible and oversized dimensions. Raises Undecodable."""
    if width_px <= 0 or height_px <= 0:
        raise Undecodable("damaged", "The picture has no width or no height.")
    if width_px * height_px > limits.max_pixels:
        megapixels = width_px * height_px / 1e6
        raise Undecodable(
            "too_large",
            f"The picture has {megapixels:.0f} megapixels; at most {limits.max_pixels / 1e6:.0f} are decoded.",
        )


def check_memory(estimate_bytes: int, limits: Limits) -> None:
    """Refuse a decode whose buffers would not fit. Raises NeedsMemory, which the caller may turn into a refusal."""
    if estimate_bytes > limits.memory_bytes:
        raise NeedsMemory(estimate_bytes)


def too_much_memory(estimate_bytes: int) -> Undecodable:
    """The refusal for a picture that no worker may decode."""
    return Undecodable(
        "needs_memory", f"Decoding the picture takes {estimate_bytes / MIB:.0f} MiB, more than a worker may use."
    )
