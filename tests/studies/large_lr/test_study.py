"""The study: its training against plain numpy, its stop rules, and what it is for."""

import dataclasses
import itertools

import jax
import numpy as np
import pytest
from small_sweeps import CELL, KNOBS

import superpos_jax as sp
from superpos_jax.engine import batches
from superpos_jax.engine.verdicts import DIVERGED, FINISHED, NON_FINITE
from superpos_jax.studies.large_lr import metrics, network
from superpos_jax.studies.large_lr.cell import TASKS, Numbers
from superpos_jax.studies.large_lr.network import Params, layers, outputs, trimmed
from superpos_jax.studies.large_lr.report import measured
from superpos_jax.studies.large_lr.study import STUDY, masks

pytestmark = pytest.mark.unoptimized

SEEDS = {(0.1, 0.5): 2, (2.0, 0.5): 2, (0.1, 0.95): 8, (2.0, 0.95): 8, (8.0, 0.95): 2}
"""How many cells there are of a learning rate and a rho."""
STUDY_OF = STUDY(STUDY.Options())


@pytest.fixture(scope="module")
def acceptance():
    """Low and high learning rates with and without a spurious cue, and one that diverges."""
    arms = {
        f"{lr}_{rho}_{seed}": {"lr": lr, "rho": rho, "seed": seed}
        for (lr, rho), count in SEEDS.items()
        for seed in range(count)
    }
    dataset = sp.run(sp.Sweep(study="large_lr", arms=arms)).dataset
    return {
        (lr, rho): dataset.sel(arm=[f"{lr}_{rho}_{seed}" for seed in range(count)])
        for (lr, rho), count in SEEDS.items()
    }


def test_without_a_spurious_cue_every_stable_rate_solves_the_task(acceptance):
    for lr in (0.1, 2.0):
        assert float(acceptance[lr, 0.5]["unbiased_accuracy"].mean()) >= 0.98


def test_a_large_rate_is_robust_to_the_cue_and_compressible(acceptance):
    low, high = (acceptance[lr, 0.95].drop_vars("arm") for lr in (0.1, 2.0))
    gain = high["unbiased_accuracy"] - low["unbiased_accuracy"]
    assert float(gain.mean()) >= 0.10
    for name in ("compressibility", "core_use"):
        assert int((high[name] > low[name]).sum()) >= 7
    assert float(high["phi"].mean()) >= 1.5 * float(low["phi"].mean())


def test_far_too_large_rates_diverge_and_say_so(acceptance):
    for (lr, _), cells in acceptance.items():
        if lr == 8.0:
            assert np.isin(cells["verdict"], (DIVERGED, NON_FINITE)).all()
            assert (cells["verdict"] == DIVERGED).any()  # by its loss, before numbers overflow
            continue
        assert (cells["verdict"] == FINISHED).all()
        for name in ("unbiased_accuracy", "compressibility", "core_use", "train_loss", "phi"):
            assert np.isfinite(cells[name]).all()


def test_a_cell_stops_at_equal_fit(acceptance):
    for (lr, _), cells in acceptance.items():
        if lr == 8.0:
            continue
        assert (cells["converged"] == 1).all()
        assert (cells["train_loss"] < 0.01).all()
        assert (cells["train_accuracy"] == 1).all()
        assert (cells["steps_to_stop"] % 10 == 0).all()
        assert (cells["steps_to_stop"] < cells["step"].max()).all()
    for rho in (0.5, 0.95):
        low, high = (acceptance[lr, rho]["steps_to_stop"].values for lr in (0.1, 2.0))
        assert (high < low).all()


def test_a_cell_is_the_same_among_others(small_grid, small_arms):
    within = small_grid.dataset.sel(lr=0.1)
    for name in ("train_loss", "unbiased_accuracy", "compressibility", "core_use"):
        beside = small_arms.dataset[name].sel(arm="base")
        np.testing.assert_allclose(beside, within[name], rtol=0, atol=1e-4)


def oracle(cell, params, batch, steps):
    """SGD with momentum and both penalties, gradients by hand, float64; depth 1 or 2."""
    weights = [np.array(W, np.float64) for W in params.weights]
    biases = [np.array(b, np.float64) for b in params.biases]
    speed = [np.zeros_like(leaf) for leaf in (*weights, *biases)]
    for step in range(steps):
        index, _ = choose("replace", cell.batch, cell.seed, step, cell.batch, cell.N)
        x, y = batch.x[index].astype(float), batch.y[index]
        hidden = [x]
        for W, b in zip(weights, biases, strict=False):
            hidden.append(np.maximum(hidden[-1] @ W.T + b, 0))
        logits = hidden[-1] @ weights[-1].T
        p = np.exp(logits - logits.max(axis=1, keepdims=True))
        back = (p / p.sum(axis=1, keepdims=True) - np.eye(2)[y]) / len(y)
        by_weight, by_bias = [back.T @ hidden[-1]], []
        for layer in reversed(range(len(biases))):
            back = (back @ weights[layer + 1]) * (hidden[layer + 1] > 0)
            by_weight.insert(0, back.T @ hidden[layer])
            by_bias.insert(0, back.sum(axis=0))
        by_weight = [
            g + cell.weight_decay * W + cell.l1 * np.sign(W)
            for g, W in zip(by_weight, weights, strict=True)
        ]
        speed = [cell.momentum * v + g for v, g in zip(speed, by_weight + by_bias, strict=True)]
        for leaf, v in zip((*weights, *biases), speed, strict=True):
            leaf -= cell.lr * v
    return params._replace(weights=tuple(weights), biases=tuple(biases))


choose = jax.jit(batches.choose, static_argnums=(0, 1))


@pytest.mark.parametrize("arm", ["a", "c"])
def test_training_is_what_numpy_gives(small_arms, arm):
    values = CELL | KNOBS[arm] | {"rho": 0.95, "seed": 1, "protocol": 1}
    against_numpy(Numbers(**values), small_arms.dataset.sel(arm=arm, rho=0.95, seed=1))


def test_numpy_stops_where_a_cell_of_one_hidden_layer_does(acceptance):
    data = acceptance[2.0, 0.95].isel(arm=1)
    against_numpy(Numbers(lr=2.0, rho=0.95, seed=1, steps=int(data["steps_to_stop"])), data)


def against_numpy(cell, data):
    study = STUDY_OF
    kind = study.shapes(cell, "cpu").size
    initial = jax.jit(network.init, static_argnums=0)(kind, cell.width, jax.random.key(cell.seed))
    params = trimmed(initial, cell.width)
    sets = study.datasets(cell)
    train, test = study.load(sets["train"]), study.load(sets["test"])
    expected = oracle(cell, params, train, cell.steps)
    logits = outputs(expected, train.x)
    losses = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(cell.N), train.y]
    assert float(data["train_loss"]) == pytest.approx(losses.mean(), abs=1e-5)
    right = outputs(expected, test.x).argmax(axis=1) == test.y
    assert float(data["unbiased_accuracy"]) == pytest.approx(right.mean(), abs=2e-3)
    assert float(data["test_accuracy"]) == pytest.approx(float(data["unbiased_accuracy"]))
    z = layers(expected, test.x)[-1]
    assert float(data["class_separation"]) == pytest.approx(metrics.separation(z, test.y), abs=1e-4)
    flat = np.concatenate([W.ravel() for W in expected.weights])
    assert float(data["compressibility"]) == pytest.approx(metrics.compressibility(flat), abs=1e-4)
    against = train.s != train.y
    assert float(data["train_phi"]) == pytest.approx(losses[against].sum() / losses.sum(), abs=1e-4)


def test_the_learning_rate_changes_neither_data_nor_initial_weights():
    low, high = Numbers(lr=0.03, seed=5), Numbers(lr=3.0, seed=5)
    assert STUDY_OF.datasets(low) == STUDY_OF.datasets(high)
    shapes = STUDY_OF.shapes(low, "cpu")
    assert STUDY_OF.shapes(high, "cpu") == shapes

    @jax.jit
    def initial(lr):
        return STUDY_OF.init(dataclasses.replace(low, lr=lr), shapes).weights[0]

    np.testing.assert_array_equal(initial(low.lr), initial(high.lr))


FINITE = (
    "unbiased_accuracy", "worst_group_accuracy", "compressibility", "class_separation",
    "zero_activations", "prunability", "unit_prunability",
)  # fmt: skip
SMALL = {"steps": 20, "N": 64, "depth": 2, "width": 8}


@pytest.mark.unoptimized
def test_images_are_trained_with_adamw_and_measured():
    cell = SMALL | {"task": "colored_digits", "optimizer": "adamw", "depth": 1}
    sweep = sp.Sweep(study="large_lr", axes={"lr": [0.001, 0.01]}, cell=cell)
    data = sp.run(sweep).dataset
    for name in FINITE:
        assert np.isfinite(data[name]).all()
    assert (data["history_train_loss"].isel(step=0) > data["train_loss"]).all()
    assert np.isnan(data["core_use"]).all()


@pytest.mark.parametrize("task", ["moons", "cues", "double_digits"])
def test_every_task_fits_its_network_and_is_measured(task, rng):
    """A random network of the shape that the task asks for: training is the same for all tasks."""
    cell = Numbers(**SMALL | {"task": TASKS.index(task)})
    kind, sets = STUDY_OF.shapes(cell, "cpu").size, STUDY_OF.datasets(cell)
    sizes = [kind.inputs, *[kind.width] * kind.depth, kind.classes]
    weights = tuple(rng.standard_normal((o, i)) for i, o in itertools.pairwise(sizes))
    params = Params(weights, tuple(np.zeros(kind.width) for _ in range(kind.depth)))
    train = STUDY_OF.load(sets["train"])
    assert outputs(params, train.x).shape == (cell.N, kind.classes)
    assert set(train.y) == set(range(kind.classes))
    parts = {part: STUDY_OF.load(sets[part]) for part in ("validation", "test")}
    data = measured(params, kind.classes, parts, masks(cell))
    for name in (*FINITE, "core_use", "cue_use"):
        assert np.isfinite(data[name].values)
    assert np.isfinite(data["no_cue_accuracy"].values) == (task == "cues")


def test_images_are_few():
    sweep = sp.Sweep(study="large_lr", cell={"task": "colored_digits", "N": 1001})
    with pytest.raises(sp.UserError, match="N = 1,001: colored_digits has 1,000 training images"):
        sp.run(sweep)
