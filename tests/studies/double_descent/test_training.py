"""The engine against the oracle: whole trainings, in float32 and in float64.

Rounding moves the weights apart by at most 1.5e-5 over these trainings (measured; the losses by
3e-6), since the steps are few and Adam's eps is not negligible beside gradients that vanish. One
per cent more of the learning rate moves them by 2e-4 or more, and every other mistake tried, by
more than that.
"""

import functools
import itertools
from dataclasses import replace
from typing import Any

import jax
import numpy as np
import oracle
import pytest

import superpos_jax as sp
from superpos_jax.engine.study import history_steps
from superpos_jax.studies.double_descent import DoubleDescent, data
from superpos_jax.studies.double_descent.cell import Cell, Options

WEIGHTS, LOSSES = 1e-4, 2e-5

SWEEPS: dict[str, dict[str, Any]] = {
    # samples with their zeros: one block or several, with rows that are padded
    "dense": {
        "arms": {f"{T}_{m}": {"T": T, "m": m} for T, m in [(1, 1), (33, 3), (200, 2)]},
        "axes": {"reduction": ["sum", "mean"]},
        "cell": {"S": 0.5, "steps": 60, "lr": 3e-3, "eps": 1e-6},
        "options": {"n": 12, "test_samples": 40, "test_draws": 2},
    },
    # one sample; not a multiple of a block's rows; blocks of 256 rows instead of 32;
    # m = 1 and m > n; no sparsity; nearly nothing but all-zero samples
    "odd": {
        "study": "nonzeros:Sparse",
        # large and small T with large and small S and m; four layouts
        "arms": {
            f"{T}_{S}": {"T": T, "S": S, "m": m}
            for T, S, m in [
                (400, 0.0, 1),
                (400, 0.8, 17),
                (33, 0.8, 1),
                (1, 0.8, 1),
                (33, 0.995, 17),
                (1, 0.995, 17),
            ]
        },
        "axes": {"reduction": ["sum", "mean"]},
        "cell": {"steps": 120, "lr": 3e-3, "eps": 1e-6, "seed": 3},
        "options": {"n": 12, "test_samples": 40, "test_draws": 3},
    },
    # the two eps differ by n = 20, so that the mean with one is the sum with the other
    "hyper": {
        "study": "nonzeros:Sparse",
        "axes": {
            "eps": [1e-3, 2e-2],
            "weight_decay": [0.0, 0.5],
            "lr": [3e-3, 1e-2],
            "steps": [60, 113],
            "reduction": ["sum", "mean"],
        },
        "cell": {"T": 20, "m": 3, "S": 0.8},
        "options": {"n": 20, "test_samples": 40},
    },
    # every part of the kernel that is off by default, on samples that are repeated
    "forms": {
        "study": "nonzeros:Sparse",
        "arms": {"untied": {"untied": 1}, "fourth": {"loss": "fourth"}},
        "cell": {
            "T": 9,
            "m": 3,
            "S": 0.8,
            "relu": 1,
            "steps": 60,
            "lr": 3e-3,
            "eps": 1e-4,
            "repeated": 2,
            "repeats": 5,
        },
        "options": {"n": 20, "test_samples": 40, "test_draws": 3},
    },
    # features in two tiles
    "seeds": {
        "axes": {"seed": [3, 9], "data_seed": [3, 4], "init_seed": [3, 4]},
        "cell": {"T": 35, "m": 2, "S": 0.99, "steps": 100, "lr": 3e-3},
        "options": {"n": 1_040, "test_samples": 40},
    },
}


class Run:
    """A trained sweep beside the oracle's training of each of its cells."""

    def __init__(self, sweep: sp.Sweep) -> None:
        self.result = sp.run(sweep)
        self.n, self.draws = sweep.options["n"], sweep.options.get("test_draws", 1)
        grid = sweep.grid()
        self.points, self.cells = list(grid.points()), grid.cells
        self.inspected = [self.result.cell(**point) for point in self.points]
        self.expected = [
            oracle.train(
                inspected.X, inspected.W0, inspected.b0, *([inspected.V0] if cell.untied else []),
                steps=cell.steps, lr=cell.lr, weight_decay=cell.weight_decay, eps=cell.eps,
                reduction=cell.reduction, power=cell.loss, relu=bool(cell.relu),
            )
            for cell, inspected in zip(self.cells, self.inspected, strict=True)
        ]  # fmt: skip

    def at(self, i: int) -> Any:
        return self.result.dataset.sel(self.points[i])


@functools.cache
def trained(name: str) -> Run:
    return Run(sp.Sweep(**SWEEPS[name]))


AS_USERS = ("odd",)
"""The sweep of most layouts is compiled as for users; of others the formulas are judged."""

every_sweep = pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in AS_USERS else pytest.mark.unoptimized)
        for name in SWEEPS
    ],
)


@every_sweep
def test_weights(name):
    run = trained(name)
    assert (run.result.dataset.verdict == 0).all()
    for point, inspected, expected in zip(run.points, run.inspected, run.expected, strict=True):
        np.testing.assert_allclose(
            inspected.W, expected.W, rtol=0, atol=WEIGHTS, err_msg=str(point)
        )
        np.testing.assert_allclose(
            inspected.b, expected.b, rtol=0, atol=WEIGHTS, err_msg=str(point)
        )
        if expected.V is not None:
            np.testing.assert_allclose(
                inspected.V, expected.V, rtol=0, atol=WEIGHTS, err_msg=str(point)
            )
            assert np.abs(inspected.V - inspected.W).max() > 0.1


@every_sweep
def test_history(name):
    """Recorded losses are those of the cell's own steps; what other cells record is missing."""
    run = trained(name)
    recorded = run.result.dataset.step.values
    assert recorded[0] == 0
    for i, (point, cell) in enumerate(zip(run.points, run.cells, strict=True)):
        steps = list(history_steps(cell.steps))
        assert steps[-1] == cell.steps
        losses = run.expected[i].losses[steps]
        history = run.at(i).history_train_loss
        np.testing.assert_allclose(
            history.sel(step=steps), losses, rtol=LOSSES, atol=LOSSES, err_msg=str(point)
        )
        assert np.isnan(history.drop_sel(step=steps)).all()
        np.testing.assert_allclose(run.at(i).train_loss, losses[-1], rtol=LOSSES, atol=LOSSES)


@every_sweep
def test_held_out_loss_and_norms(name):
    run = trained(name)
    for i, (cell, expected) in enumerate(zip(run.cells, run.expected, strict=True)):
        stream = data.Stream(int(cell.data_key), run.n, cell.S, "test")
        held_out = data.draw(stream, 40 * run.draws).dense(run.n)
        form = {"power": cell.loss, "relu": bool(cell.relu)}
        losses = [
            oracle.loss_and_grad(draw, expected.W, expected.b, expected.V, **form)[0]
            for draw in held_out.reshape(run.draws, 40, run.n)
        ]
        at = run.at(i)
        np.testing.assert_allclose(at.test_loss, np.mean(losses), rtol=1e-4, atol=1e-4)
        if run.draws > 1:
            error = np.std(losses, ddof=1) / run.draws**0.5
            np.testing.assert_allclose(at.test_loss_error, error, rtol=1e-3, atol=1e-4)
        for norm, weights in (("W_norm", expected.W), ("b_norm", expected.b)):
            np.testing.assert_allclose(at[norm], np.linalg.norm(weights), rtol=1e-4, atol=1e-4)
            history = at[f"history_{norm}"].dropna("step")
            np.testing.assert_allclose(history[-1], at[norm])
        last = at.history_test_loss.dropna("step")[-1]
        np.testing.assert_allclose(last, losses[0], rtol=1e-4, atol=1e-4)


@pytest.mark.unoptimized
def test_test_loss_on_samples_of_choice():
    """By the definition, on the samples that the result's own loss is measured on."""
    run = trained("forms")
    for i, inspected in enumerate(run.inspected):
        loss, error = inspected.test_loss(40 * run.draws)
        np.testing.assert_allclose(loss, run.at(i).test_loss, rtol=1e-5)
        more, smaller = inspected.test_loss(100 * 40 * run.draws)
        assert abs(more - loss) < 5 * error
        assert 0 < smaller < error / 5
    with pytest.raises(sp.UserError, match="samples = 1; allowed: 2 or more"):
        run.inspected[0].test_loss(1)


@every_sweep
def test_inspected_cell(name):
    run = trained(name)
    for cell, inspected in zip(run.cells, run.inspected, strict=True):
        m, n = cell.m, run.n
        shapes = {
            "X": (cell.rows, n),
            "W": (m, n),
            "b": (n,),
            "H": (cell.T, m),
            "W0": (m, n),
            "b0": (n,),
        }
        assert {name: getattr(inspected, name).shape for name in shapes} == shapes
        norms = np.linalg.norm(inspected.X, axis=1)
        np.testing.assert_allclose(norms, (inspected.X > 0).any(axis=1), atol=1e-6)
        repeated = min(cell.repeated, cell.T) * cell.repeats
        distinct = np.r_[0 : repeated : cell.repeats, repeated : cell.rows]
        H = inspected.X[distinct] @ inspected.W.T
        expected = np.maximum(H, 0) if cell.relu else H
        np.testing.assert_allclose(inspected.H, expected, rtol=1e-5, atol=1e-6)
        assert np.abs(inspected.W0).max() <= np.sqrt(6 / (m + n)) * (1 + 1e-6)
        assert np.abs(inspected.W0).max() > 0.5 * np.sqrt(6 / (m + n))
        assert (inspected.b0 == 0).all()
        assert (np.abs(inspected.V0 - inspected.W0).max() > 0.1) == cell.untied


def test_odd_cells_are_odd():
    run = trained("odd")
    X = {
        (cell.T, cell.S): inspected.X
        for cell, inspected in zip(run.cells, run.inspected, strict=True)
    }
    assert (X[400, 0.0] > 0).all()
    assert (X[1, 0.995] == 0).all()
    empty = (X[33, 0.8] == 0).all(axis=1)
    assert 0 < empty.sum() < 33
    study = run.result.sweep.grid().study
    assert {study.shapes(cell, "cpu").rows for cell in run.cells} == {32, 256}
    assert jax.device_count() >= 2


@pytest.mark.unoptimized
@pytest.mark.parametrize("axis", ["eps", "weight_decay", "lr", "steps", "reduction"])
def test_each_number_has_an_effect(axis):
    """Far beyond the tolerance: the comparison with the oracle would miss nothing."""
    run = trained("hyper")
    W = run.result.dataset.W
    low, high = (W.isel({axis: i}) for i in (0, 1))
    change = np.abs(low - high).max(["hidden", "feature"])
    assert (change > 10 * WEIGHTS).all()


@pytest.mark.unoptimized
def test_the_mean_with_eps_is_the_sum_with_n_times_eps():
    dataset = trained("hyper").result.dataset
    mean = dataset.sel(reduction=1.0, eps=1e-3)
    total = dataset.sel(reduction=0.0, eps=1e-3 * 20)
    np.testing.assert_allclose(mean.W, total.W, rtol=0, atol=1e-5)
    np.testing.assert_allclose(mean.b, total.b, rtol=0, atol=1e-5)
    np.testing.assert_allclose(mean.test_loss, total.test_loss, rtol=1e-5)


@pytest.mark.unoptimized
def test_data_and_initial_weights_have_seeds_of_their_own():
    run = trained("seeds")
    X = {c.data_seed: inspected.X for c, inspected in zip(run.cells, run.inspected, strict=True)}
    W0 = {c.init_seed: inspected.W0 for c, inspected in zip(run.cells, run.inspected, strict=True)}
    for seed, draw in X.items():
        np.testing.assert_array_equal(
            draw, data.draw(data.Stream(seed, run.n, 0.99, "train"), 35).dense(run.n)
        )
    assert (X[3] != X[4]).any()
    assert (W0[3] != W0[4]).any()
    for cell, inspected in zip(run.cells, run.inspected, strict=True):
        np.testing.assert_array_equal(inspected.X, X[cell.data_seed])
        np.testing.assert_array_equal(inspected.W0, W0[cell.init_seed])
    W = run.result.dataset.W
    np.testing.assert_array_equal(W.sel(seed=3), W.sel(seed=9))  # it seeds nothing that is left


def test_one_seed_seeds_both():
    both = Cell(seed=5)
    assert (int(both.data_key), int(both.init_key)) == (5, 5)
    apart = Cell(seed=5, data_seed=0, init_seed=7)
    assert (int(apart.data_key), int(apart.init_key)) == (0, 7)


@pytest.mark.parametrize("m", [1, 9, 30])
def test_initial_weights(m):
    """Uniform within Xavier's bound of the cell's own m and n, the same on every platform."""
    n = 2_000
    study = DoubleDescent(Options(n=n))
    cell = Cell(m=m)
    shapes = study.shapes(cell, "cpu")
    params = study.init(cell, shapes)
    assert params.W.shape == (shapes.size.hidden, shapes.size.tiles * shapes.size.columns)
    W, b, V = study.crop(cell, params)
    assert V is W
    assert np.count_nonzero(params.W) == np.count_nonzero(W)
    assert not params.b.any()
    assert W.shape == (m, n)
    assert b.shape == (n,)
    ordered = np.sort(W.ravel() / np.sqrt(6 / (m + n)))
    uniform = np.linspace(-1, 1, ordered.size)
    assert np.abs(ordered - uniform).max() * np.sqrt(ordered.size) < 2 * 1.95
    assert np.abs(ordered).max() <= 1 + 1e-6
    for row, other in itertools.combinations(W[:5], 2):
        assert abs(np.corrcoef(row, other)[0, 1]) < 4 / np.sqrt(n)
    accelerator = study.init(cell, study.shapes(cell, "gpu"))
    np.testing.assert_array_equal(study.crop(cell, accelerator)[0], W)
    for other in (replace(cell, seed=1), replace(cell, m=m + 1)):
        other_W, *_ = study.crop(other, study.init(other, study.shapes(other, "cpu")))
        assert abs(np.corrcoef(other_W[0], W[0])[0, 1]) < 4 / np.sqrt(n)


def test_no_reported_loss_is_negative():
    """A memorized cell's loss is a difference of nearly equal sums."""
    sweep = sp.Sweep(
        axes={"T": [1, 2, 3], "seed": range(3)},
        cell={"m": 17, "steps": 300, "lr": 1e-2, "reduction": "sum", "S": 0.8, "weight_decay": 0.0},
        options={"n": 12, "test_samples": 20},
    )
    losses = sp.run(sweep).dataset.history_train_loss
    assert losses.min() >= 0
    assert losses.isel(step=-1).min() < 1e-5
