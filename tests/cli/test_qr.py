"""QR codes made of characters."""

from __future__ import annotations

import re

import pytest

from pixlsrve.cli import qr

URL = "http://192.168.178.100:8080/pair#c=" + "A" * 22 + "&h=" + "0" * 36


def _plain(lines: list[str]) -> list[str]:
    return [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in lines]


@pytest.mark.parametrize(("rows", "height"), [(None, 23), (40, 23), (23, 23), (22, 21), (21, 21)])
def test_margin_shrinks_before_the_code_is_given_up(rows: int | None, height: int) -> None:
    """ISO/IEC 18004: a margin of four modules where there is room, of two where there is less."""
    lines = qr.draw(URL, columns=80, rows=rows)
    assert lines is not None
    assert len(lines) == height
    assert len({len(line) for line in _plain(lines)}) == 1


@pytest.mark.parametrize(("columns", "rows"), [(40, None), (80, 20)])
def test_code_that_does_not_fit_is_not_drawn(columns: int, rows: int | None) -> None:
    """A broken code is worse than none."""
    assert qr.draw(URL, columns=columns, rows=rows) is None


def test_every_cell_names_both_colours() -> None:
    """The terminal's own colours show nowhere, and each line leaves them as they were."""
    for line in qr.draw(URL, columns=80) or []:
        assert line.startswith("\x1b[38;5;")
        assert line.endswith("\x1b[0m")
        assert set(re.findall(r"[35]8;5;(\d+)", line)) <= {"16", "231"}
