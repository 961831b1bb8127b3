"""Every feed against a plain loop in numpy, and what the optimizer and measurements see of it."""

import functools
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from classifier import CENTERS, Classifier, Numbers, Options
from programs import build, difference, layout_of, train

from superpos_jax.engine.batches import choose
from superpos_jax.engine.study import Fresh, FullBatch, Minibatch, Shapes
from superpos_jax.errors import UserError

STEPS = 12
OPTIONS = Options(look_every=1000, test_samples=20)
CELLS = [
    Numbers(T=23, batch=5, steps=STEPS, seed=1),  # epochs of 5, 5, 5, 5 and 3 samples
    Numbers(T=23, batch=1, steps=STEPS, seed=1),
    Numbers(T=7, batch=40, steps=STEPS),  # no more samples than there are
    Numbers(T=200, batch=8, steps=STEPS, spread=1.5, lr=0.5),
]
# Of two blocks each, of one layout: one piece of code to compile.
LARGE = [CELLS[-1], replace(CELLS[0], T=140)]


class Whole(Classifier):
    def feed(self, cell):
        return FullBatch()


class Replacing(Classifier):
    def feed(self, cell):
        return Minibatch(cell.batch, "replace")


class New(Classifier):
    """40 new samples at every step, which are more than a block has rows."""

    def feed(self, cell):
        return Fresh(40)

    def draw(self, cell, shapes, step, index):
        key = jax.random.key(cell.seed)
        for value in (step, index):
            key = jax.random.fold_in(key, value)
        y = jnp.arange(shapes.rows) % len(CENTERS)
        return jnp.asarray(CENTERS)[y] + jax.random.normal(key, (shapes.rows, 2)), y


class Shifted:
    """An update sees its samples elsewhere: by another way at each step and for each block."""

    def augment(self, cell, shapes, step, index, batch):
        x, y = batch
        return x + self.way(cell, step, index), y

    def way(self, cell, step, index):
        key = jax.random.key(cell.seed)
        for value in (step, index):
            key = jax.random.fold_in(key, value)
        return 0.3 * jax.random.normal(key, (2,))


class WholeShifted(Shifted, Whole):
    pass


class BatchShifted(Shifted, Classifier):
    pass


class OwnBlocks(Whole):
    """What `load` gives, cut by the study itself, for a block of 16 rows."""

    def shapes(self, cell, platform):
        return Shapes(cell.width, block=(16,))

    def blocks(self, dataset, block):
        x, y = self.load(dataset)
        blocks = -(-len(y) // 16)
        wide_x, wide_y = np.zeros((16 * blocks, 2), np.float32), np.zeros(16 * blocks, np.int32)
        wide_x[: len(y)], wide_y[: len(y)] = x, y
        return wide_x.reshape(blocks, 16, 2), wide_y.reshape(blocks, 16)


way_jit = jax.jit(lambda study, *args: study.way(*args), static_argnums=0)
draw_jit = jax.jit(lambda study, *args: study.draw(*args), static_argnums=(0, 2))
choose_jit = jax.jit(choose, static_argnums=(0, 1))


def batches(study, cell):
    """(x, y) of every update of a cell: what its feed says in words."""
    x, y = study.load(study.datasets(cell)["train"])
    size = min(cell.batch, cell.T)
    for step in range(cell.steps):
        if isinstance(study, New):
            shapes = layout_of(study, cell, "cpu").shapes
            blocks = [draw_jit(study, cell, shapes, step, index) for index in range(2)]
            drawn = [np.concatenate(leaves)[:40] for leaves in zip(*blocks, strict=True)]
            yield tuple(drawn)
        elif isinstance(study, Whole):
            rows = layout_of(study, cell, "cpu").shapes.rows
            yield shifted(study, cell, step, x, np.arange(cell.T) // rows), y
        else:
            order = study.feed(cell).order
            index, weight = choose_jit(order, 8, cell.seed, step, size, cell.T)
            taken = np.asarray(index)[np.asarray(weight) == 1]
            yield shifted(study, cell, step, x[taken], np.zeros(len(taken), int)), y[taken]


def shifted(study, cell, step, x, block):
    """Samples as an update after a step sees them, each of the block of a number."""
    if not isinstance(study, Shifted):
        return x
    ways = np.array([way_jit(study, cell, step, index) for index in range(block.max() + 1)])
    return x + ways[block]


def loss_and_grad(theta, x, y):
    """Mean cross-entropy and its gradient by W, c, U, d."""
    W, c, U, d = theta
    hidden = np.maximum(x @ W.T + c, 0)
    logits = hidden @ U.T + d
    logits -= logits.max(axis=1, keepdims=True)
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    loss = -np.log(p[np.arange(len(y)), y]).mean()
    error = (p - np.eye(3)[y]) / len(y)
    back = (error @ U) * (hidden > 0)
    return loss, (back.T @ x, back.sum(axis=0), error.T @ hidden, error.sum(axis=0))


def start(study, cell):
    """The initial weights, float64."""
    params = study.init(cell, study.shapes(cell, "cpu"))
    return [np.array(leaf, np.float64) for leaf in params]


def descend(study, cell):
    """The weights after all updates of a cell, one after another."""
    theta = start(study, cell)
    for x, y in batches(study, cell):
        _, grads = loss_and_grad(theta, x, y)
        theta = [leaf - cell.lr * grad for leaf, grad in zip(theta, grads, strict=True)]
    return theta


def assert_close(params, expected):
    for leaf, wanted in zip(params, expected, strict=True):
        np.testing.assert_allclose(leaf, wanted, rtol=1e-4, atol=1e-5)


class Seen(NamedTuple):
    """What an optimizer was given at the last update."""

    loss: Any
    grads: Any


def recorder(lr):
    """Gradient descent that remembers what it sees."""

    def init(params):
        return Seen(jnp.float32(0), jax.tree.map(jnp.zeros_like, params))

    def update(grads, state, params=None, *, value, **others):
        return jax.tree.map(lambda grad: -lr * grad, grads), Seen(value, grads)

    return optax.GradientTransformationExtraArgs(init, update)


class Trained(NamedTuple):
    study: Any
    before: list[Any]
    """Weights after 4 updates."""
    seen: list[Seen]
    """At the fifth: the first cell's batch of 3 samples."""
    params: list[Any]
    """Weights at the end."""


@functools.cache
def trained(feed):
    """`CELLS` with a feed."""

    class Recorded(feed):
        def optimizer(self, cell, shapes):
            return recorder(cell.lr)

        def look_every(self, cell):
            return 0  # looks take long to compile

    study = Recorded(OPTIONS)
    program, state = train(study, CELLS, 4)
    before = program.params(state)
    state = program.advance(state, 5)
    seen = program.per_cell([group.optimizer for group in state])
    state = program.from_host(program.to_host(state))  # as a run that was interrupted goes on
    return Trained(study, before, seen, program.params(program.advance(state, STEPS)))


every_feed = pytest.mark.parametrize(
    "feed", [Classifier, Replacing, Whole, OwnBlocks, New, WholeShifted, BatchShifted]
)


@every_feed
@pytest.mark.unoptimized
def test_training_is_a_plain_loop_over_batches(feed):
    run = trained(feed)
    for cell, params in zip(CELLS, run.params, strict=True):
        assert_close(params, descend(run.study, cell))


@every_feed
@pytest.mark.unoptimized
def test_the_optimizer_sees_mean_loss_and_mean_gradient(feed):
    run = trained(feed)
    for cell, params, seen in zip(CELLS, run.before, run.seen, strict=True):
        x, y = list(batches(run.study, cell))[4]
        loss, grads = loss_and_grad([np.float64(leaf) for leaf in params], x, y)
        np.testing.assert_allclose(seen.loss, loss, rtol=1e-5)
        assert_close(seen.grads, grads)


@pytest.mark.unoptimized
def test_a_cell_is_fed_the_same_on_every_platform():
    """Of other blocks, and of cells side by side."""
    study = Classifier(OPTIONS)
    layouts = [layout_of(study, LARGE[0], platform) for platform in ("cpu", "gpu")]
    assert layouts[0].shapes.rows < layouts[1].shapes.rows
    assert layouts[0].beside < layouts[1].beside
    program, state = train(study, LARGE, STEPS, platform="gpu")
    for cell, params in zip(LARGE, program.params(state), strict=True):
        assert_close(params, descend(study, cell))


@pytest.mark.unoptimized  # the bits are those of one program
@pytest.mark.parametrize("feed", [Classifier, Whole])
def test_rows_that_are_no_samples_of_a_cell_do_not_matter(feed):
    """Neither padding nor the samples of larger cells, in training and in measurements."""

    class Garbage(feed):
        garbage = False

        def blocks(self, dataset, block):
            x, y = super().blocks(dataset, block)
            if self.garbage:
                x, y = x.copy(), y.copy()
                x.reshape(-1, 2)[dataset.samples :] = 1e3
                y.reshape(-1)[dataset.samples :] = 1
                if dataset.key.name == "train":
                    x.reshape(-1, 2)[140:] = -1e3
            return x, y

    cells = [LARGE[1], replace(LARGE[1], T=200, steps=1)]  # of one stream
    trained = []
    for garbage in (False, True):
        study = Garbage(OPTIONS)
        study.garbage = garbage
        program, state = train(study, cells, STEPS)
        measured = {name: values[0] for name, values in program.finish(state).items()}
        trained.append((program.params(state)[0], measured))
    assert difference(*trained) == {}
    assert trained[0][1]["updates"] == STEPS


class Measured(Classifier):
    """A data set for each time at which one can be measured; what looks see is kept."""

    def datasets(self, cell):
        train, test = super().datasets(cell).values()
        late = test._replace(key=test.key._replace(seed=77))
        return {
            "train": train._replace(evaluate="history"),
            "test": test,
            "late": late._replace(evaluate="end"),
        }

    def measure(self, cell, shapes, params, batch, weight):
        """Also how many samples there are of each class, and how many of them are right."""
        sums = super().measure(cell, shapes, params, batch, weight)
        x, y = batch
        right = (jax.nn.relu(x @ params.W.T + params.c) @ params.U.T + params.d).argmax(1) == y
        of_class = weight * jax.nn.one_hot(y, len(CENTERS)).T
        return sums | {"count": of_class.sum(1), "right": (of_class * right).sum(1)}

    def metrics(self, cell, shapes, means):
        worst = (means["right"] / means["count"]).min()
        return {"loss": means["loss"], "accuracy": means["accuracy"], "worst": worst}

    def look_every(self, cell):
        return 4

    def memo(self, cell, shapes, params):
        return jnp.float32(0)

    def look(self, cell, shapes, now, memo):
        assert set(now.measured) == {"test_loss", "test_accuracy", "test_worst"}
        return now.measured["test_loss"], jnp.int32(-1)

    def summarise(self, cell, shapes, params):
        return {"W_norm": jnp.linalg.norm(params.W)}

    def summarise_update(self, cell, shapes, params, grads, updates):
        return {
            "grad_norm": optax.tree.norm(grads),
            "update_norm": optax.tree.norm(updates),
            "along": optax.tree.vdot(params, updates),
        }


class MeasuredShifted(Shifted, Measured):
    pass


@pytest.fixture(scope="module", params=[Measured, MeasuredShifted])
def measured(request):
    study = request.param(OPTIONS)
    program, state = train(study, [*LARGE, replace(LARGE[1], steps=3)], 4)
    return study, program, state


def check(study, cell, params, values, names):
    """Losses and accuracies of data sets, and the least of their classes, against numpy."""
    W, c, U, d = params
    for name in names:
        x, y = study.load(study.datasets(cell)[name])
        loss, _ = loss_and_grad(params, x, y)
        right = (np.maximum(x @ W.T + c, 0) @ U.T + d).argmax(axis=1) == y
        worst = min(right[y == k].mean() for k in range(len(CENTERS)))
        np.testing.assert_allclose(values[f"{name}_loss"], loss, rtol=1e-5)
        np.testing.assert_allclose(values[f"{name}_accuracy"], right.mean(), rtol=1e-6)
        np.testing.assert_allclose(values[f"{name}_worst"], worst, rtol=1e-6)


@pytest.mark.unoptimized
def test_means_along_the_history_and_at_the_end(measured):
    study, program, state = measured
    along, finally_ = program.evaluate(state, step=4), program.finish(state)
    assert finally_.keys() - along.keys() == {"late_loss", "late_accuracy", "late_worst"}
    trained_on = {name for name in along if name.startswith("train")}
    assert trained_on == {"train_loss", "train_accuracy", "train_worst"}
    assert isinstance(study, Shifted) or (along["train_worst"][: len(LARGE)] > 0).any()
    params_of, memos = program.params(state), program.memos(state)
    for i, (cell, params, memo) in enumerate(zip(LARGE, params_of, memos, strict=False)):
        for table, names in ((along, ("train", "test")), (finally_, study.datasets(cell))):
            check(study, cell, params, {name: table[name][i] for name in table}, names)
        np.testing.assert_allclose(memo, along["test_loss"][i], rtol=1e-6)
        np.testing.assert_allclose(along["W_norm"][i], np.linalg.norm(params.W), rtol=1e-5)


@pytest.mark.unoptimized
def test_cells_elsewhere_are_not_measured(measured):
    _, program, state = measured
    for step, some, last in ((4, True, False), (3, False, True), (5, False, False)):
        there = [some, some, last]
        values = program.evaluate(state, step)
        assert values["updates"].tolist() == [4, 4, 3]
        for name in values.keys() - {"updates", "died_at", "ended"}:
            assert np.isfinite(values[name]).tolist() == there, name


@pytest.mark.unoptimized
def test_summaries_of_the_update_that_comes_next(measured):
    """Of its batch as the update sees it, which is not the last one; and nothing moves."""
    study, program, state = measured
    values = program.evaluate(state, step=4)
    for i, (cell, params) in enumerate(zip(LARGE, program.params(state), strict=False)):
        theta = [np.float64(leaf) for leaf in params]
        x, y = list(batches(study, cell))[4]
        _, grads = loss_and_grad(theta, x, y)
        norm = np.sqrt(sum((grad**2).sum() for grad in grads))
        along = -cell.lr * sum((a * b).sum() for a, b in zip(theta, grads, strict=True))
        np.testing.assert_allclose(values["grad_norm"][i], norm, rtol=1e-4)
        np.testing.assert_allclose(values["update_norm"][i], cell.lr * norm, rtol=1e-4)
        np.testing.assert_allclose(values["along"][i], along, rtol=1e-3, atol=1e-6)
    assert (values["updates"][: len(LARGE)] == 4).all()


def test_a_study_without_data_says_so():
    class Empty(Classifier):
        load = Classifier.__mro__[1].load

    with pytest.raises(UserError, match="Empty: defines neither load nor blocks"):
        build(Empty(OPTIONS), CELLS[:1])


def test_a_study_without_a_loss_says_so():
    class Aimless(Classifier):
        loss = Classifier.__mro__[1].loss

    with pytest.raises(UserError, match="Aimless: defines neither loss nor loss_and_grad"):
        train(Aimless(OPTIONS), CELLS[:1], 1)
