"""Crossings, seeds pooled, what became of a sample, the edge of memorization."""

import numpy as np
import pytest

from superpos_jax.studies.double_descent import edge
from superpos_jax.studies.double_descent.criteria import (
    FALL,
    PEAK,
    STANDS_OUT,
    crossing,
    margin,
    outcomes,
    pooled,
)

T = np.array([10.0, 30.0, 100.0, 300.0, 1000.0])


@pytest.mark.parametrize("place", [12.0, 30.0, 77.0, 999.0])
def test_a_crossing_is_found_where_a_straight_line_crosses(place):
    assert crossing(T, np.log(T / place)) == pytest.approx(place)


def test_a_crossing_is_the_last_one():
    assert 300 < crossing(T, np.array([-1.0, 5.0, 5.0, -1.0, 1.0])) < 1000


def test_a_crossing_that_lies_outside_is_told_apart_from_none():
    assert crossing(T, np.ones(5)) == 0
    assert crossing(T, np.array([1.0, 1.0, 1.0, 1.0, 0.0])) == np.inf
    assert np.isnan(crossing(T, np.full(5, np.nan)))


def test_a_crossing_skips_gaps_and_halves_where_it_cannot_interpolate():
    y = np.array([-1.0, np.nan, np.nan, 1.0, 2.0])
    assert crossing(T, y) == pytest.approx(np.sqrt(10 * 300))
    y = np.array([-np.inf, -1.0, np.inf, np.inf, np.inf])
    assert crossing(T, y) == pytest.approx(np.sqrt(30 * 100))


def test_pooled_leaves_out_what_does_not_count():
    values, counts = np.array([3.0, 1.0, np.inf, 9.0, 2.0]), np.array([1, 1, 1, 0, 1], bool)
    expected = {"min": 1.0, "q25": 1.5, "median": 2.0, "q75": 2.5, "max": 3.0}
    assert pooled(values, counts) == expected
    assert all(np.isnan(x) for x in pooled(values, np.zeros(5, bool)).values())


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        ([0.0, 0.25, 0.75, 1.0], 2 * 2**0.5),
        ([0.0, 0.0, 0.8, 1.0], 2 * 2**0.625),
        ([0.0, 0.4, 0.6, 0.2], np.inf),
        ([0.0, 0.8, 0.4, 1.0], 2.0 ** (5 / 6)),
        ([0.6, 0.9, 1.0, 1.0], 0.0),
        ([0.0, 0.1, 0.2, 0.4], np.inf),
        ([0.0, 0.2, 0.5, 0.5], 4.0),
        ([np.nan, 0.25, 0.75, np.nan], 2 * 2**0.5),
    ],
)
def test_boundaries_of_given_shares(share, expected):
    boundary = edge.boundary(np.array([1.0, 2.0, 4.0, 8.0]), np.array(share))
    assert boundary == pytest.approx(expected)


EVEN = 0.002  # m/T; near misses are above 0.01


@pytest.mark.parametrize(
    ("repeated", "others", "came"),
    [
        ([0.0, 0.2], 0.3, "memorized"),  # a direction of its own, though not the largest
        ([0.0, 0.02], 0.01, "memorized"),  # the largest
        ([0.09, 0.04], 0.05, "near miss"),
        ([0.09, 0.05], 0.06, "other"),  # not fallen to half
        ([0.009, 0.001], 0.06, "other"),  # never above 5 m/T
    ],
)
def test_what_became_of_the_repeated_sample(repeated, others, came):
    assert (STANDS_OUT, PEAK, FALL) == (0.1, 5.0, 2.0)  # what the cases were written for
    history = np.array([[D, others, others] for D in repeated])
    assert outcomes(history, EVEN)[0] == came
    assert outcomes(history[:, [1, 0, 2]], EVEN)[1] == came


def test_a_sample_without_a_history_is_unknown():
    assert outcomes(np.empty((0, 3)), EVEN).tolist() == ["unknown"] * 3


def test_the_margin_is_positive_where_the_best_generalizes():
    losses, generalize = np.array([3.0, 1.0, 2.0]), np.array([False, True, False])
    assert margin(losses, generalize) == 1.0
    assert margin(losses, ~generalize) == -1.0
    assert margin(losses, np.ones(3, bool)) == np.inf
    assert margin(losses, np.zeros(3, bool)) == -np.inf
    assert np.isnan(margin(losses[:0], generalize[:0]))
