"""Folding, cutting text into words, and an asset's search document."""

from __future__ import annotations

import datetime
import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixlsrve.media.words import (
    COLUMN_LIMIT,
    date_words,
    document,
    fold,
    inner_words,
    normalise_prefix,
    tokens,
)


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Lisboa", "lisboa"),
        ("München", "munchen"),
        ("Mu\u0308nchen", "munchen"),
        ("STRASSE Straße", "strasse strasse"),
        ("Łódź", "lodz"),
        ("İstanbul", "istanbul"),
        ("Ｃａｎｏｎ", "canon"),  # noqa: RUF001 - full-width letters are the case under test
        ("ﬁle", "file"),
        ("Αθήνα", "αθηνα"),
        ("서울", "서울"),
        ("ガ", "ガ"),
        ("a\ud800b", "a\ud800b"),
    ],
)
def test_fold(text: str, folded: str) -> None:
    """Spellings that people take for the same fold to the same text."""
    assert fold(text) == folded


def test_tokens_cut_at_everything_but_letters_and_digits() -> None:
    """File names fall into the words that people remember of them."""
    assert tokens("IMG_1234.JPG") == ["img", "1234", "jpg"]
    assert tokens("PXL_20230715~2 (copy)") == ["pxl", "20230715", "2", "copy"]
    assert tokens("\x00\ud800!? 🎉") == []


def test_tokens_of_scripts_without_spaces_are_characters() -> None:
    """Text without spaces can be found by any part of it."""
    assert tokens("里斯本2023年") == ["里", "斯", "本", "2023", "年"]
    assert tokens("東京タワー") == ["東", "京", "タ", "ワ", "ー"]
    assert tokens("서울 타워") == ["서울", "타워"]


def test_inner_words() -> None:
    """Digits and capitals inside a word start words of their own."""
    assert inner_words("DSC01234.jpg") == ["dsc", "01234", "1234"]
    assert inner_words("LisbonTrip") == ["lisbon", "trip"]
    assert inner_words("IMG_1234") == []
    assert inner_words("x7") == []


def test_date_words_hold_each_way_to_write_a_day() -> None:
    """A day is found as a sequence in the orders that people write, and by its names."""
    text = f" {date_words(datetime.date(2023, 7, 5))} "
    for phrase in ("2023 07 05", "05 07 2023", "07 2023", "20230705", "july 2023", "5", "wednesday"):
        assert f" {phrase} " in text
    assert date_words(datetime.date(987, 1, 1)).startswith("0987 01 01 ")


def test_document() -> None:
    """Each fact of an asset stands in its column, folded, and the make is not said twice."""
    found = document(
        name="IMG_1234.JPG",
        folders=["Photos", "Été 2023"],
        make="Canon",
        model="Canon EOS R5",
        lens="RF24-105mm F4 L IS USM",
        places=["Lisbon", "Lisboa", "Portugal", "PT"],
        day=datetime.date(2023, 7, 15),
        extra=["Sunset", None, "beach"],
    )
    assert found._fields == ("name", "folder", "camera", "lens", "place", "dates", "extra")
    assert found.name == "img 1234 jpg"
    assert found.folder == "photos ete 2023"
    assert found.camera == "canon eos r5"
    assert found.lens == "rf24 105mm f4 l is usm rf 24 105 mm"
    assert found.place == "lisbon lisboa portugal pt"
    assert found.extra == "sunset beach"
    assert document(name="a", make="Apple", model="iPhone 14").camera.startswith("apple iphone 14")


@given(st.text(), st.lists(st.text(), max_size=3), st.none() | st.text())
def test_document_of_anything_is_bounded_and_storable(name: str, folders: list[str], model: str | None) -> None:
    """Any names give a document that SQLite takes, and folding one again changes nothing (THREATS T33)."""
    found = document(name=name * 500, folders=folders, model=model, extra=[name])
    connection = sqlite3.connect(":memory:")
    for column in found:
        assert len(column) <= COLUMN_LIMIT
        assert tokens(column) == column.split()
        assert connection.execute("SELECT ?", (column,)).fetchone() == (column,)
    connection.close()


@pytest.mark.parametrize(
    ("text", "prefix"),
    [
        ("lis", "lis"),
        ("lisbon Álm", "alm"),
        ("IMG_12", "12"),
        ("lisbon ", None),
        ("", None),
        ("!", None),
        ("北京", "京"),
    ],
)
def test_normalise_prefix(text: str, prefix: str | None) -> None:
    """The word being typed is completed, and none once it is finished."""
    assert normalise_prefix(text) == prefix
