"""The page of the three regimes."""

import json

import numpy as np
import pytest
from cells import assert_on_page
from made import SIZES, Made, N, gid, texts

from superpos_jax import plots
from superpos_jax.studies.double_descent.criteria import REGIMES
from superpos_jax.studies.double_descent.figures import FIGURES

SEEDS = [3, 1, 2]


def part(table, name):
    return table[table["part"] == name].dropna(axis=1, how="all").reset_index(drop=True)


def test_the_table_holds_the_numbers_of_the_three_parts():
    result = Made(T=SIZES, seed=SEEDS)
    table = plots.regimes_table(result, at=[10, 1000])
    loss = result.dataset["test_loss"]
    rows = part(table, "loss").set_index("T")
    np.testing.assert_allclose(rows["median"], loss.median("seed"))
    np.testing.assert_allclose(rows["max"], loss.max("seed"))
    assert set(rows["split"]) == {"test"}
    for name, other in (
        ("dimension", plots.dimensions_table(result)),
        ("vector", plots.vectors_table(result, T=[10, 1000], seed=3)),
    ):
        rows = part(table, name)
        shared = ["kind", "T", "rank", *({"dimensionality", "x", "y", "regime"} & set(other))]
        np.testing.assert_array_equal(rows[shared], other[shared])
    assert set(part(table, "vector")["seed"]) == {3}
    assert table.columns[0] == "part"


def test_the_regime_is_the_commonest_of_surviving_seeds():
    result = Made(T=SIZES, seed=[0, 1, 2], dead=[(1, 0), (2, slice(None))], unfinished=[(3, 2)])
    result.dataset["regime"][...] = np.array(
        [[0, 0, 2], [0, 1, 1], [0, 0, 0], [1, 1, 0]] + [[2] * 3] * 3
    )
    rows = part(plots.regimes_table(result), "loss").set_index("T")["regime"]
    named = ["memorizing", "middle", "", "middle", *["generalizing"] * 3]
    assert rows.tolist() == named
    figure = plots.regimes(result)
    spans = sorted(patch.get_x() for patch in gid(figure.axes[0], "middle"))
    np.testing.assert_allclose(spans, [np.sqrt(10 * 20), np.sqrt(50 * 100)])
    (blue,) = gid(figure.axes[1], "generalizing")
    assert blue.get_x() == pytest.approx(np.sqrt(100 * 200))
    (caption,) = (text for text in texts(figure) if text.startswith("Most seeds memorize"))
    assert caption.startswith("Most seeds memorize up to T = 10 and generalize from T = 200.")
    assert "1 run is unfinished and drawn at the last recorded step. 4 runs died" in caption


def test_the_parts_are_drawn_from_the_table():
    result = Made(T=SIZES, seed=SEEDS)
    table = plots.regimes_table(result)
    figure = plots.regimes(result)
    top, middle, *panels = figure.axes
    for column in ("median", "mean"):
        (line,) = gid(top, column)
        np.testing.assert_allclose(line.get_ydata(), part(table, "loss")[column])
        np.testing.assert_array_equal(line.get_xdata(), SIZES)
    means = part(table, "loss").set_index("T")["mean"]
    for n, late in ((N, means), (2000, means[means.index >= 200])):
        result.dataset.attrs["options"] = json.dumps({"n": n})
        begin = "The" if late.max() == means.max() else "From T = n/10 on the"
        told = f"{begin} mean test loss peaks at {late.max():.4g} (T = {late.idxmax():,})."
        assert any(told in text for text in texts(plots.regimes(result)))
    (guide,) = gid(middle, "guide")
    np.testing.assert_allclose(np.multiply(*guide.get_data()), 2)
    kinds = part(table, "dimension")["kind"]
    for kind in ("feature", "sample"):
        (dots,) = gid(middle, kind)
        assert len(dots.get_offsets()) == (kinds == kind).sum()
    (marks,) = gid(middle, "columns")
    assert marks.get_xdata().tolist() == SIZES
    assert len(panels) == 2 * len(SIZES)
    assert top.get_xlim() == middle.get_xlim()
    words = [text.get_text() for text in top.get_legend().get_texts()]
    named = {name for name in REGIMES if (part(table, "loss")["regime"] == name).any()}
    assert named
    assert set(words) & set(REGIMES) == named
    assert panels[0].get_title() == "T = 10".replace(" ", "\N{NO-BREAK SPACE}")


@pytest.mark.parametrize(
    "options",
    [
        {"T": SIZES},
        {"T": SIZES, "seed": list(range(9))},
        {"T": SIZES, "seed": [0, 1], "dead": [(0, 0), (3, 1)], "unfinished": [(6, 0)]},
        {"T": [5, 50], "seed": [0, 1], "m": [3, 2], "reduction": [1.0, 0.0]},
    ],
)
def test_the_page_holds_together(options):
    assert_on_page(plots.regimes(Made(**options)))


def test_selection_restricts_every_part():
    result = Made(T=SIZES, seed=SEEDS, m=[2, 4], lr=[0.001, 0.01])
    table = plots.regimes_table(result, T=[10, 50, 100], seed=[1, 2], lr=0.01)
    for name in ("loss", "dimension", "vector"):
        assert part(table, name)["T"].unique().tolist() == [10, 50, 100]
    assert set(part(table, "loss")["runs"]) == {2}
    assert set(part(table, "vector")["seed"]) == {1}
    assert (set(table["m"]), set(table["lr"])) == ({2}, {0.01})
    with pytest.raises(ValueError, match="regimes draws m = 2 only"):
        plots.regimes(result, m=4)
    with pytest.raises(ValueError, match="T = 7 is not in this result"):
        plots.regimes(result, at=[7])


def test_applies_gives_the_reason():
    applies = FIGURES["regimes"].applies
    assert applies(Made(seed=[0, 1]).dataset) == ("regimes needs a swept axis T; swept: seed")
    assert applies(Made(T=SIZES, m=[3]).dataset) == "regimes needs m = 2, not 3"
    result = Made(T=SIZES)
    assert applies(result.dataset) is None
    result.dataset = result.dataset.drop_vars("W")
    reason = "regimes needs the weights W, which this result does not hold"
    assert applies(result.dataset) == reason
    with pytest.raises(ValueError, match=reason):
        plots.regimes(result)


def test_it_names_the_arrays_it_reads():
    arrays = {*FIGURES["vectors"].arrays, *FIGURES["dimensions"].arrays}
    assert set(FIGURES["regimes"].arrays) == arrays
    assert {"W", "b", "feature_dimensionality", "sample_dimensionality"} <= arrays
