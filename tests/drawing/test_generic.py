"""The figures of every study, on a made result whose numbers are a function of its axes."""

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.figure import Figure

from superpos_jax import Result, Sweep, UserError, plots
from superpos_jax.drawing import choose
from superpos_jax.drawing.curves import CURVES, RING, RING_WIDTH
from superpos_jax.drawing.history import HISTORY
from superpos_jax.drawing.needs import Needs
from superpos_jax.drawing.plane import PLANE
from superpos_jax.drawing.spec import FigureSpec, refuse, save
from superpos_jax.engine.verdicts import NON_FINITE, UNFINISHED
from superpos_jax.results.registry import GENERIC
from superpos_jax.text import NBSP

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


def test_a_number_that_is_the_same_everywhere_has_no_scale():
    result = made()
    result.dataset["accuracy"][:] = 0.25
    table = PLANE.table(result, value="accuracy")
    figure = PLANE.draw(table)
    (axes,) = figure.axes
    assert axes.collections[0].norm(0.25) == 0.5
    assert {text.get_text() for text in axes.texts} == {"0.25"}
    assert "All are 0.25." in " ".join(text.get_text() for text in figure.texts)


def test_the_plane_is_the_mean_over_seeds_of_the_first_loss():
    result = made()
    table = PLANE.table(result, y="optimizer")
    assert list(table.columns[:2]) == ["optimizer", "lr"]
    mean = result.dataset.train_loss.mean("seed").isel(width=0)
    for _, row in table.iterrows():
        expected = float(mean.sel(lr=row["lr"], optimizer=row["optimizer"]))
        assert row["train_loss"] == pytest.approx(expected)
    assert set(table["width"]) == {32}
    assert table["optimizer"].drop_duplicates().tolist() == AXES["optimizer"]
    figure = PLANE.draw(table)
    assert (figure.axes[0].get_xscale(), figure.axes[0].get_yscale()) == ("log", "linear")


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
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "linear")
    names = CURVES.draw(CURVES.table(made(), x="optimizer", by="lr")).axes[0]
    assert [label.get_text() for label in names.get_xticklabels()] == AXES["optimizer"]


def test_dead_and_unfinished_cells_are_marked():
    every = slice(None)
    result = made(dead=[(0, 0, 0, every), (1, 1, 0, 0)], unfinished=[(2, 2, 0, 1)])
    table = PLANE.table(result, y="optimizer")
    assert table["died"].tolist().count(3) == table["died"].tolist().count(1) == 1
    figure = PLANE.draw(table)
    assert len(gid(figure, "unfinished")) == 1
    assert len(gid(figure, "some-died")[0].get_xdata()) == 1
    assert {"all seeds died", "some seeds died", "not trained to the end"} <= set(texts(figure))
    curves = CURVES.draw(CURVES.table(result))
    (rings,) = gid(curves, "unfinished")
    assert rings.get_markersize() == RING["ms"]
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


def test_axes_of_numbers_come_first_and_those_of_most_values_before_them():
    result = made()
    plane = PLANE.table(result).attrs
    assert (plane["x"], plane["y"]) == ("lr", "width")
    assert CURVES.table(result).attrs["x"] == "lr"
    assert CURVES.table(result).attrs["by"] == HISTORY.table(result).attrs["by"] == "optimizer"
    few = {"lr": [1e-3], "optimizer": "sgd"}
    assert CURVES.table(result, lr=[1e-3]).attrs["x"] == "width"
    assert CURVES.table(result, **few).attrs["by"] is None
    names = made(optimizer=["sgd", "adam"], seed=[0, 1])
    assert CURVES.table(names).attrs["x"] == "optimizer"
    assert PLANE.table(names).attrs["y"] == "seed"


def test_no_line_joins_values_that_have_names():
    table = CURVES.table(made(), x="optimizer", by="lr")
    (points,) = gid(CURVES.draw(table), "line:0.001")
    assert points.get_linestyle() == "None"
    (line,) = gid(CURVES.draw(CURVES.table(made())), "line:adam")
    assert line.get_linestyle() == "-"


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([2, 4, 8, 16], "log"),
        ([1, 2, 5], "log"),
        ([8, 1000], "log"),
        ([2, 4, 6, 8], "linear"),
        ([2, 3, 4], "linear"),
        ([0, 1, 2, 4], "linear"),
        ([0, 8, 80, 800], "log"),
        ([0, 10, 100], "log"),
        ([*range(16)], "linear"),
        ([2, 4], "linear"),
    ],
)
def test_geometric_values_have_a_logarithmic_axis(values, scale):
    result = made(width=values, seed=[0, 1])
    assert CURVES.draw(CURVES.table(result)).axes[0].get_xscale() == scale
    plane = PLANE.draw(PLANE.table(result, y="seed"))
    assert plane.axes[0].get_xscale() == scale
    (line,) = gid(CURVES.draw(CURVES.table(result)), "line:")
    rising = np.diff(np.log(line.get_xdata()) if scale == "log" else line.get_xdata())
    if values[0] == 0 and scale == "log":
        np.testing.assert_allclose(rising, rising[-1])  # 0 is one step to the left
        assert plane.axes[0].get_xticklabels()[0].get_text() == "0"


def test_the_caption_of_curves_bounds_what_is_drawn_and_says_where():
    result = made(optimizer=["sgd", "adam"], lr=[1e-3, 1e-2, 1e-1], width=[8, 16], seed=[0, 1, 2])
    table = CURVES.table(result, width=16)
    caption = CURVES.draw(table).texts[2].get_text().replace("\n", " ").replace(NBSP, " ")
    low, high = (f"{number:.3g}" for number in (table["min"].min(), table["max"].max()))
    assert low != f"{table['median'].min():.3g}"
    assert f"from {low} at lr = 0.1, optimizer = adam to {high} at lr = 0.001, " in caption
    assert "one value: width = 16." in caption
    alone = CURVES.draw(CURVES.table(result, seed=1)).texts[2].get_text().replace(NBSP, " ")
    assert alone.replace("\n", " ").endswith("one value: width = 8, seed = 1.")
    for spec in (PLANE, HISTORY):
        text = spec.draw(spec.table(result, optimizer="adam", width=8)).texts[2].get_text()
        assert "8." in text.replace(NBSP, " ").partition("one value: ")[2]


def stopped():
    """Two seeds at two lr: a rule stopped all but one of them, between recorded steps."""
    result = made(lr=[0.1, 0.2], seed=[0, 1])
    updates = np.array([[15, 55], [7, 1000]])
    history = result.dataset["history_train_loss"]
    dims = ("lr", "seed")
    result.dataset = result.dataset.assign(
        updates=(dims, updates),
        ended=(dims, np.where(updates < 1000, 0, -1)),
        train_loss=(dims, np.array([[0.5, 0.25], [0.125, 1.0]])),
        history_train_loss=history.where(history.step <= xr.DataArray(updates, dims=dims)),
    )
    return result


def test_a_line_ends_where_its_run_was_stopped():
    table = HISTORY.table(stopped(), "train_loss", by="lr", seed=0)
    first = table[table["lr"] == 0.1]
    assert first["step"].tolist() == [0, 1, 10, 15]
    assert first["median"].iloc[-1] == 0.5
    second = table[table["lr"] == 0.2]
    assert (second["step"].iloc[-1], second["median"].iloc[-1]) == (7, 0.125)
    line, *_ = gid(HISTORY.draw(table), "line")
    assert line.get_xydata()[-1].tolist() == [15, 0.5]


def test_a_stopped_run_keeps_its_last_number_while_others_train():
    table = HISTORY.table(stopped(), "train_loss", by="lr")
    first = table[table["lr"] == 0.1]
    assert first["step"].tolist() == [0, 1, 10, 55]
    assert (first["min"].iloc[-1], first["max"].iloc[-1]) == (0.25, 0.5)
    second = table[table["lr"] == 0.2].set_index("step")
    assert second.index.tolist() == [0, 1, 10, 100, 1000]
    assert (second["min"][[10, 100]] == 0.125).all()
    assert "keeps its last number" in HISTORY.draw(table).texts[2].get_text().replace("\n", " ")


def test_what_is_not_trained_to_its_end_has_no_end():
    result = stopped()
    result.dataset["verdict"][0, 0] = UNFINISHED
    table = HISTORY.table(result, "train_loss", by="lr", seed=0)
    assert table.loc[table["lr"] == 0.1, "step"].max() == 10


def test_train_comes_before_test_and_both_share_range_and_scale():
    result = made(lr=[0.1, 0.2], seed=[0, 1])
    test = {"history_test_loss": 100 * result.dataset["history_train_loss"]}
    result.dataset = xr.Dataset(test, attrs=result.dataset.attrs).merge(result.dataset)
    table = HISTORY.table(result)
    assert table["quantity"].unique().tolist() == ["train_loss", "test_loss", "accuracy"]
    train, test, accuracy = HISTORY.draw(table).axes[:3]
    assert train.get_ylim() == test.get_ylim() != accuracy.get_ylim()
    assert train.get_yscale() == test.get_yscale() == "log"
    assert train.get_ylim()[1] > table.loc[table["step"] > 0, "max"].max()
    assert accuracy.get_yscale() == "linear"


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
        ("plane", {"at": "lr"}, "no swept axis 'at'.* takes value=, x=, y= too"),
        ("history", {"at": "lr"}, "no swept axis 'at'.* takes value=, by= too"),
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


PUBLIC = [name for name in plots.__all__ if name not in ("FigureSpec", "dark", "draw", "save")]


@pytest.mark.parametrize("name", PUBLIC)
def test_every_figure_of_another_study_is_refused_by_name(name):
    result = made()
    result.dataset.attrs["study"] = "digits"
    figure = name.removesuffix("_table")
    if figure in choose.GENERIC:
        assert getattr(plots, name)(result) is not None
        return
    allowed = "odd_samples, plane, curves, history"
    with pytest.raises(UserError) as refused:
        getattr(plots, name)(result)
    assert (
        str(refused.value) == f"figure {figure}: unknown for the study digits; allowed: {allowed}"
    )


def test_a_generic_figure_stands_in_where_that_of_the_study_lacks_something():
    result = made(lr=[0.1, 0.2], T=[3, 5], m=[2, 3], seed=[0, 1])
    result.dataset.attrs["study"] = "double_descent"
    result.dataset["test_loss"] = 2 * result.dataset["train_loss"]
    assert set(plots.history_table(result)["quantity"]) == {"train_loss", "accuracy"}
    assert len(gid(plots.history(result), "line")) == 4
    assert "ridge" in plots.plane_table(result)
    assert "accuracy" in plots.plane_table(result, value="accuracy", x="lr")
    part = Result(result.dataset.isel(m=0, drop=True))
    assert list(plots.plane_table(part).columns[:2]) == ["T", "lr"]
    with pytest.raises(ValueError, match="takes value=, x=, y= too"):
        plots.plane(part, at="T")


def test_a_large_grid_stays_readable():
    many = np.geomspace(1e-4, 1, 120).round(9).tolist()
    result = made(lr=many, decay=many, unfinished=[(slice(None), slice(100, None))])
    plane = PLANE.draw(PLANE.table(result))
    assert len(plane.axes[0].texts) == 0
    ticks = [label.get_text() for label in plane.axes[0].get_xticklabels()]
    assert {"0.0001", "0.01", "1"} <= set(ticks)
    assert all(text.strip("0.e-") in {"1", "2", "5"} for text in ticks)
    assert len(gid(plane, "unfinished")) == 20  # one stretch a row of the map
    curves = CURVES.draw(CURVES.table(result))
    lines = curves.findobj(lambda artist: str(artist.get_gid()).startswith("line:"))
    assert len(lines) == 24
    assert {line.get_marker() for line in lines} == {""}
    (rings,) = gid(curves, "unfinished")
    assert rings.get_markersize() <= RING_WIDTH / 120
    for figure, drawn in ((curves, 24), (HISTORY.draw(HISTORY.table(result)), 8)):
        words = f"{drawn} of 120 values of "
        assert any(words in text.replace(NBSP, " ").replace("\n", " ") for text in texts(figure))
    assert CURVES.table(result, decay=many[:30])["decay"].nunique() == 30


def test_of_many_names_some_stand_at_an_axis():
    arms = [f"arm {i}" for i in range(40)]
    plane = PLANE.draw(PLANE.table(made(arm=arms, decay=[1.0, 2.0])))
    labels = [label.get_text() for label in plane.axes[0].get_yticklabels()]
    assert (labels[0], labels[-1], len(labels)) == ("arm 0", "arm 39", 14)


def test_a_wrong_value_of_a_long_axis_is_told_its_neighbours():
    result = made(lr=np.linspace(0, 1, 101).round(2).tolist(), decay=[1.0, 2.0])
    with pytest.raises(ValueError, match=r"101 values from 0 to 1; nearest: 0.33, 0.34$"):
        PLANE.table(result, lr=[0.334])
    with pytest.raises(ValueError, match=r"decay = \[\]: no value; allowed: one or more of 1, 2"):
        PLANE.table(result, decay=[])


def test_a_sweep_without_the_axes_of_a_study_s_figure_may_name_the_generic_one(tmp_path):
    sweep = Sweep(
        figures=["plane"],
        axes={"lr": [0.1, 0.2], "weight_decay": [0.1, 1]},
        cell={"T": 5, "m": 2, "steps": 10},
    )
    choose.check_figures(sweep, sweep.grid())
    result = made(lr=[0.1, 0.2], weight_decay=[0.1, 1.0])
    result.dataset.attrs |= {"study": "double_descent", "sweep": sweep.model_dump_json()}
    assert [path.name for path in choose.draw(result, tmp_path)] == ["plane.png", "plane.csv"]


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
