"""Large learning rates, robustness to spurious correlations, compressibility: the study.

    logits = U ReLU(W_k ... ReLU(W_1 x + b_1) ... + b_k)     k = 1, 2, 3 hidden layers
    loss = cross-entropy, mean over a minibatch drawn with replacement
    sgd:   v <- momentum v + (grad + weight_decay w + l1 sign(w)),  w <- w - lr v
    adamw: the same l1, decoupled weight decay

After Barsbey, Prieto, Zafeiriou and Birdal, "Large Learning Rates Simultaneously Achieve
Robustness to Spurious Correlations and Compressibility" (ICCV 2025, arXiv 2507.17748). No code of
it is public, and only its abstract and first figure could be read: its claims are studied in tasks
of our own.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from pydantic import Field

from superpos_jax.engine import study
from superpos_jax.engine.study import (
    NEVER,
    DataSet,
    Look,
    Minibatch,
    Shapes,
    Study,
    Trained,
    Variable,
    first_step,
    history_steps,
)
from superpos_jax.engine.verdicts import DIVERGED, FINISHED, NOT_ENDED
from superpos_jax.studies.large_lr import network, training
from superpos_jax.studies.large_lr.cell import LABELS, PROTOCOLS, Numbers
from superpos_jax.studies.large_lr.digits import HELD_OUT, TRAIN
from superpos_jax.studies.large_lr.network import Params
from superpos_jax.studies.large_lr.report import measured
from superpos_jax.studies.large_lr.samples import (
    PARTS,
    Batch,
    Stream,
    aligned,
    conflicting,
    stream_of,
)
from superpos_jax.studies.large_lr.tasks import task_of

if TYPE_CHECKING:
    from superpos_jax.drawing.spec import FigureSpec

LOOK_EVERY = 10
ROWS = {"cpu": 128}
"""Samples of a block; 512 on other platforms."""
STOPPED, FAR = "train loss below the stop level, all right", "train loss above 20 log K"
FAR_FACTOR = 20.0
SLACK = 0.05
"""With ten labels a network has fitted the cue at a train accuracy of rho minus that."""


class Choices(study.Options):
    """Static choices."""

    test_samples: int = Field(2000, ge=10, description="of tasks that are drawn, not of images")


class Memo(NamedTuple):
    """What looks remember; each () float32, NaN until it was seen.

    fitted: the first look with a train accuracy of rho. phi, confidence: there. most_confident:
    the largest confidence on misled samples so far. stopped: the first look at the stop level.
    """

    fitted: Any
    phi: Any
    confidence: Any
    most_confident: Any
    stopped: Any


class LargeLR(Study):
    """Cross-entropy in nats a sample; a uniform guess scores log K.

    A sample is aligned where its cue speaks for its label, conflicting where it speaks for another
    one. phi: the share of the train loss that lies in conflicting samples; confidence_conflicting:
    mean largest probability of conflicting training samples that are wrong; both at the first look
    (every 10 updates) with a train accuracy of rho, with ten labels of rho - 0.05.
    """

    Cell = Numbers
    Options = Choices
    options: Choices
    labels: ClassVar = LABELS
    shown: ClassVar = ("unbiased_accuracy", "worst_group_accuracy", "compressibility", "core_use")
    ends: ClassVar = {STOPPED: FINISHED, FAR: DIVERGED}

    @classmethod
    def figures(cls) -> Mapping[str, FigureSpec]:
        """Those of `large_lr.figures`."""
        from superpos_jax.studies.large_lr.figures import FIGURES

        return FIGURES

    def wrong(self, cell: Numbers) -> str:
        """Images are few."""
        if _of_images(cell) and cell.N > TRAIN:
            return f"N = {cell.N:,}: {cell.task_name} has {TRAIN:,} training images"
        return ""

    # ---- data

    def datasets(self, cell: Numbers) -> Mapping[str, DataSet]:
        """Training; the same distribution again; and a cue that says nothing of the label."""
        held_out = HELD_OUT if _of_images(cell) else self.options.test_samples
        sizes = {"train": cell.N, "validation": held_out, "test": held_out}
        when = {"train": "look", "validation": "end", "test": "history"}
        chance = 1 / task_of(cell).classes
        return {
            part: DataSet(stream_of(part, cell, chance), sizes[part], when[part])  # type: ignore[arg-type]
            for part in PARTS
        }

    def load(self, dataset: DataSet) -> Batch:
        """Inputs, labels and what the cues speak for."""
        return samples(dataset.key, dataset.samples)

    def feed(self, cell: Numbers) -> Minibatch:
        """Drawn with replacement."""
        return Minibatch(cell.batch, "replace")

    # ---- the network

    def shapes(self, cell: Numbers, platform: str) -> Shapes:
        """What is static about the network and its optimizer."""
        task = task_of(cell)
        kind = network.kind_of(cell, task.inputs(cell), task.classes)
        return Shapes(kind, (ROWS.get(platform, 512), kind.inputs))

    def sample_cost(self, cell: Numbers) -> float:
        """Operations of one sample, no padding."""
        task, width = task_of(cell), cell.width
        within = (cell.depth - 1) * width**2
        return 6.0 * (width * (task.inputs(cell) + task.classes) + within)

    def init(self, cell: Numbers, shapes: Shapes) -> Params:
        """Weights of the cell's seed, the same for every learning rate."""
        return network.init(shapes.size, cell.width, jax.random.key(cell.seed))

    def loss(
        self, cell: Numbers, shapes: Shapes, view: Params, batch: Batch, weight: jax.Array
    ) -> jax.Array:
        """Cross-entropy, summed."""
        logits = network.logits(shapes.size, view, batch.x)
        return (weight * _cross_entropy(logits, batch.y)).sum()

    def optimizer(self, cell: Numbers, shapes: Shapes) -> optax.GradientTransformation:
        """By name, at a constant learning rate."""
        return training.optimizer(shapes.size.optimizer, cell)

    # ---- what is measured

    def recorded(self, cell: Numbers) -> tuple[int, ...]:
        """About 24 log-spaced steps."""
        return history_steps(cell.steps)

    def measure(
        self, cell: Numbers, shapes: Shapes, view: Params, batch: Batch, weight: jax.Array
    ) -> dict[str, jax.Array]:
        """Losses, right answers, and both for samples by their cue; summed."""
        x, y, s = batch
        logits = network.logits(shapes.size, view, x)
        losses, right = _cross_entropy(logits, y), logits.argmax(axis=1) == y
        against = conflicting(y, s)
        misled = against & ~right
        quantities = {
            "loss": losses,
            "accuracy": right,
            "aligned": aligned(y, s),
            "aligned_right": aligned(y, s) & right,
            "conflicting": against,
            "conflicting_right": against & right,
            "conflicting_loss": against * losses,
            "misled": misled,
            "misled_confidence": misled * jax.nn.softmax(logits).max(axis=1),
            "logit_norm": jnp.linalg.norm(logits, axis=1),
        }
        return {name: (weight * value).sum() for name, value in quantities.items()}

    def metrics(
        self, cell: Numbers, shapes: Shapes, means: Mapping[str, jax.Array]
    ) -> dict[str, jax.Array]:
        """Means over all samples, and over those that the cue helps or misleads."""
        return {
            "loss": means["loss"],
            "accuracy": means["accuracy"],
            "aligned_accuracy": means["aligned_right"] / means["aligned"],
            "conflicting_accuracy": means["conflicting_right"] / means["conflicting"],
            "phi": means["conflicting_loss"] / means["loss"],
            "confidence_conflicting": means["misled_confidence"] / means["misled"],
            "logit_norm": means["logit_norm"],
        }

    def summarise(self, cell: Numbers, shapes: Shapes, params: Params) -> dict[str, jax.Array]:
        """The norm of all weights."""
        return {"weight_norm": optax.tree.norm(params.weights)}

    # ---- stop rules

    def look_every(self, cell: Numbers) -> int:
        """At high learning rates the stop level is reached after some 80 updates."""
        return LOOK_EVERY

    def memo(self, cell: Numbers, shapes: Shapes, params: Params) -> Memo:
        """Nothing seen yet."""
        return Memo(*(jnp.float32(NEVER) for _ in Memo._fields))

    def look(self, cell: Numbers, shapes: Shapes, now: Look, memo: Memo) -> tuple[Memo, jax.Array]:
        """Whether the cell has fitted, reached the stop level, or diverged."""
        loss, accuracy = now.measured["train_loss"], now.measured["train_accuracy"]
        phi, confidence = now.measured["train_phi"], now.measured["train_confidence_conflicting"]
        classes = shapes.size.classes
        fits = accuracy >= cell.rho - (SLACK if classes > 2 else 0.0)
        first = jnp.isnan(memo.fitted) & fits
        stops = (loss < cell.stop_loss) & (accuracy == 1)
        memo = Memo(
            fitted=first_step(now.step, fits, memo.fitted),
            phi=jnp.where(first, phi, memo.phi),
            confidence=jnp.where(first, confidence, memo.confidence),
            most_confident=jnp.fmax(confidence, memo.most_confident),
            stopped=first_step(now.step, stops, memo.stopped),
        )
        matched = stops & (cell.protocol == PROTOCOLS.index("match"))
        ended = jnp.where(matched, self.end(STOPPED), NOT_ENDED)
        far = loss > FAR_FACTOR * np.log(classes)
        return memo, jnp.where(far, self.end(FAR), ended)

    # ---- results

    def diverged(self, cell: Numbers, history: Mapping[str, np.ndarray]) -> str:
        """Looks say so."""
        return ""

    def report(self, cell: Numbers, trained: Trained) -> dict[str, Variable]:
        """What is measured of the trained network, and what looks remember."""
        params = network.trimmed(trained.params, cell.width)
        datasets = self.datasets(cell)
        parts = {part: self.load(datasets[part]) for part in ("validation", "test")}
        task, memo = task_of(cell), trained.memo
        numbers = measured(params, task.classes, parts, masks(cell))
        remembered = {
            "phi": (memo.phi, "share of the train loss in conflicting samples, when first fitted"),
            "confidence_conflicting": (
                memo.confidence,
                "confidence on conflicting samples that are wrong, when first fitted",
            ),
            "most_confident_conflicting": (memo.most_confident, "the same, largest of all looks"),
            "steps_to_fit": (memo.fitted, "updates to a train accuracy of rho"),
            "steps_to_stop": (memo.stopped, "updates to the stop level"),
            "converged": (float(np.isfinite(memo.stopped)), "1: reached the stop level"),
        }
        scalars = {
            name: Variable((), np.float32(value), {"long_name": words})
            for name, (value, words) in remembered.items()
        }
        return {**numbers, **scalars}


def masks(cell: Numbers) -> dict[str, np.ndarray]:
    """(inputs,) bool: which inputs are of the core and which of the cue, where they are apart."""
    task = task_of(cell)
    if "core" not in task.groups(cell):
        return {}
    return {group: task.mask(cell, group) for group in ("core", "cue")}


@lru_cache(maxsize=256)
def samples(stream: Stream, count: int) -> Batch:
    """The first samples of a stream; kept, since a sweep asks for the same ones again and again."""
    return task_of(stream.cell).draw(stream, count)


def _cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels)


def _of_images(cell: Numbers) -> bool:
    return cell.task_name.endswith("_digits")


STUDY = LargeLR
