"""The search language, run against a real FTS5 table as the store declares it."""

from __future__ import annotations

import contextlib
import datetime
import sqlite3
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixlsrve.errors import InvalidInput
from pixlsrve.media.query import QUERY_LIMIT, Query, parse_query
from pixlsrve.media.words import Document, document
from pixlsrve.model import Kind

LISBON = document(
    name="IMG_1234.jpg",
    folders=["Photos", "LisbonTrip", "l'été"],
    make="Apple",
    model="iPhone 14 Pro",
    lens="iPhone 14 Pro back camera 6.86mm f/1.78",
    places=["Almada", "Lisbon", "Lisboa", "リスボン", "Portugal", "PT"],
    day=datetime.date(2023, 7, 15),
    extra=["Sunset over the river"],
)
BEIJING = document(name="DSC05678.ARW", make="SONY", model="ILCE-7M4", places=["Beijing", "北京市", "China", "हिन्दी"])


def full_text(rows: list[tuple[str, ...]]) -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    columns = ", ".join(Document._fields)
    connection.execute(f"CREATE VIRTUAL TABLE words USING fts5({columns}, tokenize = 'unicode61 remove_diacritics 2')")
    for row in rows:
        connection.execute("INSERT INTO words VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    return connection


@pytest.fixture(scope="module")
def library() -> Iterator[sqlite3.Connection]:
    connection = full_text([LISBON, BEIJING])
    yield connection
    connection.close()


def hits(library: sqlite3.Connection, query: Query) -> set[int]:
    if query.match is None:
        return set() if query.nothing else {1, 2}
    return {row[0] for row in library.execute("SELECT rowid FROM words WHERE words MATCH ?", (query.match,))}


@pytest.mark.parametrize(
    "text",
    [
        "img",
        "1234",
        "img_1234",
        "IMG_1234.jpg",
        "lis",
        "LISBÔA",
        "trip lisbon",
        "almada, portugal",
        "lisbon/portugal",
        "portugal 2023",
        "july 2023",
        "jul 15",
        "2023-07",
        "2023-07-15",
        "20230715",
        "202307",
        "15.07.2023",
        "07/2023",
        "saturday",
        "l'été",
        "スボ",
        '"14 pro"',
        '"sunset over the river"',
        '"sunset over the river',
        'sunset"over the"',
        'camera:"iPhone 14 Pro"',
        "camera:iphone",
        "CAMERA:apple",
        "camera: apple",
        "lens:back",
        "place:lisb",
        "place:portugal,lisbon",
        "folder:trip",
        "sunset ! - & * ( ) ^ : ,",
    ],
)
def test_words_find(library: sqlite3.Connection, text: str) -> None:
    """Each way to ask for the photo finds it and not the other one."""
    query = parse_query(text.replace("07/2023", "07/2023"))
    assert hits(library, query) == {1}


@pytest.mark.parametrize("text", ["dsc", "5678 sony", "05678", "北京", "京市", "京", "हिन्दी", "हिन्", "ilce-7m", "arw"])
def test_words_find_other_scripts_and_inner_words(library: sqlite3.Connection, text: str) -> None:
    """Scripts without spaces, vowel signs, and digits within a word are found by their parts."""
    assert hits(library, parse_query(text)) == {2}


@pytest.mark.parametrize(
    "text",
    [
        "lisbon beijing",
        '"lisb"',
        '"pro 14"',
        "bon",
        "camera:lisbon",
        "place:iphone",
        "img_jpg",
        "sunset NOT river NEAR x",
        "name : sunset",
        "foo:sunset",
        "!!!",
        '""',
        "🎉",
    ],
)
def test_words_do_not_find(library: sqlite3.Connection, text: str) -> None:
    """Every word must match, a phrase word by word, a refinement in its column; FTS5 operators are plain words."""
    assert hits(library, parse_query(text)) == set()


def test_empty_query_restricts_nothing() -> None:
    """No text, or only spaces, is every asset."""
    assert parse_query("") == parse_query(" \t\n") == Query()


def test_unknown_prefix_is_text() -> None:
    """A colon after an unknown word only separates words."""
    assert parse_query("foo:bar") == parse_query("foo bar")
    assert parse_query("12:30").match == '"12"* AND "30"*'


def test_expression_is_quoted_and_tied_words_stand_together() -> None:
    """Words reach FTS5 as string literals, the last of each with a prefix star (THREATS T33)."""
    query = parse_query('IMG_1234 "New York" camera:"EOS R5" place:lis img_1234')
    assert query.match == '"img 1234"* AND "new york" AND {camera lens} : "eos r5" AND {place} : "lis"*'


def test_formats() -> None:
    """Formats are named as files are, several are alternatives, and raw stands for all cameras' own."""
    assert parse_query("format:JPG").formats == {"jpeg"}
    assert parse_query("format:.tif,png format:heic").formats == {"tiff", "png", "heic", "heif"}
    assert parse_query("format:raw").formats >= {"dng", "cr3", "nef", "arw"}


def test_kinds() -> None:
    """`kind:` takes photo, video and audio, in the plural too."""
    assert parse_query("kind:video").kinds == {Kind.VIDEO}
    assert parse_query("kind:photos,audio").kinds == {Kind.PHOTO, Kind.AUDIO}


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("iso:800", 800, 800),
        ("iso:=800", 800, 800),
        ("iso:>800", 801, None),
        ("iso:>=800", 800, None),
        ("iso:≥800", 800, None),
        ("iso: >800", 801, None),
        ("iso:<800", None, 799),
        ("iso:<=800", None, 800),
        ("iso:100..400", 100, 400),
        ("iso:100-400", 100, 400),
        ("iso:>100 iso:<400", 101, 399),
    ],
)
def test_iso(text: str, low: int | None, high: int | None) -> None:
    """Comparisons and ranges of the ISO number, both ends inclusive in the result."""
    query = parse_query(text)
    assert (query.iso_min, query.iso_max, query.match) == (low, high, None)


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("after:2023", "2023-01-01", None),
        ("after:2023-07", "2023-07-01", None),
        ("after:2023-7-5", "2023-07-05", None),
        ("after:20230715", "2023-07-15", None),
        ("before:2023", None, "2022-12-31"),
        ("before:2024-03", None, "2024-02-29"),
        ('before:"2023-07-15"', None, "2023-07-14"),
        ("after:2023-07 before:2023-08", "2023-07-01", "2023-07-31"),
        ("after:2022 after:2023", "2023-01-01", None),
        ("before:2022 before:2023", None, "2021-12-31"),
    ],
)
def test_dates(text: str, first: str | None, last: str | None) -> None:
    """`after:` begins with the first day of what it names, `before:` ends the day before it."""
    query = parse_query(text)
    assert query.date_from == (None if first is None else datetime.date.fromisoformat(first))
    assert query.date_to == (None if last is None else datetime.date.fromisoformat(last))


@pytest.mark.parametrize("text", ["iso:>400 iso:<100", "after:2024 before:2023"])
def test_filters_that_exclude_each_other_find_nothing(text: str) -> None:
    """Each makes sense alone, so the answer is empty and not an error."""
    assert parse_query(text).nothing


@pytest.mark.parametrize(
    "text",
    [
        "before:yesterday",
        "before:",
        "before:2023-02-30",
        "before:2023-13",
        "before:0000",
        "before:0001",
        "after:15.07.2023",
        "after:٢٠٢٣",
        "iso:>abc",
        "iso:",
        "iso:-100",
        "iso:400..100",
        "iso:9999999999",
        "iso:²",
        "format:",
        'format:""',
        "format:jpeg,",
        "format:j/peg",
        "kind:film",
        "kind:",
        "camera:",
        'camera:"!?"',
        "place:",
        "before:\ud800",
    ],
)
def test_senseless_refinement_is_refused_and_named(text: str) -> None:
    """The error says which refinement it was, in text that can be sent."""
    with pytest.raises(InvalidInput) as caught:
        parse_query(f"sunset {text}")
    details = caught.value.details
    assert caught.value.reason == "invalid_refinement"
    assert details["parameter"] == "q"
    assert str(details["refinement"]).startswith(text.partition(":")[0])
    assert caught.value.message.encode()
    assert str(details["refinement"]).encode()


def test_length_limit() -> None:
    """A thousand characters are a query, one more is refused."""
    assert parse_query("a" * QUERY_LIMIT).match is not None
    with pytest.raises(InvalidInput) as caught:
        parse_query("a" * (QUERY_LIMIT + 1))
    assert caught.value.reason == "too_long"


@pytest.mark.parametrize("text", ["a " * 500, "北" * 1000, '"a" ' * 250, " ".join(f"w{n}" for n in range(200))])
def test_many_words_still_run(library: sqlite3.Connection, text: str) -> None:
    """The longest queries stay within what FTS5 takes (its expressions have a depth limit)."""
    assert hits(library, parse_query(text[:QUERY_LIMIT])) <= {1, 2}


SYNTAX = st.sampled_from(
    ['"', "*", "^", ":", "(", ")", "{", "}", "-", "+", " ", "AND", "NOT", "NEAR(", "name", "iso:>"]
)
TYPED = st.text(max_size=200) | st.lists(SYNTAX | st.text(max_size=3), max_size=40).map("".join)


@given(TYPED)
def test_any_text_runs_or_is_refused(text: str) -> None:
    """Any text is a query that FTS5 accepts, or InvalidInput (THREATS T33)."""
    connection = full_text([LISBON])
    with contextlib.closing(connection), contextlib.suppress(InvalidInput):
        hits(connection, parse_query(text))


@given(st.text(min_size=1, max_size=100))
def test_a_file_name_finds_its_file(name: str) -> None:
    """Whatever a file is called, its name in quotes finds it, as does each of its words begun."""
    connection = full_text([document(name=name)])
    query = parse_query(f'"{name.replace(chr(34), " ")}"')
    assert query.nothing or hits(connection, query) == {1}
    connection.close()
