"""The study, trained: against a training in float64, its first times, its tasks."""

import float64
import jax
import numpy as np
import pytest

import superpos_jax as sp
from superpos_jax.studies.grokking import data, model

TINY = {"width": 12, "fraction": 0.6, "steps": 12, "lr": 0.01, "eps": 1e-8}
OPTIONS = {"p": 7, "look_every": 1}
BOTH = ("train_loss", "test_loss", "train_accuracy", "test_accuracy")


def train(axes=None, arms=None, options=None, **cell):
    """A sweep of tiny networks, trained."""
    sweep = sp.Sweep(
        study="grokking",
        axes=axes or {},
        arms=arms or {},
        cell=TINY | cell,
        options=OPTIONS | (options or {}),
    )
    return sp.run(sweep)


@pytest.fixture(scope="module")
def trained():
    """Losses, perpendicular gradients and depths, each beside a training in float64."""
    return train(
        {"depth": [1, 2], "seed": [3, 4]},
        {
            "exact": {"loss": "exact"},
            "perp": {"loss": "exact", "perp": "tensor", "weight_decay": 2.0},
            "stablemax": {"loss": "stablemax", "beta2": 0.999},
            "mse": {"loss": "mse"},
        },
        operation="mul",
    )


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("seed", [3, 4])
@pytest.mark.parametrize("arm", ["exact", "perp", "stablemax", "mse"])
def test_against_a_training_in_float64(trained, arm, depth, seed):
    own = trained.dataset.sel(arm=arm, depth=depth, seed=seed)
    params = model.mlp_init(jax.random.key(seed), 12, 16, depth, 14, 7, False)
    names = [*(f"W{i + 1}" for i in range(depth)), "out"]
    x, y = data.pairs(7, data.OPERATIONS.index("mul"), data.order(49, seed))
    ones = np.eye(7)[x].reshape(49, 14)
    count = int(0.6 * 49)
    loss = float64.LOSSES["exact" if arm == "perp" else arm]
    how = {"perp": {"perp": "tensor", "weight_decay": 2.0}, "stablemax": {"beta2": 0.999}}
    weights = float64.train(
        [np.array(params[name]) for name in names],
        ones[:count], y[:count], loss, 12, 0.01, **{"eps": 1e-8} | how.get(arm, {}),
    )  # fmt: skip
    for name, w in zip(names, weights, strict=True):
        assert float(own[f"norm_{name}"]) == pytest.approx(np.linalg.norm(w), rel=1e-3)
    z = ones
    for w in weights[:-1]:
        z = np.maximum(z @ w, 0)
    z = z @ weights[-1]
    losses, right = loss(z, y)[0], z.argmax(axis=1) == y
    expected = [losses[:count], losses[count:], right[:count], right[count:]]
    for name, values in zip(BOTH, expected, strict=True):
        assert float(own[name]) == pytest.approx(values.mean(), rel=2e-3)


def test_first_times_are_those_of_the_history():
    # So long, and so many points, that every step is recorded.
    result = train(
        {"seed": [0, 1], "t": [6, 120]}, lr=0.05, steps=60, options={"points": 3000}, width=32
    )
    dataset = result.dataset
    assert dataset["step"].values.tolist() == list(range(61))
    for name, quantity, limit in (
        ("t_fit", "train_accuracy", 0.99),
        ("t_gen", "test_accuracy", 0.95),
        ("t_sc", "train_collapsed", 0.5),
        ("t_sc_11", "train_sc_11", 0.5),
    ):
        history = dataset[f"history_{quantity}"].transpose("seed", "t", "step").values[..., 1:]
        reached = history >= limit
        expected = np.where(reached.any(axis=-1), reached.argmax(axis=-1) + 1, np.nan)
        np.testing.assert_array_equal(dataset[name].transpose("seed", "t"), expected)
    np.testing.assert_array_equal(dataset["delay"], dataset["t_gen"] / dataset["t_fit"])
    assert dataset["t_fit"].notnull().all()
    assert dataset["t_sc"].sel(t=6).notnull().all()
    assert dataset["t_sc"].sel(t=120).isnull().all()


def test_cosines_and_norms():
    final = train({"perp": ["none", "global"]}, lr=0.05, steps=40).dataset
    for name in ("gradient_cosine", "update_cosine"):
        for part in ("", "_W1", "_W2", "_out"):
            assert (abs(final[f"{name}{part}"]) <= 1 + 1e-6).all()
    squares = sum(final[f"norm_{name}"] ** 2 for name in ("W1", "W2", "out"))
    np.testing.assert_allclose(final["norm"], squares**0.5, rtol=1e-5)


def test_a_perpendicular_step_of_sgd_leaves_the_norm():
    arms = {name: {"perp": name} for name in ("none", "tensor", "global")}
    part = train({}, arms, optimizer="sgd", momentum=0.0, lr=1e-3, steps=1)
    cosines = part.dataset["update_cosine"]
    assert abs(float(cosines.sel(arm="global"))) < 1e-4
    assert abs(float(part.dataset["update_cosine_out"].sel(arm="tensor"))) < 1e-4
    assert abs(float(cosines.sel(arm="none"))) > 1e-3


@pytest.mark.parametrize(
    ("options", "inputs"),
    [
        ({"task": "binary", "code_bits": 5}, 10),
        ({"task": "parity", "noise_bits": 5, "samples": 64, "biases": True}, 8),
        ({"architecture": "transformer", "embedding": 8}, None),
    ],
)
def test_other_tasks_and_networks_learn(options, inputs):
    final = train({"seed": [0, 1]}, options=options, lr=0.01, steps=150, width=32).dataset
    assert (final["train_accuracy"] > 0.9).all()
    assert (final["history_train_loss"].isel(step=0) > 0.5).all()


@pytest.mark.parametrize(
    ("cell", "options", "message"),
    [
        ({"fraction": 0.01}, {"p": 7}, "fraction = 0.01 of 49 samples leaves none to train on"),
        ({}, {"p": 47, "task": "binary", "code_bits": 5}, "code_bits = 5: too few for 47"),
        ({}, {"task": "parity", "architecture": "transformer"}, "has the task modular"),
        ({}, {"task": "parity", "noise_bits": 0}, "more than there are vectors"),
    ],
)
def test_what_cannot_be_trained_is_said_in_a_line(cell, options, message):
    sweep = sp.Sweep(study="grokking", cell=cell, options=options)
    with pytest.raises(sp.UserError, match=message):
        sp.run(sweep)
