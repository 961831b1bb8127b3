"""A study of your own in one file: a small classifier, trained on minibatches until it overfits.

    x = center of its class + spread * e     x: two coordinates, e: standard normal
    logits = U ReLU(W x + c) + d             W: (width, 2), U: (3, width)
    L = cross-entropy                        mean over the samples of a minibatch

A sweep file names it `classifier:Classifier`; the file lies in the current folder or on PYTHONPATH.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from pydantic import Field

from superpos_jax.engine import study
from superpos_jax.engine.study import DataSet, Look, Minibatch, Shapes, Study, Trained, Variable
from superpos_jax.engine.verdicts import DIVERGED, FINISHED, NOT_ENDED

CENTERS = np.array([[1, 0], [-0.5, 0.87], [-0.5, -0.87]], np.float32)
LEARNED = 0.9  # the training accuracy of a cell that has learned its task


@dataclass(frozen=True)
class Numbers:
    """One classifier: every number that can be swept, with its default and its limits."""

    T: Annotated[int, Field(ge=1, description="training samples")] = 60
    spread: study.NotNegative = 0.4
    width: Annotated[int, Field(ge=1, description="hidden units")] = 8
    batch: Annotated[int, Field(ge=1, description="samples of an update")] = 16
    lr: study.Positive = 0.1
    steps: study.Steps = 400
    seed: study.Seed = 0


class Options(study.Options):
    """Static choices: the same for every cell of a sweep."""

    test_samples: Annotated[int, Field(ge=1)] = 90
    look_every: Annotated[int, Field(ge=1)] = 20
    patience: Annotated[int, Field(ge=1, description="looks without a lower test loss")] = 5


class Cloud(NamedTuple):
    """What an endless stream of samples depends on; T is not among it, so data sets are nested."""

    name: str
    spread: float
    seed: int


class Params(NamedTuple):
    """W: (width, 2), c: (width,), U: (3, width), d: (3,)."""

    W: Any
    c: Any
    U: Any
    d: Any


class Memo(NamedTuple):
    """What looks remember: the weights when the cell had learned, those of the least test loss."""

    learned: Any
    when_learned: Params
    best_loss: Any
    best: Params
    waited: Any


class Classifier(Study):
    """Cross-entropy of three clouds of points; stopped when the test loss falls no more."""

    Cell = Numbers
    Options = Options
    options: Options
    ends: ClassVar = {"overfits": FINISHED, "train loss above 10": DIVERGED}

    def datasets(self, cell: Numbers) -> Mapping[str, DataSet]:
        sizes = {"train": cell.T, "test": self.options.test_samples}
        clouds = {name: Cloud(name, cell.spread, cell.seed) for name in sizes}
        return {name: DataSet(clouds[name], size, "look") for name, size in sizes.items()}

    def load(self, dataset: DataSet) -> tuple[np.ndarray, np.ndarray]:
        name, spread, seed = dataset.key
        rng = np.random.default_rng((seed, ("train", "test").index(name)))
        y = np.arange(dataset.samples, dtype=np.int32) % len(CENTERS)
        noise = rng.standard_normal((dataset.samples, 2), np.float32)
        return CENTERS[y] + np.float32(spread) * noise, y

    def feed(self, cell: Numbers) -> Minibatch:
        return Minibatch(cell.batch)

    def shapes(self, cell: Numbers, platform: str) -> Shapes:
        return Shapes(cell.width)

    def init(self, cell: Numbers, shapes: Shapes) -> Params:
        width, classes = shapes.size, len(CENTERS)
        key_W, key_U = jax.random.split(jax.random.key(cell.seed))
        W = jax.random.normal(key_W, (width, 2))
        U = jax.random.normal(key_U, (classes, width)) / width**0.5
        return Params(W, jnp.zeros(width), U, jnp.zeros(classes))

    def loss(self, cell, shapes, params: Params, batch: tuple, weight: jax.Array) -> jax.Array:
        return self.measure(cell, shapes, params, batch, weight)["loss"]

    def measure(self, cell, shapes, params: Params, batch: tuple, weight: jax.Array) -> dict:
        x, y = batch
        logits = jax.nn.relu(x @ params.W.T + params.c) @ params.U.T + params.d
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, y)
        right = logits.argmax(axis=1) == y
        return {"loss": (weight * losses).sum(), "accuracy": (weight * right).sum()}

    def optimizer(self, cell: Numbers, shapes: Shapes) -> optax.GradientTransformation:
        return optax.sgd(cell.lr)

    def look_every(self, cell: Numbers) -> int:
        return self.options.look_every

    def memo(self, cell: Numbers, shapes: Shapes, params: Params) -> Memo:
        return Memo(jnp.bool_(False), params, jnp.float32(np.inf), params, jnp.int32(0))

    def look(self, cell: Numbers, shapes: Shapes, now: Look, memo: Memo) -> tuple[Memo, jax.Array]:
        train_loss, test_loss = now.measured["train_loss"], now.measured["test_loss"]
        learned = now.measured["train_accuracy"] >= LEARNED
        better = test_loss < memo.best_loss
        memo = Memo(
            learned=memo.learned | learned,
            when_learned=optax.tree.where(learned & ~memo.learned, now.params, memo.when_learned),
            best_loss=jnp.minimum(test_loss, memo.best_loss),
            best=optax.tree.where(better, now.params, memo.best),
            waited=jnp.where(better, 0, memo.waited + 1),
        )
        ended = jnp.where(memo.waited < self.options.patience, NOT_ENDED, self.end("overfits"))
        return memo, jnp.where(train_loss > 10, self.end("train loss above 10"), ended)

    def report(self, cell: Numbers, trained: Trained):
        memo: Memo = trained.memo
        best_loss = Variable((), memo.best_loss, {"long_name": "least test loss of all looks"})
        W = Variable(("hidden", "input"), memo.best.W, {"long_name": "W at the least test loss"})
        return {"best_test_loss": best_loss, "best_W": W}
