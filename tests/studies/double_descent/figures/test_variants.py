"""The figure `variants`: test loss over that of predicting zero, by loss and model."""

import numpy as np
import pytest
from cells import assert_on_page, cells
from made import gid, texts

from superpos_jax.studies.double_descent.figures.variants import applies, variants, variants_table

SIZES = [5, 10, 30, 100, 300, 1000]
AXES = {"T": SIZES, "loss": [1, 2, 4], "relu": [0, 1], "untied": [0, 1], "seed": [0, 1, 2]}


def zero(at):
    return np.select([at.loss == 1, at.loss == 4], [2.5, 0.2], 1.0)


def ratio(at):
    """A bump at T = 100, none for models that are untied; falling on the whole."""
    bump = np.where(at.untied == 1, 0.0, (1 + at.relu) * np.exp(-(np.log(at.T / 100) ** 2)))
    return 1.02 - 0.02 * np.log(at.T / 5) / 5 + bump * (1 + 0.1 * at.seed)


def result(axes=AXES, **options):
    functions = {"test_loss": lambda at: zero(at) * ratio(at), "zero_test_loss": zero}
    return cells(axes, **{**functions, **options})


def test_losses_are_in_units_of_predicting_zero():
    table = variants_table(result()).set_index(["loss", "untied", "relu", "T"])
    assert len(table) == 3 * 4 * len(SIZES)
    for power in (1, 2, 4):
        assert table.loc[(power, 1, 0, 1000), "median"] == pytest.approx(
            1.02 - 0.02 * np.log(200) / 5
        )
        top = table.loc[(power, 0, 1, 100)]
        base = 1.02 - 0.02 * np.log(20) / 5
        expected = {"min": base + 2, "median": base + 2.2, "max": base + 2.4}
        assert top[list(expected)].to_dict() == pytest.approx(expected)


def test_a_result_without_the_loss_of_predicting_zero_is_taken_as_it_is():
    made = result()
    made.dataset = made.dataset.drop_vars("zero_test_loss")
    table = variants_table(made).set_index(["loss", "untied", "relu", "T"])
    assert table.loc[(1, 1, 0, 5), "median"] == pytest.approx(2.5 * 1.02)


def test_inner_maxima_are_marked_and_told():
    table = variants_table(result())
    tops = table[table["inner_maximum"]]
    assert set(tops["T"]) == {100}
    assert set(zip(tops["loss"], tops["untied"], tops["relu"], strict=True)) == {
        (power, 0, relu) for power in (1, 2, 4) for relu in (0, 1)
    }
    figure = variants(result())
    rings = [ring for ring in gid(figure, "inner-maximum") if len(ring.get_xdata())]
    assert len(rings) == 6
    (text,) = [text for text in texts(figure) if "Rings: maxima 0.01 above" in text]
    told = "in tied, linear (2.11); tied, ReLU (3.21), none in untied, linear; untied, ReLU."
    assert f"Absolute error: {told}" in text


def test_a_maximum_at_an_end_is_no_inner_one():
    rising = result(test_loss=lambda at: zero(at) * np.log(at.T + at.seed))
    assert not variants_table(rising)["inner_maximum"].any()
    assert "Absolute error: none. Squared error: none." in " ".join(texts(variants(rising)))


def test_panels_and_lines():
    figure = variants(result())
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["absolute error", "squared error", "fourth power"]
    table = variants_table(result()).set_index(["loss", "untied", "relu"])
    for axes, power in zip(figure.axes, (1, 2, 4), strict=True):
        (line,) = gid(axes, "untied, ReLU")
        np.testing.assert_allclose(line.get_ydata(), table.loc[(power, 1, 1), "median"])
        assert len(axes.collections) == 4
    colours = [gid(figure.axes[0], name)[0].get_color() for name in ("tied, linear", "tied, ReLU")]
    assert len(set(colours)) == 2


@pytest.mark.parametrize("axis", ["loss", "relu", "untied"])
def test_one_of_the_axes_is_enough(axis):
    made = result({"seed": [0, 1], axis: AXES[axis], "T": SIZES[::-1]})
    figure = variants(made)
    assert len(figure.axes) == (3 if axis == "loss" else 1)
    names = {text for text in texts(figure) if text.startswith(("tied", "untied"))}
    assert (
        names
        == {
            "loss": {"tied, linear"},
            "relu": {"tied, linear", "tied, ReLU"},
            "untied": {"tied, linear", "untied, linear"},
        }[axis]
    )
    assert_on_page(figure)


def test_dead_runs_are_left_out_and_unfinished_lines_not_judged():
    made = result(
        dead=lambda at: (at.T == 100) & (at.seed == 1) & (at.loss == 2),
        training=lambda at: (at.T == 1000) & (at.relu == 1) & (at.seed == 0),
    )
    table = variants_table(made).set_index(["loss", "untied", "relu", "T"])
    row = table.loc[(2, 0, 0, 100)]
    assert (row["runs"], row["died"]) == (3, 1)
    assert row["median"] == pytest.approx(1.02 - 0.02 * np.log(20) / 5 + 1.1)
    assert row["max"] - row["min"] == pytest.approx(0.2)
    tops = table[table["inner_maximum"]].reset_index()
    assert set(tops["relu"]) == {0}
    figure = variants(made)
    text = " ".join(texts(figure))
    assert "6 runs are unfinished and drawn at the last recorded step. 4 runs died" in text
    assert "tied, ReLU (" not in text
    assert [len(gid(axes, "died")) for axes in figure.axes] == [0, 1, 0]


@pytest.mark.parametrize(
    "axes", [{"T": [10, 1000], "relu": [0, 1]}, {**AXES, "loss": [1, 2, 3, 4, 8], "seed": range(8)}]
)
def test_few_and_many_values_fit_the_page(axes):
    assert_on_page(variants(result(axes)))


@pytest.mark.parametrize("which", ["dead", "training"])
def test_results_without_a_trained_cell_are_drawn(which):
    made = result(**{which: lambda at: True})
    assert not variants_table(made)["inner_maximum"].any()
    assert_on_page(variants(made))


def test_applies_gives_the_reason():
    assert applies(result().dataset) is None
    assert applies(result({"T": SIZES, "seed": [0, 1]}).dataset) == (
        "variants needs a swept axis loss, untied or relu; swept: T, seed"
    )
    assert "a swept axis T" in applies(result({"loss": [1, 2]}).dataset)
    with pytest.raises(ValueError, match="loss, untied or relu"):
        variants_table(result({"T": SIZES}))
