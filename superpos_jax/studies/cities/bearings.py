"""Directions and distances on a sphere, and pairs of places labelled by their direction.

All angles are degrees. A bearing is the direction in which the shortest way begins, clockwise from
north.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

SECTORS = 8
"""Of the compass: north, north-east, ..."""


class Pairs(NamedTuple):
    """Ordered pairs of different places: i, j (pairs,) int32, and the sector from i to j, int32."""

    i: Any
    j: Any
    sector: Any


def bearing(latitude: Any, longitude: Any, to_latitude: Any, to_longitude: Any) -> np.ndarray:
    """The initial great-circle bearing, 0 to 360; arrays broadcast.

    atan2(sin(dlon) cos(lat_j), cos(lat_i) sin(lat_j) - sin(lat_i) cos(lat_j) cos(dlon))

    >>> bearing(0, 0, [10, 0, -10, 0], [0, 10, 0, -10]).tolist()
    [0.0, 90.0, 180.0, 270.0]
    """
    a, b, dlon = map(np.radians, (latitude, to_latitude, np.subtract(to_longitude, longitude)))
    east = np.sin(dlon) * np.cos(b)
    north = np.cos(a) * np.sin(b) - np.sin(a) * np.cos(b) * np.cos(dlon)
    return np.degrees(np.arctan2(east, north)) % 360


def sector(degrees: Any) -> np.ndarray:
    """The nearest of the eight directions of the compass, 0 is north and 2 is east.

    >>> sector([0, 22, 23, 90, 337, 338]).tolist()
    [0, 0, 1, 2, 7, 0]
    """
    width = 360 / SECTORS
    return (np.floor((np.asarray(degrees) + width / 2) / width) % SECTORS).astype(np.int32)


def destination(
    latitude: float, longitude: float, towards: Any, far: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Latitude and longitude of the points that lie so many degrees away in some directions.

    >>> [round(float(x), 6) for x in destination(0, 0, 90, 30)]
    [0.0, 30.0]
    """
    a, turn, arc = map(np.radians, (latitude, towards, far))
    height = np.sin(a) * np.cos(arc) + np.cos(a) * np.sin(arc) * np.cos(turn)
    east = np.sin(turn) * np.sin(arc) * np.cos(a)
    return np.degrees(np.arcsin(height)), longitude + np.degrees(
        np.arctan2(east, np.cos(arc) - np.sin(a) * height)
    )


def degrees_apart(latitude: Any, longitude: Any, to_latitude: Any, to_longitude: Any) -> np.ndarray:
    """The great-circle distance, 0 to 180.

    >>> round(float(degrees_apart(0, 0, 0, 30)), 6)
    30.0
    """
    a, b, dlon = map(np.radians, (latitude, to_latitude, np.subtract(to_longitude, longitude)))
    half = np.sin((b - a) / 2) ** 2 + np.cos(a) * np.cos(b) * np.sin(dlon / 2) ** 2
    return np.degrees(2 * np.arcsin(np.sqrt(half)))


def draw_pairs(coordinates: np.ndarray, count: int, seed: int) -> Pairs:
    """Pairs of different places, uniform and with replacement; fewer are the first of more.

    Args:
        coordinates: (places, 2) latitudes and longitudes.
        count: pairs.
        seed: of the draw.
    """
    n = len(coordinates)
    pair = np.random.default_rng(seed).integers(n * (n - 1), size=count)
    i, step = np.divmod(pair, n - 1)
    j = (i + 1 + step) % n
    directions = bearing(*coordinates[i].T, *coordinates[j].T)
    return Pairs(i.astype(np.int32), j.astype(np.int32), sector(directions))
