"""Bands, the axis of losses and their words: what the figures with lines over T share."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from superpos_jax.drawing import lines, style
from superpos_jax.results.sweep import load_sweep


@pytest.mark.parametrize(("runs", "edges"), [(1, None), (7, ("min", "max")), (8, ("q25", "q75"))])
def test_bands_are_all_seeds_or_the_middle_half_of_many(runs, edges):
    row = {"T": 1.0, "runs": runs, "died": 0, "unfinished": 0}
    row |= {"min": 0.0, "max": 4.0, "q25": 1.0, "q75": 3.0}
    table = pd.DataFrame([row | {"median": 2.0}, row | {"median": np.nan}])
    assert lines.band(table) == edges
    shown = {2.0, *(row[edge] for edge in edges or ())}
    assert set(lines.drawn(table)) == shown
    axes = Figure().subplots()
    lines.line(axes, "T", table, color="black")
    assert len(axes.collections) == (edges is not None)
    words = lines.seed_words(table, "Dots")
    some = lines.seed_words(table.assign(unfinished=[1, 0]), "Dots")
    if runs == 1:
        assert words == some == "One seed."
    else:
        assert words.startswith(f"Dots: median of {runs} seeds, bands")
        assert some.startswith(f"Dots: median of {runs} seeds (fewer where some are missing), ")
        along = table.assign(step=[1, 2], unfinished=[1, 0])  # all are there at every step
        assert lines.seed_words(along, "Dots") == words
        fewer = lines.seed_words(along.assign(runs=[runs, runs - 1]), "Dots")
        assert fewer.startswith(f"Dots: median of {runs} seeds (fewer where some are missing), ")


@pytest.mark.parametrize("key", ["quickstart", "paper/P5"])
def test_every_T_of_a_plane_has_its_label(key):
    T = load_sweep(key).grid().axes["T"]
    axes = Figure().subplots()
    style.log_ticks(axes.xaxis, T, 5.4)
    assert sorted(T) == axes.xaxis.get_major_locator().locs.tolist()
    labels = axes.xaxis.get_major_formatter().seq
    assert [text.strip() for text in labels] == [f"{value:,}" for value in sorted(T)]
    above = [text for text in labels if not text.startswith("\n")]
    assert {"10", "100", "1,000"} <= set(above)


def test_an_upright_axis_has_one_line_of_labels_with_both_ends():
    axes = Figure().subplots()
    style.log_ticks(axes.yaxis, [3, 4, 5, 6, 7, 8], 0.3)
    assert axes.yaxis.get_major_formatter().seq == ["3", "8"]


def test_zero_keeps_its_label_where_round_numbers_take_the_place_of_values():
    axes, places = Figure().subplots(), np.geomspace(1e-4, 1, 40)
    words = {places[0]: "0"}
    style.log_ticks(axes.xaxis, places, 3.0, lambda x: words.get(x, f"{x:,.10g}"))
    labels = axes.xaxis.get_major_formatter().seq
    assert labels[0] == "0"
    assert {"0.001", "0.01", "0.1", "1"} <= set(labels)
    assert "0.0001" not in labels


def test_lost_runs_are_counted_in_words():
    table = pd.DataFrame({"died": [1, 0, 2], "unfinished": [0, 0, 1]})
    assert lines.lost_words(table, "left out") == (
        " 1 run is unfinished and left out. 3 runs died or diverged: left out."
    )
    assert lines.lost_words(table * 2).startswith(" 2 runs are unfinished and drawn at the last")
    assert lines.lost_words(table * 0) == ""
