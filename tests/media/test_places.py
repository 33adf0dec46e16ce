"""Place names, from a places file built of the real data."""

from __future__ import annotations

import math
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixlsrve.errors import StorageError
from pixlsrve.media.places import NAMES_LIMIT, Place, Places
from pixlsrve.media.places.build import FILE_NAME, edition, ensure_places
from pixlsrve.media.places.names import choose_names, native_scripts
from pixlsrve.store.places import PlacesReader, PlacesWriter


@pytest.fixture(scope="module")
def places_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ensure_places(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def places(places_path: Path) -> Places:
    return Places(places_path)


def found(places: Places, latitude: float, longitude: float) -> Place:
    place = places.lookup(latitude, longitude)
    assert place is not None
    return place


def test_file_is_private_small_and_current(places_path: Path, places: Places) -> None:
    """The file is readable by the owner alone, below 25 MB, and says what it was built from."""
    assert places_path.name == FILE_NAME
    assert stat.S_IMODE(places_path.stat().st_mode) in (0o600, 0o644)
    assert places_path.stat().st_size < 25_000_000
    assert places.edition == edition()


def test_current_file_is_used_again(places_path: Path) -> None:
    """A second start builds nothing."""
    before = places_path.stat()
    assert ensure_places(places_path.parent) == places_path
    assert (places_path.stat().st_ino, places_path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize(
    ("latitude", "longitude", "label"),
    [
        (38.7139, -9.1334, "Lisbon, Portugal"),
        (38.7596, -9.2302, "Amadora, Portugal"),
        (38.7876, -9.3906, "Sintra, Portugal"),
        (48.8584, 2.2945, "Paris, France"),
        (40.7580, -73.9855, "New York City, United States"),
        (40.7440, -74.0300, "Hoboken, United States"),
        (35.6595, 139.7005, "Tokyo, Japan"),
        (48.1370, 11.5750, "Munich, Germany"),
        (47.5620, 13.6490, "Hallstatt, Austria"),
        (-33.8570, 151.2150, "Sydney, Australia"),
        (78.2230, 15.6460, "Longyearbyen, Svalbard and Jan Mayen"),
        (1.2830, 103.8600, "Singapore"),
        (23.0000, 5.0000, "Algeria"),
    ],
)
def test_label_is_what_people_say(places: Places, latitude: float, longitude: float, label: str) -> None:
    """Quarters belong to their city, towns beside it have their own name, and the desert only its country."""
    assert found(places, latitude, longitude).label == label


@pytest.mark.parametrize(
    ("where", "latitude", "longitude"),
    [
        ("Amadora", 38.7596, -9.2302),
        ("Almada", 38.6790, -9.1569),
        ("Cascais", 38.6979, -9.4215),
        ("Sintra", 38.8010, -9.3783),
    ],
)
def test_surroundings_answer_to_the_city(places: Places, where: str, latitude: float, longitude: float) -> None:
    """What lies around Lisboa is found by its own name and by Lisboa's, in several languages."""
    names = found(places, latitude, longitude).names
    assert {where, "Lisbon", "Lisboa", "Lissabon", "Portugal", "PT"} <= set(names)


@pytest.mark.parametrize(
    ("latitude", "longitude", "names"),
    [
        (48.137, 11.575, {"Munich", "München", "Bavaria", "Bayern", "Germany", "Deutschland"}),
        (48.208, 16.372, {"Vienna", "Wien", "Austria", "Österreich"}),
        (50.938, 6.957, {"Köln", "Cologne"}),
        (55.752, 37.617, {"Moscow", "Москва"}),
        (39.916, 116.397, {"Beijing", "北京", "中国"}),
        (35.6595, 139.7005, {"Tokyo", "東京", "Shibuya"}),
    ],
)
def test_names_in_english_and_as_people_there_say(
    places: Places, latitude: float, longitude: float, names: set[str]
) -> None:
    """A city, its region and its country answer to their English and their own names."""
    assert names <= set(found(places, latitude, longitude).names)


@pytest.mark.parametrize(
    ("latitude", "longitude", "stranger"),
    [
        (51.2277, 6.7735, "Köln"),
        (55.6050, 13.0000, "Copenhagen"),
        (52.2053, 0.1218, "London"),
        (38.7139, -9.1334, "Amadora"),
    ],
)
def test_neighbours_of_one_rank_keep_apart(places: Places, latitude: float, longitude: float, stranger: str) -> None:
    """A city does not answer to a rival, to one across the border, to one an hour away, or to its own suburbs."""
    assert stranger not in found(places, latitude, longitude).names


@pytest.mark.parametrize(
    ("latitude", "longitude"),
    [(35.0, -40.0), (90.0, 0.0), (-90.0, 180.0), (0.0, 0.0), (91.0, 0.0), (0.0, 181.0), (math.nan, 0.0)],
)
def test_nowhere(places: Places, latitude: float, longitude: float) -> None:
    """The open sea, the poles, and what is no position have no place."""
    assert places.lookup(latitude, longitude) is None


def test_meridian(places: Places) -> None:
    """Taveuni lies on the 180th meridian and has a country on both sides."""
    assert {found(places, -16.85, longitude).country for longitude in (179.99, -179.99, 180.0, -180.0)} == {"Fiji"}


@given(st.floats(-90, 90), st.floats(-180, 180))
def test_any_position(places: Places, latitude: float, longitude: float) -> None:
    """Every position gives nothing, or a place with a bounded number of names."""
    place = places.lookup(latitude, longitude)
    if place is not None:
        assert 0 < len(place.names) <= NAMES_LIMIT
        assert place.country_code in place.names
        assert len(place.country_code) == 2


def test_threads(places_path: Path) -> None:
    """Several threads may look up at once."""
    shared = Places(places_path)
    spots = [(-60 + n % 130, -180 + n * 7 % 360) for n in range(400)]
    alone = [shared.lookup(*spot) for spot in spots]
    with ThreadPoolExecutor(4) as pool:
        again = Places(places_path)
        assert list(pool.map(lambda spot: again.lookup(*spot), spots)) == alone
    shared.close()
    again.close()


def test_damaged_or_missing_file_is_refused(tmp_path: Path) -> None:
    """A file that is missing, foreign or unfinished is an error that names it."""
    foreign = tmp_path / "foreign.sqlite"
    foreign.write_bytes(b"no database" * 100)
    unfinished = tmp_path / "unfinished.sqlite"
    PlacesWriter(unfinished).close()
    for path in (tmp_path / "missing.sqlite", foreign, unfinished):
        with pytest.raises(StorageError, match=path.name):
            PlacesReader(path)


def test_choose_names() -> None:
    """Codes and transliterations are left out, as is what begins another name, and the odd one falls off the end."""
    recorded = ["LIS", "li si ben", "Lisboa", "Lisbon", "Lisbona", "Lisbonne", "Olissipo", "Лисабон", "里斯本", "Lisb"]
    chosen = choose_names("Lisbon", recorded, ["Lisboa"], frozenset({"CYRILLIC"}), 5)
    assert chosen == ["Lisbon", "Lisboa", "Лисабон", "Lisbona", "Lisbonne"]
    assert choose_names("Vila", ["", "Vila"], [], frozenset(), 3) == ["Vila"]


def test_native_scripts() -> None:
    """A country's first two languages say which scripts are native there."""
    assert native_scripts("sr,hu,bs,rom") == {"CYRILLIC"}
    assert native_scripts("ar-EG,en,fr") == {"ARABIC"}
    assert native_scripts("de-AT,hr") == frozenset()
