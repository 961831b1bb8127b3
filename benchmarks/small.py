"""Small models through the engine, beside the same models by hand.

    python benchmarks/small.py          # rewrites its section of README.md

Measures for each model of by_hand.py the rate of both; and what its default history costs a run of
the engine, beside the training.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import by_hand
import jax
import jax.numpy as jnp
import numpy as np
import optax
from beside import HEAD, MEASURE, TURNS, Engine, Way, Ways, compared, in_turns, one_core, seconds
from page import spread, table, write

from superpos_jax.engine.numerics import pinned
from superpos_jax.engine.study import (
    DataSet,
    Feed,
    FullBatch,
    Look,
    Minibatch,
    Shapes,
    Study,
)
from superpos_jax.engine.sums import dense
from superpos_jax.engine.verdicts import FINISHED, NOT_ENDED
from superpos_jax.results.grid import Grid
from superpos_jax.results.sweep import Sweep
from superpos_jax.training.loop import Training


class Labelled(NamedTuple):
    """x: (samples, inputs), y: (samples,) classes."""

    x: Any
    y: Any


class Tiny(Study):
    """19 -> 64 -> 2 by SGD on minibatches of 32, with replacement."""

    @dataclass(frozen=True)
    class Cell:
        """One network."""

        seed: int = 0
        lr: float = 0.1
        steps: int = by_hand.TINY_STEPS

    def datasets(self, cell: Cell) -> Mapping[str, DataSet]:
        """The training set of a seed."""
        return {"train": DataSet(int(cell.seed), by_hand.TINY_SAMPLES, "look")}

    def load(self, dataset: DataSet) -> Labelled:
        """Bits and labels."""
        return Labelled(*map(np.asarray, by_hand.tiny_data(jax.random.key(dataset.key))))

    def feed(self, cell: Cell) -> Feed:
        """32 samples."""
        return Minibatch(by_hand.TINY_BATCH, "replace")

    def init(self, cell: Cell, shapes: Shapes) -> by_hand.Params:
        """Uniform weights."""
        return by_hand.tiny_init(jax.random.key(cell.seed))

    def loss(
        self, cell: Cell, shapes: Shapes, view: Any, batch: Labelled, weight: jax.Array
    ) -> jax.Array:
        """Cross-entropy."""
        return self.measure(cell, shapes, view, batch, weight)["loss"]

    def measure(
        self, cell: Cell, shapes: Shapes, view: Any, batch: Labelled, weight: jax.Array
    ) -> dict[str, jax.Array]:
        """Cross-entropy and right answers."""
        logits = by_hand.tiny_logits(view, batch.x)
        loss = optax.softmax_cross_entropy_with_integer_labels(logits, batch.y)
        right = logits.argmax(axis=1) == batch.y
        return {"loss": (weight * loss).sum(), "accuracy": (weight * right).sum()}

    def optimizer(self, cell: Cell, shapes: Shapes) -> optax.GradientTransformation:
        """Plain SGD."""
        return optax.sgd(cell.lr)


class TinyStop(Tiny):
    """The same until it has learned its training set; looked at every 10 steps."""

    ends = {"learned": FINISHED}  # noqa: RUF012 - never changed

    def look_every(self, cell: Any) -> int:
        """As by hand."""
        return by_hand.TINY_EVERY

    def look(self, cell: Any, shapes: Shapes, now: Look, memo: Any) -> tuple[Any, jax.Array]:
        """Stop at a training loss below 0.01 with all answers right."""
        learned = (now.measured["train_loss"] < 0.01) & (now.measured["train_accuracy"] == 1)
        return memo, jnp.where(learned, self.end("learned"), NOT_ENDED)


class Autoencoder(Study):
    """12 binary features in m dimensions by AdamW on minibatches of 256."""

    @dataclass(frozen=True)
    class Cell:
        """One autoencoder."""

        m: int = 2
        weight_decay: float = 0.0
        seed: int = 0
        steps: int = by_hand.AUTO_STEPS

    def datasets(self, cell: Cell) -> Mapping[str, DataSet]:
        """One data set for all cells."""
        return {"train": DataSet("circle", by_hand.AUTO_SAMPLES)}

    def load(self, dataset: DataSet) -> np.ndarray:
        """Features."""
        return np.asarray(by_hand.circular_features(jax.random.key(0)))

    def feed(self, cell: Cell) -> Feed:
        """256 samples."""
        return Minibatch(by_hand.AUTO_BATCH, "replace")

    def shapes(self, cell: Cell, platform: str) -> Shapes:
        """Hidden dimensions are padded to a multiple of 4."""
        return Shapes(-(-cell.m // 4) * 4)

    def init(self, cell: Cell, shapes: Shapes) -> by_hand.Params:
        """Normal weights, 0 in the padding."""
        hidden = shapes.size
        W = jax.random.normal(jax.random.key(cell.seed), (hidden, by_hand.FEATURES))
        used = (jnp.arange(hidden) < cell.m)[:, None]
        return {"W": W * used / by_hand.FEATURES**0.5, "b": jnp.zeros(by_hand.FEATURES)}

    def loss(
        self, cell: Cell, shapes: Shapes, view: Any, batch: jax.Array, weight: jax.Array
    ) -> jax.Array:
        """Squared error."""
        W = view["W"]
        output = jax.nn.relu(batch @ W.T @ W + view["b"])
        return (weight * ((output - batch) ** 2).sum(axis=1)).sum()

    def optimizer(self, cell: Cell, shapes: Shapes) -> optax.GradientTransformation:
        """AdamW, cosine to 0."""

        def schedule(step: jax.Array) -> jax.Array:
            return 1e-2 * (1 + jnp.cos(jnp.pi * step / cell.steps)) / 2

        return optax.adamw(schedule, weight_decay=cell.weight_decay)


class Modular(Study):
    """Addition modulo 47, 94 -> 100 -> 100 -> 47, AdamW on 1,104 rows, all in one block."""

    @dataclass(frozen=True)
    class Cell:
        """One network."""

        seed: int = 0
        steps: int = by_hand.MODULAR_STEPS

    def datasets(self, cell: Cell) -> Mapping[str, DataSet]:
        """Half of all sums."""
        return {"train": DataSet(int(cell.seed), by_hand.P**2 // 2)}

    def load(self, dataset: DataSet) -> Labelled:
        """Pairs, one-hot, and their sum."""
        chosen = np.random.default_rng(dataset.key).permutation(by_hand.P**2)
        a, b = np.divmod(chosen[: dataset.samples], by_hand.P)
        one_hot = np.eye(by_hand.P, dtype=np.float32)
        return Labelled(np.concatenate([one_hot[a], one_hot[b]], axis=1), (a + b) % by_hand.P)

    def feed(self, cell: Cell) -> Feed:
        """All rows."""
        return FullBatch()

    def shapes(self, cell: Cell, platform: str) -> Shapes:
        """All rows in one block: with `dense` threads change no bit of it."""
        return Shapes(block=(by_hand.P**2 // 2,) if platform == "cpu" else ())

    def init(self, cell: Cell, shapes: Shapes) -> list[by_hand.Params]:
        """Uniform weights, biases 0."""
        widths = by_hand.MODULAR_WIDTHS
        keys = jax.random.split(jax.random.key(cell.seed), len(widths) - 1)
        return [
            {"W": jax.random.uniform(key, (i, o), minval=-1) / i**0.5, "b": jnp.zeros(o)}
            for key, i, o in zip(keys, widths[:-1], widths[1:], strict=True)
        ]

    def loss(
        self, cell: Cell, shapes: Shapes, view: Any, batch: Labelled, weight: jax.Array
    ) -> jax.Array:
        """Cross-entropy."""
        logits = by_hand.modular_logits(view, batch.x, dense)
        return (weight * optax.softmax_cross_entropy_with_integer_labels(logits, batch.y)).sum()

    def optimizer(self, cell: Cell, shapes: Shapes) -> optax.GradientTransformation:
        """Adam."""
        return optax.adamw(1e-3, weight_decay=0.0)


AXES: dict[str, tuple[type[Study], dict[str, Any]]] = {
    "tiny": (Tiny, {"lr": np.geomspace(0.1, 3, 8), "seed": range(12)}),
    "tiny_stop": (TinyStop, {"lr": np.geomspace(0.1, 3, 8), "seed": range(12)}),
    "autoencoder": (
        Autoencoder,
        {"m": by_hand.WIDTHS, "weight_decay": [0.0, 1.0, 4.0], "seed": range(4)},
    ),
    "modular": (Modular, {"seed": range(8)}),
}


def grid_of(name: str) -> Grid:
    """The cells of a model."""
    study, axes = AXES[name]
    return Sweep(study=f"{__name__}:{study.__name__}", axes=axes).grid()


def ways(name: str) -> Ways:
    """A model through the engine and by hand."""

    def hand() -> Way:
        training = by_hand.MODELS[name]()
        return lambda: int(jax.block_until_ready(training()).steps.sum())

    return {"engine": lambda: Engine(grid_of(name)), "by hand": hand}


def history(name: str) -> list[float]:
    """Time of measuring over time of training, of runs that keep their default history."""
    grid = grid_of(name)
    program = Engine(grid).program
    recorded = sorted({step for cell in grid.cells for step in grid.study.recorded(cell)})

    def share() -> float:
        run, training = Training(program), 0.0
        measuring = seconds(run.record)
        for step in recorded[1:]:
            training += seconds(lambda step=step: run.advance(step - run.step))
            measuring += seconds(run.record)
        return (measuring + seconds(run.finish)) / training

    share()  # compiles
    return [share() for _ in range(TURNS)]


@pinned()
def main() -> None:
    """Compare all models, and write."""
    one_core()
    rows = []
    for name, (what, goal) in MODELS.items():
        row = compared(what, in_turns(ways(name)), "engine", "by hand", goal)
        rows.append((*row, spread(history(name), ".0%")))
    lines = [
        *MEASURE,
        "Beside it: vmap over cells, scan over steps (by_hand.py). History: what a run with its",
        "default history spends on measuring, over what it spends on training; goal 10 %. It has",
        "some 20 points, and half as many where a cell may stop early, however short the training:",
        "300 updates, on average, of cells that stop, and 100 of the last model. Of longer ones",
        "they are a smaller share.",
    ]
    head = *HEAD, "history / training"
    write("small", ["## Small models", "", *lines, *table(head, *rows)])


MODELS = {
    "tiny": ("19 -> 64 -> 2, SGD on 32 samples, 96 cells", "1.0"),
    "tiny_stop": ("the same, each cell until it has learned", "2.0"),
    "autoencoder": ("12 -> m -> 12, AdamW on 256 samples, 48 cells", "1.0"),
    "modular": ("94 -> 100 -> 100 -> 47, Adam on 1,104 samples, 8 cells", "1.0"),
}


if __name__ == "__main__":
    main()
