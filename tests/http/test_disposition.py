"""Content-Disposition (RFC 6266, RFC 8187; THREATS T22)."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixlsrve.http.disposition import content_disposition


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (None, "inline"),
        ("", "inline"),
        ("IMG 1.jpg", 'inline; filename="IMG 1.jpg"'),
        ("€ rates.jpg", "inline; filename=\"_ rates.jpg\"; filename*=UTF-8''%E2%82%AC%20rates.jpg"),
        ('a"b%41;.jpg', "inline; filename=\"a_b_41;.jpg\"; filename*=UTF-8''a%22b%2541%3B.jpg"),
        ("../up\\x.jpg", 'inline; filename=".._up_x.jpg"'),
        (
            "a\r\nSet-Cookie: x",
            "inline; filename=\"a__Set-Cookie: x\"; filename*=UTF-8''a%E2%90%8D%E2%90%8ASet-Cookie%3A%20x",
        ),
    ],
)
def test_content_disposition_writes_both_forms(name: str | None, value: str) -> None:
    """Plain names stay plain, others get an approximation and, encoded, themselves."""
    assert content_disposition(name, attachment=False) == value


def test_content_disposition_can_ask_for_a_download() -> None:
    """An attachment says so, with or without a name."""
    assert content_disposition("a.jpg", attachment=True) == 'attachment; filename="a.jpg"'
    assert content_disposition(None, attachment=True) == "attachment"


@given(st.text(max_size=400))
def test_content_disposition_is_one_safe_header(name: str) -> None:
    """T22: any name gives printable ASCII with exactly two quotes, no path, and an encoded form that decodes."""
    value = content_disposition(name, attachment=True)
    assert all(" " <= character <= "~" for character in value)
    assert value.count('"') in (0, 2)
    assert "/" not in value
    assert "\\" not in value
    if "filename*=" in value:
        unquote(value.rpartition("''")[2], errors="strict")
