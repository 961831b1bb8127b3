"""The figures of the study, of results whose numbers are known beforehand."""

import json

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

import superpos_jax as sp
from superpos_jax.engine.verdicts import FINISHED
from superpos_jax.studies.grokking.figures import FIGURES, decay_map_table, first_times_table
from superpos_jax.studies.grokking.figures.accuracy import accuracy_table
from superpos_jax.studies.grokking.figures.along import split
from superpos_jax.studies.grokking.losses import LOSSES

STEPS = np.array([0, 1, 10, 100])
HISTORIES = (
    "train_accuracy", "test_accuracy", "train_collapsed", "train_loss", "norm", "norm_W1",
    "norm_out", "gradient_cosine", "gradient_cosine_W1", "gradient_cosine_out", "update_cosine",
    "update_cosine_W1", "update_cosine_out",
)  # fmt: skip


class Made:
    """A result with made-up numbers: histories 0.2 to 0.8, first times 10, 20 and so on."""

    name = "made"

    def __init__(self, **axes):
        dims, shape = tuple(axes), tuple(len(values) for values in axes.values())
        rising = np.broadcast_to([0.2, 0.4, 0.6, 0.8], (*shape, len(STEPS)))
        variables = {f"history_{name}": ((*dims, "step"), rising.copy()) for name in HISTORIES}
        times = 10.0 + 10 * np.arange(np.prod(shape)).reshape(shape)
        for name in ("t_fit", "t_gen", "t_sc"):
            variables[name] = (dims, times.copy())
        variables["verdict"] = (dims, np.full(shape, FINISHED))
        sweep = {"study": "grokking", "cell": json.dumps({"depth": 2}), "options": "{}"}
        self.dataset = xr.Dataset(variables, {**axes, "step": STEPS}, sweep)


ARMS = {"arm": ["ce", "perp"], "seed": [0, 1, 2]}
MAP = {
    "perp": ["none", "tensor"], "lr": [0.01, 0.1], "weight_decay": [0.0, 1.0, 3.0],
    "seed": [0, 1, 2],
}  # fmt: skip


@pytest.mark.parametrize("name", ["accuracy", "collapse", "alignment", "first_times"])
@pytest.mark.parametrize(
    "axes",
    [ARMS, ARMS | {"fraction": [0.5, 0.7]}, {"seed": [0]}, {"t": [11, 24], "fraction": [0.5, 0.6]}],
    ids=["arms", "arms and fractions", "one cell", "no seeds"],
)
def test_figures_of_training(name, axes):
    result = Made(**axes)
    spec = FIGURES[name]
    assert spec.applies(result.dataset) is None
    table = spec.table(result)
    assert len(table)
    figure = spec.draw(table)
    assert isinstance(figure, Figure)
    figure.canvas.draw()


def test_a_tensor_that_only_some_networks_have_is_drawn_where_it_is():
    result = Made(width=[50, 100], seed=[0, 1])
    recorded = result.dataset["history_norm_W1"]
    result.dataset["history_norm_W2"] = recorded.where(recorded["width"] > 50)
    table = FIGURES["alignment"].table(result)
    assert set(table.loc[table["quantity"] == "norm_W2", "width"]) == {100}
    FIGURES["alignment"].draw(table).canvas.draw()


def test_axes_of_panels_and_lines():
    of = {"arms": ARMS, "both": ARMS | {"t": [11, 24]}, "bits": {"t": [11, 24], "lr": [1, 2, 3]}}
    chosen = {name: split(Made(**axes).dataset, {}) for name, axes in of.items()}
    assert chosen == {"arms": ("arm", None), "both": ("t", "arm"), "bits": ("lr", "t")}


def test_accuracy_is_summarised_over_seeds():
    result = Made(**ARMS)
    result.dataset["history_test_accuracy"][{"arm": 1, "step": 3}] = [0.1, 0.5, 0.9]
    table = accuracy_table(result)
    last = table[(table["quantity"] == "test_accuracy") & (table["step"] == 100)]
    assert last["median"].tolist() == [0.8, 0.5]
    assert last[["min", "max"]].to_numpy().tolist() == [[0.8, 0.8], [0.1, 0.9]]
    assert last["runs"].tolist() == [3, 3]


def test_first_times_have_a_row_a_seed():
    result = Made(**ARMS)
    result.dataset["t_gen"][{"arm": 0, "seed": 1}] = np.nan
    table = first_times_table(result)
    assert table["t_fit"].tolist() == [10, 20, 30, 40, 50, 60]
    assert table["t_gen"].isna().tolist() == [False, True, False, False, False, False]
    figure = FIGURES["first_times"].draw(table)
    counts = [text.get_text() for text in figure.axes[0].texts]
    assert counts == ["fit   gen.   coll.", "3/3   2/3   3/3", "3/3   3/3   3/3"]


def test_few_decades_of_first_times_have_ticks_between_round_ones():
    axes = FIGURES["first_times"].draw(first_times_table(Made(**ARMS))).axes[0]
    assert {20, 30, 50, 70} <= set(axes.get_xticks())
    assert [label.get_text() for label in axes.get_yticklabels()] == ["cross-entropy", "perpGrad"]


def test_of_fractions_the_largest_is_drawn():
    result = Made(**ARMS | {"fraction": [0.4, 0.7, 0.6]})
    for name in ("collapse", "alignment"):
        assert set(FIGURES[name].table(result)["fraction"]) == {0.7}
    assert set(FIGURES["collapse"].table(result, fraction=0.4)["fraction"]) == {0.4}


def test_the_caption_of_alignment_has_no_negative_zero_and_tells_of_dropout():
    result = Made(**ARMS)
    result.dataset["history_update_cosine_out"][:] = -0.001
    result.dataset.attrs["cell"] = json.dumps({"depth": 2, "dropout": 0.1})
    figure = FIGURES["alignment"].draw(FIGURES["alignment"].table(result))
    caption = figure.texts[2].get_text().replace("\n", " ")
    assert "cross-entropy: 0.00; perpGrad: 0.00" in caption
    assert "under dropout" in caption
    result.dataset.attrs["cell"] = json.dumps({"depth": 2})
    plain = FIGURES["alignment"].draw(FIGURES["alignment"].table(result))
    assert "dropout" not in plain.texts[2].get_text()


def test_a_map_of_weight_decay_counts_a_seed_that_never_generalizes_as_infinite():
    result = Made(**MAP)
    result.dataset["t_gen"][{"perp": 0, "lr": 0, "weight_decay": 0}] = [np.nan, np.nan, 50]
    result.dataset["t_gen"][{"perp": 0, "lr": 0, "weight_decay": 1}] = [np.nan, 60, 50]
    table = decay_map_table(result)
    first, second, third = table["t_gen"][:3]
    assert np.isnan(first)
    assert (second, third) == (60, 80)
    assert table["generalized"][:3].tolist() == [1, 2, 3]
    figure = FIGURES["decay_map"].draw(table)
    assert len([axes for axes in figure.axes if axes.get_title(loc="left")]) == 2


def test_a_map_needs_its_axes():
    assert "weight_decay" in FIGURES["decay_map"].applies(Made(**ARMS).dataset)
    with pytest.raises(ValueError, match="weight_decay"):
        decay_map_table(Made(**ARMS))


def test_another_studys_result_has_none_of_these():
    dataset = sp.load("figures/data/P6.zip").dataset
    assert all(figure.applies(dataset) for figure in FIGURES.values())


@pytest.mark.parametrize(
    ("stored", "words"),
    [
        (True, "Half collapsed, by step: cross-entropy at 20; perpGrad never."),
        (False, "Half collapsed, by step (recorded): cross-entropy at 10; perpGrad at 10."),
    ],
)
def test_the_caption_of_collapse_has_first_times_where_there_are_any(stored, words):
    result = Made(**ARMS)
    result.dataset["history_train_collapsed"][:] = [0.0, 0.4, 0.6, 0.7]
    result.dataset["t_sc"][{"arm": 1, "seed": [0, 1]}] = np.nan  # most seeds: the median is never
    if not stored:
        result.dataset = result.dataset.drop_vars("t_sc")
    figure = FIGURES["collapse"].draw(FIGURES["collapse"].table(result))
    assert words in figure.texts[2].get_text().replace("\n", " ")


def test_first_times_of_a_squared_error_have_no_collapse():
    result = Made(**ARMS)
    result.dataset.attrs["cell"] = json.dumps({"depth": 2, "loss": LOSSES.index("mse")})
    figure = FIGURES["first_times"].draw(first_times_table(result))
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == ["fit   gen.", "3/3   3/3", "3/3   3/3"]
    assert "collapse" not in figure.texts[2].get_text()


def test_the_setting_says_what_arms_set():
    result = Made(**ARMS)
    arms = {"ce": {}, "perp": {"perp": "tensor", "lr": 10}}
    result.dataset.attrs["sweep"] = json.dumps({"arms": arms})
    setting = accuracy_table(result).attrs["setting"].replace("\xa0", " ")
    assert setting.endswith("; perpGrad: perp = tensor, learning rate = 10")
