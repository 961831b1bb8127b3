"""The figures of every study, on a made result whose numbers are a function of its axes."""

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.figure import Figure

from superpos_jax import Result, Sweep, UserError, plots
from superpos_jax.drawing import choose
from superpos_jax.drawing.curves import CURVES
from superpos_jax.drawing.history import HISTORY
from superpos_jax.drawing.needs import Needs
from superpos_jax.drawing.plane import PLANE
from superpos_jax.drawing.spec import FigureSpec, refuse, save
from superpos_jax.engine.verdicts import NON_FINITE, UNFINISHED
from superpos_jax.results.registry import GENERIC

AXES = {
    "optimizer": ["sgd", "adam", "lion"],
    "lr": [1e-4, 1e-3, 1e-2, 1e-1],
    "width": [32, 8, 16],
    "seed": [0, 1, 2],
}
STEPS = [0, 1, 10, 100, 1000]


def made(dead=(), unfinished=(), **axes):
    """Accuracy and two losses over some axes, with histories; no study knows it."""
    axes = axes or AXES
    dims, shape = tuple(axes), tuple(len(values) for values in axes.values())
    at = dict(zip(dims, np.meshgrid(*map(np.arange, shape), indexing="ij"), strict=True))
    loss = 10.0 ** -sum((at[axis] for axis in dims if axis != "seed"), np.zeros(shape))
    loss = loss * (1 + 0.1 * at.get("seed", np.zeros(shape)))
    verdict, died_at = np.zeros(shape, np.int8), np.full(shape, -1)
    history = loss[..., None] * np.array([16.0, 8.0, 4.0, 2.0, 1.0])
    for index in dead:
        verdict[index], died_at[index], loss[index] = NON_FINITE, 50, np.nan
        history[index][..., 3:] = np.nan
    for index in unfinished:
        verdict[index] = UNFINISHED
        history[index][..., 4:] = np.nan
    variables = {
        "verdict": (dims, verdict),
        "died_at": (dims, died_at),
        "accuracy": (dims, 1 - loss),
        "train_loss": (dims, loss),
        "history_train_loss": ((*dims, "step"), history),
        "history_accuracy": ((*dims, "step"), 1 - history / 20),
    }
    attrs = {"name": "made", "cell": json.dumps({"depth": 2}), "options": "{}"}
    return Result(xr.Dataset(variables, {**axes, "step": STEPS}, attrs))


def gid(figure, name):
    return figure.findobj(lambda artist: artist.get_gid() == name)


def texts(figure):
    return [t.get_text() for t in figure.findobj(lambda artist: hasattr(artist, "get_text"))]


def test_the_plane_is_the_mean_over_seeds_of_the_first_loss_over_the_first_two_axes():
    result = made()
    table = PLANE.table(result)
    assert list(table.columns[:2]) == ["lr", "optimizer"]
    mean = result.dataset.train_loss.mean("seed").isel(width=0)
    for _, row in table.iterrows():
        expected = float(mean.sel(lr=row["lr"], optimizer=row["optimizer"]))
        assert row["train_loss"] == pytest.approx(expected)
    assert set(table["width"]) == {32}
    assert table["optimizer"].drop_duplicates().tolist() == AXES["optimizer"]
    figure = PLANE.draw(table)
    assert (figure.axes[0].get_xscale(), figure.axes[0].get_yscale()) == ("linear", "log")


def test_any_number_over_any_axes_at_any_values():
    result = made()
    table = PLANE.table(result, value="accuracy", x="width", y="seed", lr=1e-2, optimizer="adam")
    part = result.dataset.accuracy.sel(lr=1e-2, optimizer="adam")
    for _, row in table.iterrows():
        expected = float(part.sel(width=row["width"], seed=row["seed"]))
        assert row["accuracy"] == pytest.approx(expected)
    assert table["width"].tolist() == sorted(AXES["width"]) * 3
    lines = CURVES.table(result, value="accuracy", x="lr", by="optimizer", width=[16])
    middle = result.dataset.accuracy.median("seed").sel(width=16)
    for _, row in lines.iterrows():
        expected = float(middle.sel(lr=row["lr"], optimizer=row["optimizer"]))
        assert row["median"] == pytest.approx(expected)


def test_axes_and_values_are_logarithmic_where_they_span_a_decade():
    axes = CURVES.draw(CURVES.table(made(), x="lr")).axes[0]
    assert axes.get_xscale() == axes.get_yscale() == "log"
    axes = CURVES.draw(CURVES.table(made(), "accuracy", x="width", lr=0.1)).axes[0]
    assert axes.get_xscale() == axes.get_yscale() == "linear"
    names = CURVES.draw(CURVES.table(made(), x="optimizer", by="lr")).axes[0]
    assert [label.get_text() for label in names.get_xticklabels()] == AXES["optimizer"]


def test_dead_and_unfinished_cells_are_marked():
    every = slice(None)
    result = made(dead=[(0, 0, 0, every), (1, 1, 0, 0)], unfinished=[(2, 2, 0, 1)])
    table = PLANE.table(result)
    assert table["died"].tolist().count(3) == table["died"].tolist().count(1) == 1
    figure = PLANE.draw(table)
    assert len(gid(figure, "unfinished")) == 1
    assert len(gid(figure, "some-died")[0].get_xdata()) == 1
    assert {"all seeds died", "some seeds died", "not trained to the end"} <= set(texts(figure))
    curves = CURVES.draw(CURVES.table(result))
    assert gid(curves, "unfinished")
    assert gid(curves, "died")
    history = HISTORY.table(result, optimizer="sgd", lr=1e-4)
    assert history.loc[history["step"] == 10, "died"].max() == 3
    assert len(gid(HISTORY.draw(HISTORY.table(result)), "died")) == 2


def test_the_history_has_a_panel_a_number_and_losses_first():
    result = made()
    table = HISTORY.table(result, by="lr")
    assert table["quantity"].unique().tolist() == ["train_loss", "accuracy"]
    part = result.dataset.history_train_loss.isel(optimizer=0, width=0).median("seed")
    for _, row in table[table["quantity"] == "train_loss"].iterrows():
        assert row["median"] == pytest.approx(float(part.sel(lr=row["lr"], step=row["step"])))
    figure = HISTORY.draw(table)
    assert len(figure.axes) == 2
    assert len(gid(figure, "line")) == 8


@pytest.mark.parametrize("spec", choose.GENERIC.values(), ids=choose.GENERIC)
def test_captions_have_three_lines_and_nothing_leaves_the_page(spec):
    every = slice(None)
    result = made(dead=[(0, 0, 0, every), (1, 1, 0, 0)], unfinished=[(2, 2, 0, 1)])
    figure = spec.draw(spec.table(result))
    figure.draw_without_rendering()
    caption = figure.texts[2].get_text()
    assert caption.count("\n") < 3
    assert len(caption) <= 330
    for text in figure.texts:
        assert text.get_window_extent().x1 <= figure.bbox.x1
        assert text.get_window_extent().y0 >= 0


@pytest.mark.parametrize("spec", choose.GENERIC.values(), ids=choose.GENERIC)
def test_saved_numbers_are_those_of_one_table(spec, tmp_path):
    tables = []

    def table(result, **select):
        tables.append(spec.table(result, **select))
        return tables[-1]

    counted = FigureSpec(spec.name, table, spec.draw, "", spec.applies)
    _, csv = save(made(), counted, tmp_path, width=16)
    (drawn,) = tables
    pd.testing.assert_frame_equal(pd.read_csv(csv), drawn, check_dtype=False, rtol=1e-5)


@pytest.mark.parametrize(
    ("axes", "name", "reason"),
    [
        ({"lr": [0.1, 1.0], "seed": [0, 1]}, "plane", None),
        ({"lr": [0.1, 1.0]}, "plane", "plane needs two swept axes; swept: lr"),
        ({"lr": [0.1]}, "curves", "curves needs a swept axis; swept: none"),
        ({"seed": [0, 1]}, "curves", None),
        ({"lr": [0.1]}, "history", None),
    ],
)
def test_generic_figures_say_what_they_need(axes, name, reason):
    result = made(**axes)
    spec = choose.GENERIC[name]
    assert spec.applies(result.dataset) == reason
    if reason is None:
        assert isinstance(spec.draw(spec.table(result)), Figure)


@pytest.mark.parametrize(
    ("name", "select", "words"),
    [
        ("plane", {"value": "test_loss"}, "not measured; allowed: train_loss, accuracy"),
        ("plane", {"x": "depth"}, "no swept axis 'depth'"),
        ("curves", {"by": "depth"}, "no swept axis 'depth'"),
        ("curves", {"optimizer": "adamw"}, "optimizer = adamw is not in this result"),
        ("history", {"value": "loss"}, "not recorded; allowed: train_loss, accuracy"),
    ],
)
def test_a_wrong_choice_is_named(name, select, words):
    with pytest.raises(ValueError, match=words):
        choose.GENERIC[name].table(made(), **select)


def test_a_figure_of_the_study_takes_the_place_of_the_generic_one():
    assert tuple(choose.GENERIC) == GENERIC
    own = choose.figures_of("double_descent")
    assert own["plane"] is not PLANE
    assert own["curves"] is CURVES
    assert choose.figures_of("digits")["plane"] is PLANE
    assert plots.curves is not None


def test_a_need_is_refused_by_axes_and_options_alone():
    needs = Needs(("T",), ("lr", "seed"), {"m": 2}, {"trace": True})
    spec = FigureSpec("mine", None, None, "", None, needs)
    whole = {"T": [1, 2], "seed": [0, 1], "m": [2, 3]}
    assert refuse(spec, whole, {"trace": True}) == ""
    assert refuse(spec, whole | {"T": [1]}, {}) == "mine needs a swept axis T; swept: seed, m"
    assert refuse(spec, {"T": [1, 2], "m": [2]}, {}) == (
        "mine needs a swept axis lr or seed; swept: T"
    )
    assert refuse(spec, whole | {"m": [3]}, {}) == "mine needs m = 2, not 3"
    assert refuse(spec, whole, {"trace": False}) == "mine needs the option trace = true"


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"figures": ["plane"], "axes": {"T": [3, 5]}}, "plane needs two swept axes T and m"),
        ({"figures": ["vectors"], "cell": {"m": 3}}, "vectors needs m = 2, not 3"),
        ({"figures": ["history"]}, "history needs the option trace_dimensions = true"),
        (
            {"figures": ["t_sweep", "optima"], "axes": {"T": [3, 5]}},
            "figures[1]: optima needs a swept axis lr, reduction or init_seed; swept: T",
        ),
    ],
)
def test_a_sweep_is_refused_before_it_is_trained(values, reason):
    with pytest.raises(UserError) as refused:
        choose.check_figures(sweep := Sweep(**values), sweep.grid())
    assert reason in str(refused.value)
