"""Does a network that has memorized generalize, and what stops it?

    z = W_out ReLU(... ReLU(W_1 x))         x: one-hots of a and b, a code of them, or bits
    L = mean over training samples of l(z, y)         y = a + b, a - b, a b mod p, or a parity

Without regularization cross-entropy drives logits up until the softmax sum rounds to 1: the loss
and its gradient vanish, and learning stops before the network generalizes. A loss that does not
collapse, or a gradient without its part along the weights, brings generalization back: so Prieto,
Barsbey, Mediano and Birdal, "Grokking at the Edge of Numerical Stability" (ICLR 2025).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from superpos_jax.engine.layout import SAFE_ROWS
from superpos_jax.engine.study import (
    NEVER,
    DataSet,
    Look,
    Shapes,
    Study,
    Trained,
    Variable,
    first_step,
    history_steps,
)
from superpos_jax.engine.verdicts import NOT_ENDED
from superpos_jax.studies.grokking import cell as numbers
from superpos_jax.studies.grokking import data, model
from superpos_jax.studies.grokking.data import Batch, KeyedBatch
from superpos_jax.studies.grokking.losses import (
    collapsed,
    largest,
    rest,
    sample_losses,
    second_largest,
)
from superpos_jax.studies.grokking.optimizer import OPTIMIZERS, cosine, optimizer

if TYPE_CHECKING:
    from superpos_jax.drawing.spec import FigureSpec

FIT, GENERALIZED, HALF = 0.99, 0.95, 0.5
"""Train accuracy, test accuracy and share of collapsed samples whose first times are kept."""
BITS = (11, 24, 53)
"""Of float16, float32 and float64: collapse is measured at each of them in every run."""


ROWS = 3 * SAFE_ROWS
"""Of a block on a CPU, where there are so many samples."""
DROPOUT = 100
"""Sets the key of dropout apart from those of the initial weights."""


class Size(NamedTuple):
    """What is static about a network.

    units: hidden units, padding included. depth: hidden layers. look_up: whether rows of the first
    layer are read, or multiplied by one-hots. drops: whether there is dropout.
    """

    units: int
    depth: int
    optimizer: str
    look_up: bool
    drops: bool


class Samples(NamedTuple):
    """The key of a data set: the order of a seed, training from its front, test from its back."""

    part: str
    operation: int
    seed: int


class FirstTimes(NamedTuple):
    """Steps at which looks first saw something, NaN before; `sc_bits` is (3,), as `BITS`."""

    fit: Any
    gen: Any
    sc: Any
    sc_bits: Any


class Grokking(Study):
    """Small algorithmic tasks, trained full batch far beyond the fit of the training samples."""

    Cell = numbers.Cell
    Options = numbers.Options
    options: numbers.Options
    labels = numbers.LABELS
    shown: ClassVar = ("test_accuracy", "train_accuracy", "train_loss", "test_loss", "norm")

    @classmethod
    def figures(cls) -> Mapping[str, FigureSpec]:
        """accuracy, collapse, alignment, first_times, decay_map."""
        from superpos_jax.studies.grokking.figures import FIGURES

        return FIGURES

    def wrong(self, cell: numbers.Cell) -> str:
        """A task without training or test samples, or one that the options do not allow."""
        o, (train, test) = self.options, self.sizes(cell)
        if not train or not test:
            whole = f"fraction = {cell.fraction:g} of {self.all_samples:,} samples"
            return f"{whole} leaves none to {'test on' if train else 'train on'}"
        if o.architecture == "transformer" and o.task != "modular":
            return f"options.architecture: a transformer has the task modular, not {o.task}"
        if o.architecture != "transformer" and cell.dropout:
            return f"dropout = {cell.dropout:g}: allowed: 0; only a transformer has dropout"
        if o.task == "binary" and 2**o.code_bits < o.p:
            return f"options.code_bits = {o.code_bits}: too few for {o.p} different codes"
        if o.task == "parity" and o.samples > 2 ** (o.parity_bits + o.noise_bits):
            return f"options.samples = {o.samples:,}: more than there are vectors of bits"
        return ""

    # ---- data

    @property
    def all_samples(self) -> int:
        """Samples of the task, training and test."""
        return self.options.samples if self.options.task == "parity" else self.options.p**2

    def sizes(self, cell: numbers.Cell) -> tuple[int, int]:
        """Training and test samples."""
        train = int(cell.fraction * self.all_samples)
        return train, self.all_samples - train

    def datasets(self, cell: numbers.Cell) -> Mapping[str, DataSet]:
        """Both parts, measured at every look."""
        return {
            part: DataSet(Samples(part, int(cell.operation), int(cell.seed)), size, "look")
            for part, size in zip(("train", "test"), self.sizes(cell), strict=True)
        }

    def load(self, dataset: DataSet) -> Batch:
        """The samples of a part in the seed's order."""
        o, (part, operation, seed) = self.options, dataset.key
        order = data.order(self.all_samples, seed)[:: 1 if part == "train" else -1]
        index = order[: dataset.samples]
        if o.task == "parity":
            whole = data.parity(o.samples, o.parity_bits + o.noise_bits, o.parity_bits, seed)
            return Batch(*(array[index] for array in whole))
        if o.task == "binary":
            return data.coded(o.p, operation, o.code_bits, seed, index)
        return data.pairs(o.p, operation, index)

    # ---- the network

    def shapes(self, cell: numbers.Cell, platform: str) -> Shapes:
        """Hidden units in multiples of 8; on a CPU larger blocks than the engine's, by `dense`."""
        name = OPTIMIZERS[int(cell.optimizer)]
        units, look_up = model.padded(cell.width), platform == "cpu"
        large = platform == "cpu" and self.sizes(cell)[0] >= ROWS
        size = Size(units, int(cell.depth), name, look_up, cell.dropout > 0)
        return Shapes(size, block=(ROWS,) if large else ())

    def init(self, cell: numbers.Cell, shapes: Shapes) -> model.Params:
        """Initial weights, distributed as PyTorch's."""
        o, key = self.options, jax.random.key(cell.seed)
        units, depth = shapes.size.units, shapes.size.depth
        if o.architecture == "transformer":
            return model.transformer_init(key, cell.width, units, o.embedding, o.p)
        inputs = {
            "modular": 2 * o.p,
            "binary": 2 * o.code_bits,
            "parity": o.parity_bits + o.noise_bits,
        }[o.task]
        classes = 2 if o.task == "parity" else o.p
        return model.mlp_init(key, cell.width, units, depth, inputs, classes, o.biases)

    def augment(
        self, cell: numbers.Cell, shapes: Shapes, step: jax.Array, index: jax.Array, batch: Batch
    ) -> Batch | KeyedBatch:
        """With the key of dropout, where there is some."""
        if not shapes.size.drops:
            return batch
        key = jax.random.fold_in(jax.random.key(cell.seed), DROPOUT)
        return KeyedBatch(*batch, jax.random.fold_in(jax.random.fold_in(key, step), index))

    def logits(
        self, cell: numbers.Cell, shapes: Shapes, params: model.Params, batch: Batch | KeyedBatch
    ) -> jax.Array:
        """What the network says to the inputs of a batch, (rows, classes)."""
        x = batch.x
        if self.options.architecture == "transformer":
            key = batch.key if isinstance(batch, KeyedBatch) else None
            return model.transformer(params, x, cell.dropout, key)
        modular = self.options.task == "modular"
        weights = params["W1"]
        first = model.of_pair(weights, x, shapes.size.look_up) if modular else x @ weights
        return model.mlp(params, shapes.size.depth, first)

    def loss(
        self,
        cell: numbers.Cell,
        shapes: Shapes,
        view: model.Params,
        batch: Batch,
        weight: jax.Array,
    ) -> jax.Array:
        """The cell's loss of logits times alpha, summed."""
        z = cell.alpha * self.logits(cell, shapes, view, batch)
        return (weight * sample_losses(cell.loss, z, batch.y, cell.t)).sum()

    def optimizer(self, cell: numbers.Cell, shapes: Shapes) -> optax.GradientTransformation:
        """AdamW or SGD, on the gradient or its perpendicular part."""
        lr = cell.lr / cell.alpha**2
        return optimizer(
            shapes.size.optimizer,
            cell.perp,
            lr,
            cell.weight_decay,
            cell.beta2,
            cell.eps,
            cell.momentum,
        )

    # ---- what is measured

    def recorded(self, cell: numbers.Cell) -> tuple[int, ...]:
        """Log-spaced steps."""
        return history_steps(int(cell.steps), self.options.points)

    def measure(
        self,
        cell: numbers.Cell,
        shapes: Shapes,
        view: model.Params,
        batch: Batch,
        weight: jax.Array,
    ) -> dict[str, jax.Array]:
        """Loss, right answers, and how far the logits have come; alpha counts in training only.

        `collapsed`: the softmax sum of the cell's own loss is 1. `sc_11`, `sc_24`, `sc_53`: that of
        exp would be 1 with so many bits, whatever the loss.
        """
        z = self.logits(cell, shapes, view, batch)
        losses = sample_losses(cell.loss, z, batch.y, cell.t)
        (top, answer), (r, _) = largest(z), rest(z)
        values = {
            "loss": losses,
            "accuracy": answer == batch.y,
            "zero_loss": losses == 0,
            "collapsed": collapsed(cell.loss, z, cell.t),
            **{f"sc_{bits}": r <= 2.0**-bits for bits in BITS},
            "logit_gap": top - second_largest(z),
            "logit_size": jnp.abs(z).mean(axis=1),
        }
        return {name: (weight * value).sum() for name, value in values.items()}

    def summarise(
        self, cell: numbers.Cell, shapes: Shapes, params: model.Params
    ) -> dict[str, jax.Array]:
        """Euclidean norms, of all weights and of each tensor."""
        own = {f"norm_{name}": jnp.linalg.norm(tensor) for name, tensor in params.items()}
        return {"norm": optax.tree.norm(params), **own}

    def summarise_update(
        self,
        cell: numbers.Cell,
        shapes: Shapes,
        params: model.Params,
        grads: model.Params,
        updates: model.Params,
    ) -> dict[str, jax.Array]:
        """Cosines of the weights with the negative gradient and with the update: 1 is growth."""
        cosines = {}
        for kind, directions in (
            ("gradient", jax.tree.map(jnp.negative, grads)),
            ("update", updates),
        ):
            cosines[f"{kind}_cosine"] = cosine(params, directions)
            for name, tensor in params.items():
                cosines[f"{kind}_cosine_{name}"] = cosine(tensor, directions[name])
        return cosines

    # ---- first times

    def look_every(self, cell: numbers.Cell) -> int:
        """Updates between two looks, an option."""
        return self.options.look_every

    def memo(self, cell: numbers.Cell, shapes: Shapes, params: model.Params) -> FirstTimes:
        """All first times, none of them reached yet: NaN."""
        never = jnp.float32(NEVER)
        return FirstTimes(never, never, never, jnp.full(len(BITS), never))

    def look(
        self, cell: numbers.Cell, shapes: Shapes, now: Look, memo: FirstTimes
    ) -> tuple[FirstTimes, jax.Array]:
        """Keep first times; no cell stops early."""
        of, step = now.measured, now.step
        sc = jnp.stack([of[f"train_sc_{bits}"] for bits in BITS])
        times = FirstTimes(
            first_step(step, of["train_accuracy"] >= FIT, memo.fit),
            first_step(step, of["test_accuracy"] >= GENERALIZED, memo.gen),
            first_step(step, of["train_collapsed"] >= HALF, memo.sc),
            first_step(step, sc >= HALF, memo.sc_bits),
        )
        return times, jnp.int32(NOT_ENDED)

    # ---- results

    def diverged(self, cell: numbers.Cell, history: Mapping[str, np.ndarray]) -> str:
        """Never: spikes of the loss after collapse are what the study is about."""
        return ""

    def report(self, cell: numbers.Cell, trained: Trained) -> dict[str, Variable]:
        """First times, NaN where never, and the delay between fit and generalization."""
        times: FirstTimes = trained.memo

        def time(value: Any, what: str) -> Variable:
            return Variable((), np.float32(value), {"long_name": f"first step with {what}"}, True)

        half = "half of the training samples collapsed"
        return {
            "t_fit": time(times.fit, f"a train accuracy of {FIT}"),
            "t_gen": time(times.gen, f"a test accuracy of {GENERALIZED}"),
            "t_sc": time(times.sc, half),
            **{
                f"t_sc_{bits}": time(times.sc_bits[i], f"{half} at {bits} bits")
                for i, bits in enumerate(BITS)
            },
            "delay": Variable(
                (), np.float32(times.gen / times.fit), {"long_name": "t_gen / t_fit"}, True
            ),
        }


STUDY = Grokking
