"""QR codes drawn with characters, so that a phone's camera reads them from a light and from a dark terminal.

A character cell is about twice as high as wide, so that a half block has the shape of a module (ISO/IEC 18004). Both
colours of every cell are given explicitly, from the part of the 256-colour palette that themes leave alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import segno

QUIET = 4
"""Modules of light margin that the standard asks for."""
LEAST_QUIET = 2
"""Modules of light margin that cameras are content with."""
_DARK, _LIGHT = 16, 231
_RESET = "\x1b[0m"
UPPER_HALF = "\u2580"


def draw(text: str, *, columns: int, rows: int | None = None) -> list[str] | None:
    """The lines that show `text` as a QR code within `columns` and `rows` of a terminal; None where it can't fit.

    `rows` None means that the height does not matter. The margin shrinks before the code is given up.
    """
    matrix = segno.make(text, error="l", micro=False).matrix
    for quiet in (QUIET, LEAST_QUIET):
        side = len(matrix) + 2 * quiet
        if side <= columns and (rows is None or (side + 1) // 2 <= rows):
            return _lines(_framed(matrix, quiet))
    return None


def _framed(matrix: Sequence[Sequence[int]], quiet: int) -> list[list[bool]]:
    """The modules with their margin, True where dark; an even number of rows."""
    side = len(matrix) + 2 * quiet
    margin = [False] * quiet
    rows = [[False] * side for _ in range(quiet)]
    rows += [[*margin, *(bool(module) for module in row), *margin] for row in matrix]
    rows += [[False] * side for _ in range(quiet + side % 2)]
    return rows


def _lines(rows: list[list[bool]]) -> list[str]:
    """Two rows of modules a line; colours are only named where they change."""
    return [_line(upper, lower) for upper, lower in zip(rows[::2], rows[1::2], strict=True)]


def _line(upper: list[bool], lower: list[bool]) -> str:
    text, colours = "", ""
    for cell in zip(upper, lower, strict=True):
        wanted = f"\x1b[38;5;{_colour(cell[0])};48;5;{_colour(cell[1])}m"
        text += (wanted if wanted != colours else "") + (UPPER_HALF if cell[0] != cell[1] else " ")
        colours = wanted
    return text + _RESET


def _colour(is_dark: bool) -> int:
    return _DARK if is_dark else _LIGHT
