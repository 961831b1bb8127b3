"""Directions on a sphere, and pairs labelled by them."""

import math

import numpy as np
import pytest

from superpos_jax.studies.cities import bearings, places


def by_vectors(a, b):
    """The bearing from a to b by vectors: b against north and east of the plane at a."""
    (lat, lon), (to_lat, to_lon) = (tuple(map(math.radians, point)) for point in (a, b))
    goal = [
        math.cos(to_lat) * math.cos(to_lon), math.cos(to_lat) * math.sin(to_lon), math.sin(to_lat)
    ]  # fmt: skip
    north = [-math.sin(lat) * math.cos(lon), -math.sin(lat) * math.sin(lon), math.cos(lat)]
    east = [-math.sin(lon), math.cos(lon), 0.0]
    up, right = (sum(x * y for x, y in zip(goal, side, strict=True)) for side in (north, east))
    return math.degrees(math.atan2(right, up)) % 360


def test_bearings_are_those_of_vectors(rng):
    points = np.stack([rng.uniform(-80, 80, 40), rng.uniform(-180, 180, 40)], axis=1)
    for a, b in zip(points[:20], points[20:], strict=True):
        assert bearings.bearing(*a, *b) == pytest.approx(by_vectors(a, b), abs=1e-9)


def test_the_shortest_way_from_new_york_to_tokyo_begins_northwards():
    degrees = bearings.bearing(40.7, -74.0, 35.7, 139.7)
    assert 330 < degrees < 335
    assert bearings.sector(degrees) == 7


@pytest.mark.parametrize(("degrees", "sector"), [(22.4, 0), (22.6, 1), (337.4, 7), (337.6, 0)])
def test_sectors_meet_halfway(degrees, sector):
    assert bearings.sector(degrees) == sector


def test_destination_undoes_bearing_and_distance(rng):
    towards, far = rng.uniform(0, 360, 30), rng.uniform(1, 60, 30)
    latitude, longitude = bearings.destination(40.0, -95.0, towards, far)
    np.testing.assert_allclose(bearings.bearing(40.0, -95.0, latitude, longitude), towards)
    np.testing.assert_allclose(bearings.degrees_apart(40.0, -95.0, latitude, longitude), far)


def test_pairs_are_uniform_different_and_nested():
    coordinates = places.places(places.Table("cap", "", 0, 40)).coordinates
    pairs = bearings.draw_pairs(coordinates, 200_000, 3)
    assert (pairs.i != pairs.j).all()
    counts = np.zeros((40, 40))
    np.add.at(counts, (pairs.i, pairs.j), 1)
    others = counts[~np.eye(40, dtype=bool)]
    assert abs(others - 200_000 / 1560).max() < 6 * np.sqrt(200_000 / 1560)
    k = 77
    degrees = by_vectors(coordinates[pairs.i[k]], coordinates[pairs.j[k]])
    assert pairs.sector[k] == int((degrees + 22.5) // 45) % 8
    fewer = bearings.draw_pairs(coordinates, 1000, 3)
    for part, whole in zip(fewer, pairs, strict=True):
        np.testing.assert_array_equal(part, whole[:1000])
