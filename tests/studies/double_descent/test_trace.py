"""What is kept along the training: dimensionalities and weights, and how often."""

import itertools
import signal

import numpy as np
import pytest

import superpos_jax as sp
from superpos_jax.engine.study import history_steps
from superpos_jax.engine.verdicts import UNFINISHED
from superpos_jax.errors import Interrupted
from superpos_jax.studies import geometry
from superpos_jax.studies.double_descent.data import draw

SWEEP = sp.Sweep(
    axes={"T": [4, 40], "m": [2], "steps": [30, 600], "lr": [1e-2, 1e30]},
    cell={"S": 0.9},
    options={
        "n": 20,
        "test_samples": 20,
        "report_samples": 10,
        "history_points": 7,
        "trace_dimensions": True,
        "trace_weights": True,
    },
)

pytestmark = pytest.mark.unoptimized


def interrupt_at(step):
    """A progress callback that asks the run to stop once it is that far."""

    def progress(now):
        if now.doing == "training" and now.step >= step:
            signal.raise_signal(signal.SIGINT)

    return progress


@pytest.fixture(scope="module")
def result():
    return sp.run(SWEEP)


def test_the_last_entry_is_the_end(result):
    dataset = result.dataset.sel(lr=1e-2)
    assert dataset.step.values.tolist() == sorted({*history_steps(30, 7), *history_steps(600, 7)})
    for steps in (30, 600):
        for name in ("feature_dimensionality", "sample_dimensionality", "W"):
            final = dataset[name].sel(steps=steps)
            history = dataset[f"history_{name}"].sel(steps=steps)
            np.testing.assert_array_equal(history.sel(step=steps), final)
            own = history.step.isin(history_steps(steps, 7))
            some = np.isfinite(history).any([d for d in history.dims if d != "step"])
            np.testing.assert_array_equal(some, own)


def test_dimensionalities_are_those_of_the_weights_on_the_way(result):
    history = result.dataset.sel(T=40, m=2, steps=600, lr=1e-2)
    for step in history_steps(600, 7):
        W = history.history_W.sel(step=step)
        D_f = history.history_feature_dimensionality.sel(step=step)
        np.testing.assert_allclose(D_f, geometry.dimensionality(W.values.T), rtol=1e-5)
    cell = result.cell(T=40, m=2, steps=600, lr=1e-2)
    np.testing.assert_allclose(history.sample_dimensionality, cell.D_X[:10], rtol=1e-5)
    np.testing.assert_array_equal(W, cell.W)
    assert cell.D_max.sum() == pytest.approx(2)


def test_without_a_repeated_sample_there_is_no_rank(result):
    assert (result.dataset.repeated_rank == -1).all()


def test_a_dead_cell_has_a_history_until_its_death(result):
    dead = result.dataset.sel(lr=1e30, steps=600, T=40, m=2)
    assert dead.verdict == 1
    alive = np.isfinite(dead.history_feature_dimensionality).any("feature")
    assert alive.sel(step=0)
    assert not alive.sel(step=600)


def test_an_interrupted_run_keeps_it(result, tmp_path):
    with pytest.raises(Interrupted):
        sp.run(SWEEP, out=tmp_path, progress=interrupt_at(100))
    continued = sp.run(SWEEP, out=tmp_path).dataset
    assert continued.drop_attrs(deep=False).identical(result.dataset.drop_attrs(deep=False))
    again = sp.load(tmp_path).dataset
    assert again.drop_attrs(deep=False).identical(result.dataset.drop_attrs(deep=False))


def test_hidden_vectors_and_the_rank_of_repeated_samples():
    sweep = sp.Sweep(
        axes={"T": [4, 40], "repeats": [1, 9]},
        cell={"S": 0.9, "steps": 300, "repeated": 2, "lr": 1e-2},
        options={"n": 20, "test_samples": 20, "report_samples": 10, "save_hidden": True},
    )
    result = sp.run(sweep)
    for T, repeats in itertools.product((4, 40), (1, 9)):
        cell = result.cell(T=T, repeats=repeats)
        at = result.dataset.sel(T=T, repeats=repeats)
        np.testing.assert_array_equal(at.H.dropna("sample"), cell.H[:10])
        larger = [(cell.D_X > D).sum() for D in cell.D_X[:2]]
        assert at.repeated_rank == max(larger)


def test_some_cells_of_an_interrupted_run_go_on_alone(result, tmp_path):
    """What they traced so far has the room of the larger cells that trained beside them."""

    with pytest.raises(Interrupted):
        sp.run(SWEEP, out=tmp_path, progress=interrupt_at(100))
    small = SWEEP.model_copy(update={"axes": {**SWEEP.axes, "T": (4,)}})
    seen = []
    continued = sp.run(small, out=tmp_path, progress=seen.append).dataset
    assert next(now.step for now in seen if now.doing == "training") > 100
    alone = result.dataset.sel(T=[4])
    for name in continued.data_vars:
        mine = continued[name]
        own = alone[name][tuple(map(slice, mine.shape))]  # without the room of the larger cells
        np.testing.assert_array_equal(mine, own, err_msg=name)


def test_what_predicting_zero_scores_is_known_before_a_cell_is_trained(tmp_path):
    sweep = sp.Sweep(
        axes={"loss": ["absolute", "squared"]}, cell={"S": 0.9, "T": 5}, options={"n": 40}
    )
    with pytest.raises(Interrupted):
        sp.run(sweep, out=tmp_path, progress=interrupt_at(1))
    now = sp.load(tmp_path)
    assert now.count(UNFINISHED) == 2
    x = draw(sweep.grid().study.datasets(sweep.grid().cells[0])["test"].key, 2000).dense(40)
    np.testing.assert_allclose(now.dataset.zero_test_loss, [np.abs(x).sum() / 2000, 1], rtol=0.02)
