"""Vectors on one scale above the norms."""

import numpy as np
import pytest
from cells import assert_on_page
from made import SIZES, Made, gid, texts

from superpos_jax import plots
from superpos_jax.studies.double_descent.figures import FIGURES


def part(table, name):
    return table[table["part"] == name].dropna(axis=1, how="all").reset_index(drop=True)


def by_reduction(**options):
    """Twice the norms under the second reduction of the sweep."""
    result = Made(T=SIZES, reduction=[1.0, 0.0], seed=[0, 1, 2], **options)
    result.dataset["W_norm"][:, 1] *= 2
    return result


def norm_panels(figure):
    return [axes for axes in figure.axes if axes.get_xlabel()]


def test_norms_are_medians_over_seeds():
    result = Made(T=SIZES, seed=[0, 1, 2])
    rows = part(plots.norms_table(result), "norm").set_index(["norm", "T"])
    figure = plots.norms(result)
    for axes, name in zip(norm_panels(figure), ("W_norm", "b_norm"), strict=True):
        values = result.dataset[name]
        np.testing.assert_allclose(rows.loc[name, "median"], values.median("seed"))
        np.testing.assert_allclose(rows.loc[name, "min"], values.min("seed"))
        np.testing.assert_allclose(axes.lines[0].get_ydata(), values.median("seed"))
        assert axes.get_xscale() == axes.get_yscale() == "log"
    (caption,) = (text for text in texts(figure) if text.startswith("Above: one model per column"))
    peak = result.dataset["W_norm"].median("seed")
    place = SIZES[int(np.argmax(peak.values))]
    assert f"Largest median norms: ‖W‖ {float(peak.max()):.3g} at T = {place}, ‖b‖" in caption
    assert "(seed = 0)" in caption


def test_vectors_share_a_scale_along_a_row():
    result = Made(T=SIZES, seed=[5, 1])
    table = part(plots.norms_table(result, at=[10, 100, 1000]), "vector")
    same = plots.vectors_table(result, scale="common", T=[10, 100, 1000], seed=5)
    for column in ("kind", "T", "x", "y", "half_width", "regime", "seed"):
        assert table[column].tolist() == same[column].tolist()
    assert (table.groupby("kind")["half_width"].nunique() == 1).all()
    figure = plots.norms(result, at=[10, 100, 1000])
    assert len({axes.get_xlim() for axes in figure.axes[:3]}) == 1


def test_a_line_per_reduction_and_vectors_of_the_first():
    result = by_reduction()
    table = plots.norms_table(result)
    rows = part(table, "norm").set_index(["norm", "reduction", "T"])["median"]
    np.testing.assert_allclose(rows["W_norm", 0.0], 2 * rows["W_norm", 1.0])
    assert set(part(table, "vector")["reduction"]) == {1.0}
    assert {call["reduction"] for call in result.calls} == {1.0}
    figure = plots.norms(result)
    words = texts(figure)
    assert {"sum loss", "mean loss"} <= set(words)
    assert any("(mean loss, seed = 0)" in text for text in words)
    assert [len(axes.lines) for axes in norm_panels(figure)] == [2, 2]
    only = plots.norms_table(result, reduction=0.0, seed=[1, 2])
    assert set(only["reduction"].dropna()) == {0.0}
    assert set(part(only, "vector")["seed"]) == {1}


@pytest.mark.parametrize(
    "options",
    [
        {"T": SIZES},
        {"T": SIZES, "seed": list(range(9))},
        {"T": SIZES, "seed": [0, 1], "dead": [(0, 0), (3, 1)], "unfinished": [(6, 0)]},
        {"T": [5, 50], "m": [4, 2], "lr": [0.001, 0.01], "reduction": [1.0, 0.0]},
    ],
)
def test_the_page_holds_together(options):
    assert_on_page(plots.norms(Made(**options)))


def test_vectors_are_of_trained_models_where_there_are_some():
    result = Made(T=SIZES, seed=[0, 1], unfinished=[(6, slice(None)), (2, 1)])
    vector = part(plots.norms_table(result), "vector")
    assert vector["T"].unique().tolist() == SIZES[:6]
    none = Made(T=SIZES, seed=[0, 1], unfinished=[(slice(None), 0)])
    assert part(plots.norms_table(none), "vector")["T"].unique().tolist() == SIZES


def test_dead_runs_are_left_out_and_marked():
    result = Made(T=SIZES, seed=[0, 1, 2], dead=[(2, 0), (0, slice(None))], unfinished=[(4, 1)])
    rows = part(plots.norms_table(result), "norm").set_index(["norm", "T"])
    assert np.isnan(rows.loc[("W_norm", 10), "median"])
    alive = result.dataset["b_norm"].sel(T=50, seed=[1, 2])
    assert rows.loc[("b_norm", 50), "median"] == pytest.approx(float(alive.median()))
    figure = plots.norms(result)
    for axes in norm_panels(figure):
        (crosses,) = gid(axes, "died")
        assert sorted(crosses.get_xdata()) == [10, 50]
    words = texts(figure)
    assert any("1 run is unfinished" in text for text in words)
    assert words.count("not finite after step 1,234") == 4


def test_applies_gives_the_reason():
    applies = FIGURES["norms"].applies
    assert applies(Made(m=[2, 3]).dataset) == ("norms needs a swept axis T; swept: m")
    assert applies(Made(T=SIZES, m=[3, 4]).dataset) == ("norms needs m = 2, not 3 or 4")
    result = Made(T=SIZES)
    assert applies(result.dataset) is None
    result.dataset = result.dataset.drop_vars(["W_norm", "b_norm"])
    reason = "norms needs W_norm and b_norm, which this result does not hold"
    assert applies(result.dataset) == reason
    with pytest.raises(ValueError, match=reason):
        plots.norms(result)
