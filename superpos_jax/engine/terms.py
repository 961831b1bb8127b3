"""What a study is written in: data sets and feeds, shapes, looks, variables, types of numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Annotated, Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from superpos_jax.engine.verdicts import FINISHED

PyTree = Any
CELL, STEP, ARM = "cell", "step", "arm"
"""Dimensions of a stored result, and the axis of a sweep's arms."""
HISTORY_POINTS = 24
"""History is kept at about that many log-spaced steps, and at the first and the last."""

Seed = Annotated[int, Field(ge=0, lt=2**31, description="a seed fits 31 bits")]
Positive = Annotated[
    float, Field(ge=1e-37, le=3e38, description="a positive number that float32 can hold")
]
NotNegative = Annotated[float, Field(ge=0, le=3e38, description="0 or more")]
Steps = Annotated[int, Field(ge=1, le=100_000_000, description="updates of the weights")]


class Options(BaseModel):
    """Static choices of a study: the same for every cell of a sweep. A study may add its own."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


@dataclass(frozen=True)
class Shapes:
    """The shapes that a cell is computed in.

    Cells of equal shapes are stacked and share compiled code. Shapes depend on the cell's own
    numbers only, so that its results have the same bits alone and in any sweep.

    Attributes:
        size: what fixes the shapes of the parameters, or is static about the model (the padded
            hidden dimension, say); hashable.
        block: shape of a block of data, samples first. The engine chooses where it is left out.
        row_cost: operations that a row of a block costs, padding included; 0: use `sample_cost`.
        beside: how many cells a CPU vectorises together; 0: the engine chooses.
        kernel: `superpos_jax.engine.kernel.Kernel`, which computes all cells at once; `block` is
            then (rows,). None: block by block, by `Study.loss_and_grad`.
    """

    size: Any = None
    block: tuple[int, ...] = ()
    row_cost: float = field(default=0.0, compare=False)
    beside: int = field(default=0, compare=False)
    kernel: Any = None

    @property
    def rows(self) -> int:
        """Samples in a block."""
        return self.block[0]


EVALUATE = Literal["look", "history", "end"]


class DataSet(NamedTuple):
    """The first `samples` samples of the stream that `key` names.

    Data sets with equal keys share one stream.

    Attributes:
        key: any hashable value; `load` reads it as `dataset.key`.
        samples: how many.
        evaluate: when the data set is measured. "history": at every point of the history. "look":
            at every look as well. "end": only after the last update.
        more: keys of further draws, of as many samples each, measured once, after the last update.
            The result is then the mean over all draws; its standard error is stored beside it:
            `test_loss`, `test_loss_error`.
    """

    key: Any
    samples: int
    evaluate: EVALUATE = "history"
    more: tuple[Any, ...] = ()


class FullBatch(NamedTuple):
    """Every update sees all training samples."""


ORDER = Literal["epochs", "replace"]


class Minibatch(NamedTuple):
    """Every update sees `size` training samples, chosen by the cell's seed and the step.

    order: "epochs" takes every sample once before any is taken twice, in an order that is new in
    each epoch; the last batch of an epoch may be smaller. "replace" draws with replacement.
    """

    size: int
    order: ORDER = "epochs"


class Fresh(NamedTuple):
    """Every update sees `samples` new samples, which `Study.draw` makes."""

    samples: int


Feed = FullBatch | Minibatch | Fresh


class Variable(NamedTuple):
    """One reported quantity of one cell: names of its own dimensions, values, attributes.

    `of_dead`: keep the value for a cell that died (its last finite weights, say).
    """

    dims: tuple[str, ...]
    values: Any
    attrs: Mapping[str, Any]
    of_dead: bool = False


class Look(NamedTuple):
    """What a study sees of a training cell when it looks at it.

    Attributes:
        step: updates done.
        params: the cell's current parameters.
        measured: `{"train_loss": ..., ...}`, the metrics of every `DataSet` with
            `evaluate="look"`; the others are absent.
    """

    step: Any
    params: PyTree
    measured: Mapping[str, Any]


class Trained(NamedTuple):
    """What a study reports from: a cell whose training has ended (host).

    Attributes:
        params: the last finite parameters, numpy arrays.
        history: `step`, and each metric and summary at these steps, (steps,).
        memo: what the last look returned, numpy arrays.
        verdict: `FINISHED`, `NON_FINITE` or `DIVERGED`.
        reason: why it stopped early or counts as diverged, in words; else empty.
        updates: how many were done.
    """

    params: PyTree
    history: Mapping[str, np.ndarray]
    memo: PyTree = ()
    verdict: int = FINISHED
    reason: str = ""
    updates: int = 0


NEVER = float("nan")
"""The step of what has not happened, for `first_step`."""


def first_step(step: jax.Array, condition: jax.Array, before: jax.Array) -> jax.Array:
    """The step at which a condition first held, float32 (exact below 2^24); `NEVER` until then.

    Args:
        step: now.
        condition: whether it holds now.
        before: what this function returned at the last look.

    >>> steps = jnp.float32(NEVER)
    >>> for step, loss in ((10, 0.7), (20, 0.3), (30, 0.1)):
    ...     steps = first_step(jnp.int32(step), jnp.float32(loss) < 0.5, steps)
    >>> float(steps)
    20.0
    """
    return jnp.where(jnp.isnan(before) & condition, step, before).astype(jnp.float32)


@lru_cache(maxsize=1024)
def history_steps(length: int, points: int = HISTORY_POINTS) -> tuple[int, ...]:
    """Steps at which a training of that many updates is recorded: 0, then log-spaced.

    >>> history_steps(8)
    (0, 1, 2, 3, 4, 5, 6, 7, 8)
    >>> history_steps(1000, points=4)
    (0, 1, 10, 100, 1000)
    """
    steps = np.geomspace(1, length, points).round().astype(int)
    return tuple(sorted({0, *steps.tolist()}))
