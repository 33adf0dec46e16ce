"""ThumbHash: about 25 bytes that draw a blurred placeholder (evanw.github.io/thumbhash, the published format).

Written here because the one Python package walks every pixel for every coefficient, which would cost as much as
decoding the photo; the cosine transform is separable, so rows first and columns after cost a fiftieth.
"""

from __future__ import annotations

import math
from functools import lru_cache
from operator import mul

from PIL import Image

SIDE_PX = 32
"""Longer side of the picture that is hashed. The format stores seven cosines at most, so more pixels add nothing."""

_Channel = list[list[float]]


def thumbhash(image: Image.Image) -> bytes:
    """The hash of an opaque picture (mode L or RGB) of any size."""
    scale = SIDE_PX / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    small = image.convert("RGB").resize((width, height), Image.Resampling.BOX)
    red, green, blue = (list(band.tobytes()) for band in small.split())
    luma = [(r + g + b) / 765 for r, g, b in zip(red, green, blue, strict=True)]
    yellow = [(r + g) / 510 - b / 255 for r, g, b in zip(red, green, blue, strict=True)]
    reds = [(r - g) / 255 for r, g in zip(red, green, strict=True)]
    columns = max(1, math.floor(7 * width / max(width, height) + 0.5))
    rows = max(1, math.floor(7 * height / max(width, height) + 0.5))
    l_dc, l_ac, l_scale = _encode(_rows(luma, width), max(3, columns), max(3, rows))
    p_dc, p_ac, p_scale = _encode(_rows(yellow, width), 3, 3)
    q_dc, q_ac, q_scale = _encode(_rows(reds, width), 3, 3)
    header = (
        _quantise(l_dc, 63)
        | _quantise((p_dc + 1) / 2, 63) << 6
        | _quantise((q_dc + 1) / 2, 63) << 12
        | _quantise(l_scale, 31) << 18
    )
    is_landscape = width > height
    tail = (
        (rows if is_landscape else columns)
        | _quantise(p_scale, 63) << 3
        | _quantise(q_scale, 63) << 9
        | int(is_landscape) << 15
    )
    nibbles = [_quantise(value, 15) for value in (*l_ac, *p_ac, *q_ac)]
    if len(nibbles) % 2:
        nibbles.append(0)
    packed = bytes(low | high << 4 for low, high in zip(nibbles[::2], nibbles[1::2], strict=True))
    return header.to_bytes(3, "little") + tail.to_bytes(2, "little") + packed


def _rows(values: list[float], width: int) -> _Channel:
    return [values[start : start + width] for start in range(0, len(values), width)]


def _quantise(value: float, steps: int) -> int:
    return min(steps, max(0, math.floor(steps * value + 0.5)))


@lru_cache(maxsize=256)
def _cosines(length: int, frequency: int) -> tuple[float, ...]:
    return tuple(math.cos(math.pi / length * frequency * (i + 0.5)) for i in range(length))


def _encode(channel: _Channel, columns: int, rows: int) -> tuple[float, list[float], float]:
    """The mean, the other coefficients scaled to 0..1, and that scale; a triangle of columns by rows frequencies."""
    height, width = len(channel), len(channel[0])
    by_row = [[sum(map(mul, row, _cosines(width, cx))) for row in channel] for cx in range(columns)]
    mean = 0.0
    others: list[float] = []
    for cy in range(rows):
        cx = 0
        while cx * rows < columns * (rows - cy):
            value = sum(map(mul, by_row[cx], _cosines(height, cy))) / (width * height)
            if cx or cy:
                others.append(value)
            else:
                mean = value
            cx += 1
    scale = max(map(abs, others), default=0.0)
    return mean, [0.5 + 0.5 / scale * value for value in others] if scale else others, scale
