"""The figure `circles`, on seeds whose circles and failures are known beforehand."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
from cells import assert_on_page
from made import gid, texts
from traced import Traced, gon

from superpos_jax import plots
from superpos_jax.studies.double_descent.figures import FIGURES, save


def fill(cell):
    """Seed s leaves s samples at the origin, for which it pays s/T; the others form a polygon."""
    seed = cell.seed if cell.seed >= 0 else 3 * cell.data_seed + cell.init_seed
    lost = seed % 3
    H = np.concatenate([gon(cell.T - lost, 2.0), np.zeros((lost, 2))])
    loss = lost / cell.T + 1e-6 * seed
    return {"H": H, "W": np.ones((2, 20)), "train_loss": loss, "test_loss": 1.0}


def many(seeds=6, **options):
    return Traced({"T": [5, 8, 12], "seed": list(range(seeds))}, fill, **options)


def test_table_holds_the_losses_of_all_runs_and_the_vectors_of_the_shown():
    result = many()
    table = plots.circles_table(result)
    every = table[table["kind"] == "run"].set_index(["T", "seed"])
    assert len(every) == 18
    for (T, seed), run in every.iterrows():
        assert run["train_loss"] == float(result.dataset["train_loss"].sel(T=T, seed=seed))
        assert run["outcome"] == ("failed" if seed % 3 else "solved")
        assert run["radius"] == pytest.approx(2.0)
    assert every.loc[8]["rank"].tolist() == [0, 2, 4, 1, 3, 5]
    hidden = table[(table["kind"] == "hidden") & (table["T"] == 8) & (table["seed"] == 4)]
    np.testing.assert_array_equal(hidden[["x", "y"]], fill(SimpleNamespace(T=8, seed=4))["H"])
    assert hidden["index"].tolist() == list(range(8))


def test_panels_are_ordered_by_loss_and_the_histogram_counts_all():
    figure = plots.circles(many())
    rows = [figure.axes[7 * row : 7 * row + 7] for row in range(3)]
    for T, (*panels, histogram) in zip([5, 8, 12], rows, strict=True):
        losses = [float(panel.get_title()) for panel in panels]
        np.testing.assert_allclose(losses, np.repeat([0, 1, 2], 2) / T, atol=6e-4)
        (dots,) = gid(panels[-1], "hidden")
        assert len(dots.get_offsets()) == T
        (ring,) = gid(panels[-1], "ring")
        assert ring.radius == pytest.approx(2.0)
        bars = {name: gid(histogram, name) for name in ("solved", "failed")}
        heights = {name: sum(bar.get_height() for bar in found) for name, found in bars.items()}
        assert heights == {"solved": 2, "failed": 4}
        assert histogram.get_title(loc="right") == "4 of 6 above 0.01"
        assert all(bar.get_x() >= 0.01 for bar in bars["failed"] if bar.get_height())
    (words,) = (text for text in texts(figure) if text.startswith("Small panels"))
    told = re.findall(r"Of (\d+) (\w+) runs drawn (\d+) keep .*?, (\d+) show .*?, (\d+) a", words)
    assert told == [("6", "solved", "6", "0", "0"), ("12", "failed", "0", "0", "12")]


def test_twelve_seeds_are_drawn_at_evenly_spaced_ranks():
    result = many(34)
    table = plots.circles_table(result, T=[8])
    every = table[table["kind"] == "run"]
    assert len(every) == 34
    ranks = np.sort(every.loc[every["shown"], "rank"])
    assert ranks.tolist() == list(range(0, 34, 3))
    assert {call["T"] for call in result.calls} == {8}
    assert len(result.calls) == 12


def test_a_second_radius_is_told_from_the_origin():
    def two(cell):
        H = np.concatenate([gon(cell.T - 3, 2.0), gon(3, 1.2)])
        return fill(cell) | {"H": H, "train_loss": 0.3}

    found = texts(plots.circles(Traced({"T": [8], "seed": [0, 1]}, two)))
    words = "Of 2 failed runs drawn 0 keep to one circle, 2 show a second radius"
    assert any(words in text for text in found)


def test_runs_without_an_end_are_left_out():
    result = many(dead=[(0, 1), (1, slice(None))], training=[(0, 0), (2, 2)])
    table = plots.circles_table(result)
    every = table[table["kind"] == "run"].set_index(["T", "seed"])
    assert every.loc[5, "outcome"].tolist()[:2] == ["unfinished", "died"]
    assert not every.loc[8, "shown"].any()
    assert every.loc[12, "rank"].tolist() == [0, 2, -1, 1, 3, 4]
    found = texts(plots.circles(result))
    assert {"3 of 4 above 0.01", "3 of 5 above 0.01"} <= set(found)
    assert any("Left out: 7 died and 2 unfinished." in text for text in found)
    assert "no seed to draw" in found


def test_only_seeds_with_stored_weights_are_drawn():
    result = many()
    result.dataset["W"][:, 1:] = np.nan
    table = plots.circles_table(result)
    assert set(table.loc[table["shown"], "seed"]) == {0}
    assert (table["kind"] == "run").sum() == 18
    plots.circles(result).draw_without_rendering()


def test_seeds_on_two_axes_and_m_are_named_to_the_result():
    values = {"init_seed": [0, 1, 2], "m": [3, 2], "T": [8, 5], "data_seed": [0, 1]}
    result = Traced(values, fill, seed=-1)
    table = plots.circles_table(result)
    assert {call["m"] for call in result.calls} == {2}
    every = table[table["kind"] == "run"]
    assert len(every) == 12
    lost = (3 * every["data_seed"] + every["init_seed"]) % 3
    np.testing.assert_allclose(every["train_loss"], lost / every["T"], atol=1e-5)
    np.testing.assert_array_equal(table["T"].unique(), [5, 8])
    with pytest.raises(ValueError, match="circles draws m = 2 only"):
        plots.circles(result, m=3)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"m": 3}, "circles needs m = 2, not 3"),
        ({"online": 1}, "circles needs a training set; this result trains on new samples"),
        ({"seeds": 1}, "circles needs a swept axis seed, data_seed or init_seed; swept: T"),
    ],
)
def test_applies_gives_the_reason(change, reason, tmp_path):
    result = many(**change)
    assert FIGURES["circles"].applies(result.dataset).startswith(reason)
    with pytest.raises(ValueError, match="circles needs"):
        save(result, FIGURES["circles"], tmp_path)
    assert "weights W" in FIGURES["circles"].applies(many().dataset.drop_vars("W"))


@pytest.mark.parametrize(("sizes", "seeds"), [([5], 2), ([5, 60, 1200], 30)])
def test_everything_is_on_the_page(sizes, seeds):
    result = Traced({"T": sizes, "seed": list(range(seeds))}, fill, dead=[(0, 0)])
    figure = plots.circles(result)
    assert_on_page(figure)


def test_the_eight_smallest_sizes_are_rows():
    result = Traced({"T": [40, *range(5, 14)], "seed": [0, 1]}, fill)
    assert plots.circles_table(result)["T"].unique().tolist() == list(range(5, 13))
    assert plots.circles_table(result, T=[40, 7])["T"].unique().tolist() == [7, 40]
