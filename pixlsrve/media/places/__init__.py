"""Place names from coordinates, offline: what a photo's position is called, and the words that should find it."""

from __future__ import annotations

import functools
import math
from pathlib import Path

import msgspec

from pixlsrve.media.words import fold
from pixlsrve.store.places import Hit, PlacesReader

NAMES_LIMIT = 20
NAMED_WITHIN_KM = 30.0
"""A town names what lies this near to it; farther out only the country is said."""
COUNTRY_WITHIN_KM = 100.0
"""Farther than this from any town (the open sea) a position has no name."""

_KM_PER_DEGREE = 111.2
_QUARTER_WITHIN_KM = 2.0
_LOOKUPS_KEPT = 1024
_TOWNS_KEPT = 256
_FIRST_NAMES = 3
"""A town's own, local and native name stand first; they are never pushed out by names in other languages."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """What a position is called."""

    city: str | None
    """In its usual English spelling; None far from any town."""
    region: str | None
    country: str
    country_code: str
    """ISO 3166-1 alpha-2."""
    names: tuple[str, ...]
    """The words that should find it, at most `NAMES_LIMIT`: the city in several languages, its quarter, the greater
    city whose surroundings it lies in, region and country."""

    @property
    def label(self) -> str:
        """For display: `Lisbon, Portugal`."""
        first = self.city or self.region
        return self.country if first is None or first == self.country else f"{first}, {self.country}"


class Places:
    """Looks positions up in a places file (`build.ensure_places` makes it). Blocking, and safe from several threads."""

    def __init__(self, path: Path) -> None:
        """Raises StorageError when `path` is missing or no places file."""
        self._rows = PlacesReader(path)
        self._at = functools.lru_cache(_LOOKUPS_KEPT)(self._look_up)
        self._town = functools.lru_cache(_TOWNS_KEPT)(self._rows.town)
        self._region = functools.lru_cache(_TOWNS_KEPT)(self._rows.region)
        self._place = functools.lru_cache(_TOWNS_KEPT)(self._compose)

    @property
    def edition(self) -> str:
        """What the places file was built from."""
        return self._rows.edition

    def close(self) -> None:
        """Close the file."""
        self._rows.close()

    def lookup(self, latitude: float, longitude: float) -> Place | None:
        """The place at this position (signed degrees, WGS 84), to about a hundred metres.

        None for the open sea and for what is no position.
        """
        if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
            return None
        return self._at(round(latitude, 3), round(longitude, 3))

    def _look_up(self, latitude: float, longitude: float) -> Place | None:
        shrink = max(math.cos(math.radians(latitude)), 1e-3)
        for reach_km in (10.0, NAMED_WITHIN_KM, COUNTRY_WITHIN_KM):
            reach = reach_km / _KM_PER_DEGREE
            near = self._rows.near(latitude, longitude, (reach, reach / shrink), shrink)
            hits = [hit for hit in near if _km(hit) <= reach_km]
            if hits and reach_km <= NAMED_WITHIN_KM:
                return self._place(hits[0].id, _quarter(hits))
            if hits:
                return self._wilderness(min(hits, key=_km))
        return None

    def _wilderness(self, hit: Hit) -> Place | None:
        town = self._town(hit.id)
        return None if town is None else self._named(town.country, (), None, [])

    def _compose(self, town_id: int, quarter_id: int | None) -> Place | None:
        """The place of a town, or of the city that the town is a part of."""
        nearest = self._town(town_id)
        if nearest is None:
            return None
        city = (self._town(nearest.parent) if nearest.parent is not None else None) or nearest
        quarter = nearest if city is not nearest else self._town(quarter_id) if quarter_id is not None else None
        greater = self._town(nearest.greater) if nearest.greater is not None else None
        groups = [city.names.split("\n"), *([[quarter.name]] if quarter else [])]
        groups += [greater.names.split("\n")] if greater else []
        region = self._region(f"{nearest.country}.{nearest.region}")
        return self._named(nearest.country, region, city.name, groups)

    def _named(self, code: str, region: tuple[str, ...], city: str | None, towns: list[list[str]]) -> Place:
        country = self._region(code) or (code,)
        names = [name for group in towns for name in group[:_FIRST_NAMES]]
        names += [*region, *country, code]
        names += [name for group in towns for name in group[_FIRST_NAMES:]]
        return Place(
            city=city,
            region=region[0] if region else None,
            country=country[0],
            country_code=code,
            names=_distinct(names),
        )


def _distinct(names: list[str]) -> tuple[str, ...]:
    """The names in order, up to the limit, without those that fold to an earlier one."""
    first: dict[str, str] = {}
    for name in names:
        first.setdefault(fold(name), name)
    return tuple(first.values())[:NAMES_LIMIT]


def _km(hit: Hit) -> float:
    return math.sqrt(hit.distance2) * _KM_PER_DEGREE


def _quarter(hits: list[Hit]) -> int | None:
    """The nearest part of the city that comes first, when the position is in it."""
    parts = [hit for hit in hits if hit.parent == hits[0].id and _km(hit) <= _QUARTER_WITHIN_KM]
    return min(parts, key=_km).id if parts else None
