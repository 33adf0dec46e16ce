"""Names of uploaded files (THREATS T22)."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixlsrve.media.uploads.names import NAME_MAX_BYTES, collision_key, extension_of, numbered, rebuild


@pytest.mark.parametrize(
    ("given_name", "kept"),
    [
        ("IMG_1.jpg", "IMG_1.jpg"),
        ("Zürich äöü 日本.jpg", "Zürich äöü 日本.jpg"),
        ("Zu\u0308rich.jpg", "Zürich.jpg"),
        ("../../etc/passwd.jpg", "passwd.jpg"),
        ("C:\\Users\\me\\a.jpg", "a.jpg"),
        ("a\x00b\nc.jpg", "abc.jpg"),
        ("photo\u202egpj.exe.jpg", "photogpj.exe.jpg"),
        ('w<h>a:t"|?*.jpg', "w_h_a_t____.jpg"),
        ("con.jpg", "_con.jpg"),
        ("COM1.tar.jpg", "_COM1.tar.jpg"),
        ("lpt\u00b9.jpg", "_lpt\u00b9.jpg"),
        ("console.jpg", "console.jpg"),
        ("a.jpg. . .", "a.jpg"),
        (".hidden.jpg", "hidden.jpg"),
        ("...", "upload"),
        ("", "upload"),
        ("   ", "upload"),
        ("👨\u200d👩\u200d👧.jpg", "👨\u200d👩\u200d👧.jpg"),
    ],
)
def test_names_are_rebuilt(given_name: str, kept: str) -> None:
    """T22: separators, controls, bidi marks, Windows' devices and characters, and trailing dots are gone; NFC stays."""
    assert rebuild(given_name) == kept


@given(st.text(max_size=400), st.integers(0, 99_999))
def test_any_text_gives_a_safe_name(text: str, number: int) -> None:
    """T22: whatever a client calls a file, the name is one component of NFC text within 255 bytes, numbered or not."""
    name = rebuild(text)
    for candidate in (name, numbered(name, number)):
        assert 0 < len(candidate.encode()) <= NAME_MAX_BYTES
        assert "/" not in candidate
        assert not candidate.startswith(".")
        assert not candidate.endswith((".", " "))
        assert unicodedata.is_normalized("NFC", candidate)
        assert not any(unicodedata.category(character) in {"Cc", "Cs"} for character in candidate)
    assert rebuild(name) == name


def test_long_names_keep_their_extension() -> None:
    """A name of 255 bytes and more is cut before its extension, between characters, and stays different by number."""
    name = rebuild("ü" * 300 + ".jpeg")
    assert extension_of(name) == "jpeg"
    assert len({numbered(name, number) for number in range(50)}) == 50


def test_collisions_are_blind_to_case_and_normal_form() -> None:
    """T22: what one of a household's file systems takes for the same name counts as taken."""
    assert collision_key("Straße.JPG") == collision_key("STRASSE.jpg")
    assert collision_key("Zu\u0308rich.jpg") == collision_key("ZÜRICH.jpg")
