"""The study: its training against plain numpy, its stop rules, and what it is for."""

import numpy as np
import pytest

import superpos_jax as sp
from superpos_jax.engine import batches
from superpos_jax.engine.verdicts import DIVERGED, FINISHED, NON_FINITE
from superpos_jax.studies.large_lr import metrics
from superpos_jax.studies.large_lr.cell import Numbers
from superpos_jax.studies.large_lr.network import layers, outputs, trimmed
from superpos_jax.studies.large_lr.study import STUDY

SEEDS = range(8)
STUDY_OF = STUDY(STUDY.Options())


@pytest.fixture(scope="module")
def acceptance():
    """Low and high learning rates with and without a spurious cue, and one that diverges."""
    axes = {"lr": [0.1, 2.0, 8.0], "rho": [0.5, 0.95], "seed": SEEDS}
    return sp.run(sp.Sweep(study="large_lr", axes=axes)).dataset


def trained(dataset, name, **point):
    return dataset[name].where(dataset["verdict"] == FINISHED).sel(point).values


def test_without_a_spurious_cue_every_stable_rate_solves_the_task(acceptance):
    accuracy = trained(acceptance, "unbiased_accuracy", rho=0.5)
    for lr in (0, 1):
        assert np.nanmean(accuracy[lr]) >= 0.98


def test_a_large_rate_is_robust_to_the_cue_and_compressible(acceptance):
    low, high = (acceptance.sel(rho=0.95, lr=lr) for lr in (0.1, 2.0))
    gain = high["unbiased_accuracy"] - low["unbiased_accuracy"]
    assert float(gain.mean()) >= 0.10
    for name in ("compressibility", "core_use"):
        assert int((high[name] > low[name]).sum()) >= 7
    assert float(high["phi"].mean()) >= 1.5 * float(low["phi"].mean())


def test_far_too_large_rates_diverge_and_say_so(acceptance):
    far = acceptance["verdict"].sel(lr=8.0)
    assert np.isin(far, (DIVERGED, NON_FINITE)).all()
    rest = acceptance.sel(lr=[0.1, 2.0])
    assert (rest["verdict"] == FINISHED).all()
    for name in ("unbiased_accuracy", "compressibility", "core_use", "train_loss", "phi"):
        assert np.isfinite(rest[name]).all()


def test_a_cell_stops_at_equal_fit(acceptance):
    rest = acceptance.sel(lr=[0.1, 2.0])
    assert (rest["converged"] == 1).all()
    assert (rest["train_loss"] < 0.01).all()
    assert (rest["train_accuracy"] == 1).all()
    assert (rest["steps_to_stop"] % 10 == 0).all()
    assert (rest["steps_to_stop"] < rest["step"].max()).all()
    assert (rest["steps_to_stop"].sel(lr=2.0) < rest["steps_to_stop"].sel(lr=0.1)).all()


def test_a_cell_alone_is_the_cell_in_the_grid():
    def run(lrs, seeds):
        axes = {"lr": lrs, "seed": seeds}
        sweep = sp.Sweep(study="large_lr", axes=axes, cell={"protocol": "fixed", "steps": 100})
        return sp.run(sweep).dataset.sel(lr=0.3, seed=1)

    alone, within = run([0.3], [1]), run([0.1, 0.3, 1.0], [0, 1, 2])
    for name in ("train_loss", "unbiased_accuracy", "compressibility", "core_use"):
        np.testing.assert_allclose(alone[name], within[name], rtol=0, atol=1e-4)


def oracle(cell, params, batch, steps):
    """SGD with momentum and both penalties, gradients by hand, float64; depth 1 or 2."""
    weights = [np.array(W, np.float64) for W in params.weights]
    biases = [np.array(b, np.float64) for b in params.biases]
    speed = [np.zeros_like(leaf) for leaf in (*weights, *biases)]
    for step in range(steps):
        index, _ = batches.choose("replace", cell.batch, cell.seed, step, cell.batch, cell.N)
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


@pytest.mark.parametrize("depth", [1, 2])
def test_training_is_what_numpy_gives(depth):
    values = {"lr": 0.2, "width": 12, "momentum": 0.5, "weight_decay": 1e-2, "l1": 1e-4, "seed": 3}
    values |= {"depth": depth, "N": 60, "steps": 40}
    cell = Numbers(**values)
    study = STUDY_OF
    axes = {"seed": [3]}
    del values["seed"]
    result = sp.run(sp.Sweep(study="large_lr", axes=axes, cell={**values, "protocol": "fixed"}))
    initial = study.init(cell, study.shapes(cell, "cpu"))
    params = trimmed(initial, cell.width)
    sets = study.datasets(cell)
    train, test = study.load(sets["train"]), study.load(sets["test"])
    expected = oracle(cell, params, train, 40)
    logits = outputs(expected, train.x)
    losses = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(cell.N), train.y]
    data = result.dataset.isel(seed=0)
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
    leaves = [STUDY_OF.init(cell, STUDY_OF.shapes(cell, "cpu")).weights[0] for cell in (low, high)]
    np.testing.assert_array_equal(*leaves)


@pytest.mark.parametrize("task", ["moons", "cues", "colored_digits", "double_digits"])
def test_every_task_trains_and_is_measured(task):
    cell = {"task": task, "steps": 20, "N": 64, "depth": 2, "width": 8, "optimizer": "adamw"}
    sweep = sp.Sweep(study="large_lr", axes={"lr": [0.001, 0.01]}, cell=cell)
    data = sp.run(sweep).dataset
    names = ("unbiased_accuracy", "worst_group_accuracy", "compressibility", "class_separation")
    for name in (*names, "zero_activations", "prunability", "unit_prunability"):
        assert np.isfinite(data[name]).all()
    assert np.isfinite(data["core_use"]).all() == (task != "colored_digits")
    assert np.isfinite(data["no_cue_accuracy"]).all() == (task == "cues")


def test_images_are_few():
    sweep = sp.Sweep(study="large_lr", cell={"task": "colored_digits", "N": 1001})
    with pytest.raises(sp.UserError, match="N = 1,001: colored_digits has 1,000 training images"):
        sp.run(sweep)
