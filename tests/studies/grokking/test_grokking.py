"""The study, trained: against a training in float64, its first times, its tasks."""

import dataclasses
from functools import cache

import float64
import jax
import numpy as np
import optax
import pytest

import superpos_jax as sp
from superpos_jax.engine.bits import has_long_sums
from superpos_jax.engine.study import NEVER, Look
from superpos_jax.studies.grokking import STUDY, data, model
from superpos_jax.studies.grokking.optimizer import PERPS

pytestmark = pytest.mark.unoptimized

TINY = {"width": 12, "fraction": 0.6, "lr": 0.01, "eps": 1e-8}
BOTH = ("train_loss", "test_loss", "train_accuracy", "test_accuracy")
STEPS = 60
SHORT = {"steps": 12}
AGAINST = {
    "exact": {"loss": "exact"},
    "perp": {"loss": "exact", "perp": "tensor", "weight_decay": 2.0},
    "stablemax": {"loss": "stablemax", "beta2": 0.999},
    "mse": {"loss": "mse"},
}
FAST = {"t_6": {"t": 6, "lr": 0.05}, "t_120": {"t": 120, "lr": 0.05}}
SEEDS = [3, 4]
PARITY = {"task": "parity", "noise_bits": 5, "samples": 64, "biases": True}


@pytest.fixture(scope="module")
def trained():
    """Short trainings, each beside one in float64, and long ones; all with AdamW at depth 2.

    They share one compiled program, which is what they cost. There are so many points that every
    step is recorded.
    """
    sweep = sp.Sweep(
        study="grokking",
        arms={name: arm | SHORT for name, arm in AGAINST.items()} | FAST,
        axes={"seed": SEEDS},
        cell=TINY | {"operation": "mul", "steps": STEPS},
        options={"p": 7, "look_every": 1, "points": 3000},
    )
    return sp.run(sweep).dataset


@cache
def initial(seed):
    return jax.jit(model.mlp_init, static_argnums=range(1, 7))(
        jax.random.key(seed), 12, 16, 2, 14, 7, False
    )


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("arm", AGAINST)
def test_against_a_training_in_float64(trained, arm, seed):
    own = trained.sel(arm=arm, seed=seed)
    params = initial(seed)
    names = ["W1", "W2", "out"]
    x, y = data.pairs(7, data.OPERATIONS.index("mul"), data.order(49, seed))
    ones = np.eye(7)[x].reshape(49, 14)
    count = int(0.6 * 49)
    how = dict(AGAINST[arm])
    loss = float64.LOSSES[how.pop("loss")]
    weights = float64.train(
        [np.array(params[name]) for name in names],
        ones[:count], y[:count], loss, SHORT["steps"], 0.01, eps=1e-8, **how,
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


def test_first_times_are_those_of_the_history(trained):
    assert trained["step"].values.tolist() == list(range(STEPS + 1))
    dataset = trained.sel(arm=[*FAST]).transpose("arm", "seed", ...)
    for name, quantity, limit in (
        ("t_fit", "train_accuracy", 0.99),
        ("t_gen", "test_accuracy", 0.95),
        ("t_sc", "train_collapsed", 0.5),
        ("t_sc_11", "train_sc_11", 0.5),
    ):
        history = dataset[f"history_{quantity}"].transpose("arm", "seed", "step").values[..., 1:]
        reached = history >= limit
        expected = np.where(reached.any(axis=-1), reached.argmax(axis=-1) + 1, np.nan)
        np.testing.assert_array_equal(dataset[name], expected)
    np.testing.assert_array_equal(dataset["delay"], dataset["t_gen"] / dataset["t_fit"])
    assert dataset["t_fit"].notnull().all()
    assert dataset["t_sc"].sel(arm="t_6").notnull().all()
    assert dataset["t_sc"].sel(arm="t_120").isnull().all()


@pytest.mark.parametrize(
    ("name", "quantity", "below", "reached"),
    [
        ("fit", "train_accuracy", 0.9899, 0.9901),
        ("gen", "test_accuracy", 0.9499, 0.9501),
        ("sc", "train_collapsed", 0.4999, 0.5),
    ],
)
def test_a_first_time_is_that_of_its_threshold(name, quantity, below, reached):
    study = STUDY(STUDY.Options(p=7))
    cell = STUDY.Cell()
    measured = dict.fromkeys(("train_accuracy", "test_accuracy", "train_collapsed"), 0.0)
    measured |= dict.fromkeys((f"train_sc_{bits}" for bits in (11, 24, 53)), 0.0)
    memo = study.memo(cell, None, None)
    for step, value in ((10, below), (20, reached), (30, below), (40, 1.0)):
        now = Look(step, None, measured | {quantity: value})
        memo, _ = study.look(cell, None, now, memo)
    times = {other: float(getattr(memo, other)) for other in ("fit", "gen", "sc")}
    np.testing.assert_equal(times, dict.fromkeys(times, NEVER) | {name: 20.0})


def test_cosines_and_norms(trained):
    for name in ("gradient_cosine", "update_cosine"):
        for part in ("", "_W1", "_W2", "_out"):
            assert (abs(trained[f"{name}{part}"]) <= 1 + 1e-6).all()
    squares = sum(trained[f"norm_{name}"] ** 2 for name in ("W1", "W2", "out"))
    np.testing.assert_allclose(trained["norm"], squares**0.5, rtol=1e-5)


def test_a_perpendicular_step_of_sgd_leaves_the_norm():
    study = STUDY(STUDY.Options(**PARITY))
    cell = STUDY.Cell(optimizer=1, momentum=0.0, depth=1, width=12)
    shapes, train = study.shapes(cell, "cpu"), study.datasets(cell)["train"]
    batch, ones = study.load(train), np.ones(train.samples, np.float32)

    @jax.jit
    def cosines(perp):
        own = dataclasses.replace(cell, perp=perp)
        params = study.init(own, shapes)
        grads = jax.grad(lambda params: study.loss(own, shapes, params, batch, ones))(params)
        optimizer = study.optimizer(own, shapes)
        updates, _ = optimizer.update(grads, optimizer.init(params), params)
        return study.summarise_update(own, shapes, params, grads, updates)

    none, tensor, whole = (cosines(perp) for perp in range(len(PERPS)))
    assert abs(whole["update_cosine"]) < 1e-4
    assert abs(tensor["update_cosine_out"]) < 1e-4
    assert abs(none["update_cosine"]) > 1e-3


def test_threads_decide_no_bits():
    """Of an MLP with up to 128 hidden units, in blocks that are larger than the engine's."""
    study = STUDY(STUDY.Options(p=47))
    cell = STUDY.Cell(perp=1)
    shapes, train = study.shapes(cell, "cpu"), study.datasets(cell)["train"]
    assert shapes.rows == 384
    batch = jax.tree.map(lambda leaf: leaf[:384], study.load(train))

    def update():
        params = study.init(cell, shapes)
        ones = np.ones(384, np.float32)
        grads = jax.grad(lambda params: study.loss(cell, shapes, params, batch, ones))(params)
        optimizer = study.optimizer(cell, shapes)
        updates, _ = optimizer.update(grads, optimizer.init(params), params)
        return study.summarise_update(cell, shapes, params, grads, updates)

    assert not has_long_sums(jax.make_jaxpr(update)().jaxpr)


def test_dropout_is_of_a_step_and_of_updates_alone():
    study = STUDY(STUDY.Options(p=7, architecture="transformer", embedding=8))
    cell = STUDY.Cell(width=12, dropout=0.5, seed=3)
    shapes, train = study.shapes(cell, "cpu"), study.datasets(cell)["train"]
    batch, ones = study.load(train), np.ones(train.samples, np.float32)
    params = study.init(cell, shapes)

    @jax.jit
    def losses(step, index, dropout, seed):
        own = dataclasses.replace(cell, dropout=dropout, seed=seed)
        seen = study.augment(own, shapes, step, index, batch)
        measured = study.measure(own, shapes, params, batch, ones)["loss"]
        return study.loss(own, shapes, params, seen, ones), measured

    first, measured = losses(0, 0, 0.5, 3)
    assert losses(0, 0, 0.5, 3) == (first, measured)
    others = (1, 0, 0.5, 3), (0, 1, 0.5, 3), (0, 0, 0.4, 3), (0, 0, 0.5, 4)
    values = [float(losses(*at)[0]) for at in others]
    assert len({*values, float(first), float(measured)}) == 6
    plain = study.shapes(dataclasses.replace(cell, dropout=0.0), "cpu")
    assert study.augment(cell, plain, 0, 0, batch) is batch


@pytest.mark.parametrize(
    "options",
    [
        {"task": "binary", "code_bits": 5},
        PARITY,
        {"architecture": "transformer", "embedding": 8},
    ],
)
def test_other_tasks_and_networks_learn_in_their_own_width(options):
    """In the plainest loop of training, which compiles in a tenth of the time."""
    study = STUDY(STUDY.Options(p=7, **options))
    cell = STUDY.Cell(**TINY | {"width": 28})
    assert study.wrong(cell) == ""
    shapes, train = study.shapes(cell, "cpu"), study.datasets(cell)["train"]
    batch, ones = study.load(train), np.ones(train.samples, np.float32)
    optimizer = study.optimizer(cell, shapes)

    def mean_loss(params):
        return study.loss(cell, shapes, params, batch, ones) / train.samples

    @jax.jit
    def learned():
        def step(state, _):
            params, own = state
            loss, grads = jax.value_and_grad(mean_loss)(params)
            updates, own = optimizer.update(grads, own, params)
            return (optax.apply_updates(params, updates), own), loss

        params = study.init(cell, shapes)
        (params, _), losses = jax.lax.scan(step, (params, optimizer.init(params)), length=150)
        return losses[0], params, study.logits(cell, shapes, params, batch).argmax(axis=1)

    first_loss, params, answers = jax.tree.map(np.array, learned())
    assert first_loss > 0.5
    assert (answers == batch.y).mean() > 0.9
    beyond = [params["W1"][:, 28:], params["W2"][28:]]
    if study.options.architecture == "mlp":
        beyond += [params["W2"][:, 28:], params["out"][28:]]
    beyond += [params[name][28:] for name in ("b1", "b2") if len(params.get(name, ())) == 32]
    assert not any(part.any() for part in beyond)


@pytest.mark.parametrize(
    ("cell", "options", "message"),
    [
        ({"fraction": 0.01}, {"p": 7}, "fraction = 0.01 of 49 samples leaves none to train on"),
        ({"dropout": 0.1}, {"p": 7}, "dropout = 0.1: allowed: 0; only a transformer has dropout"),
        ({}, {"p": 47, "task": "binary", "code_bits": 5}, "code_bits = 5: too few for 47"),
        ({}, {"task": "parity", "architecture": "transformer"}, "has the task modular"),
        ({}, {"task": "parity", "noise_bits": 0}, "more than there are vectors"),
    ],
)
def test_what_cannot_be_trained_is_said_in_a_line(cell, options, message):
    sweep = sp.Sweep(study="grokking", cell=cell, options=options)
    with pytest.raises(sp.UserError, match=message):
        sp.run(sweep)
