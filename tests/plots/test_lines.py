"""Seeds pooled, crossings and their words: what the figures with lines over T share."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from superpos_jax.plots import _lines

T = np.array([10.0, 30.0, 100.0, 300.0, 1000.0])


@pytest.mark.parametrize("place", [12.0, 30.0, 77.0, 999.0])
def test_a_crossing_is_found_where_a_straight_line_crosses(place):
    assert _lines.crossing(T, np.log(T / place)) == pytest.approx(place)


def test_a_crossing_is_the_last_one():
    assert 300 < _lines.crossing(T, np.array([-1.0, 5.0, 5.0, -1.0, 1.0])) < 1000


def test_a_crossing_that_lies_outside_is_told_apart_from_none():
    assert _lines.crossing(T, np.ones(5)) == 0
    assert _lines.crossing(T, np.array([1.0, 1.0, 1.0, 1.0, 0.0])) == np.inf
    assert np.isnan(_lines.crossing(T, np.full(5, np.nan)))


def test_a_crossing_skips_gaps_and_halves_where_it_cannot_interpolate():
    y = np.array([-1.0, np.nan, np.nan, 1.0, 2.0])
    assert _lines.crossing(T, y) == pytest.approx(np.sqrt(10 * 300))
    y = np.array([-np.inf, -1.0, np.inf, np.inf, np.inf])
    assert _lines.crossing(T, y) == pytest.approx(np.sqrt(30 * 100))


def test_pooled_leaves_out_what_does_not_count():
    values, counts = np.array([3.0, 1.0, np.inf, 9.0, 2.0]), np.array([1, 1, 1, 0, 1], bool)
    expected = {"min": 1.0, "q25": 1.5, "median": 2.0, "q75": 2.5, "max": 3.0}
    assert _lines.pooled(values, counts) == expected
    assert all(np.isnan(x) for x in _lines.pooled(values, np.zeros(5, bool)).values())


@pytest.mark.parametrize(("runs", "edges"), [(1, None), (7, ("min", "max")), (8, ("q25", "q75"))])
def test_bands_are_all_seeds_or_the_middle_half_of_many(runs, edges):
    row = {"T": 1.0, "runs": runs, "died": 0, "min": 0.0, "max": 4.0, "q25": 1.0, "q75": 3.0}
    table = pd.DataFrame([row | {"median": 2.0}, row | {"median": np.nan}])
    assert _lines.band(table) == edges
    shown = {2.0, *(row[edge] for edge in edges or ())}
    assert set(_lines.drawn(table)) == shown
    axes = Figure().subplots()
    _lines.line(axes, "T", table, color="black")
    assert len(axes.collections) == (edges is not None)
    words = _lines.seed_words(table, "Dots")
    assert words == "One seed." if runs == 1 else words.startswith(f"Dots: median of {runs} seeds")


def test_the_loss_axis_holds_its_losses_and_1():
    panels = Figure().subplots(1, 2)
    _lines.loss_axis(panels, np.array([1.3, 5.0]))
    for axes in panels:
        low, high = axes.get_ylim()
        assert low < 1 < 5 < high
        assert {1.0, 5.0} <= set(axes.get_yticks())
        (zero,) = [line for line in axes.lines if line.get_gid() == "zero-predictor"]
        assert set(zero.get_ydata()) == {1.0}


def test_lost_runs_are_counted_in_words():
    table = pd.DataFrame({"died": [1, 0, 2], "unfinished": [0, 0, 1]})
    assert _lines.lost_words(table, "left out") == (
        " 1 run not trained to the end: left out. 3 runs became non-finite: left out."
    )
    assert _lines.lost_words(table * 0) == ""
