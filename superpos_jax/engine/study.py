"""What a study tells the engine: pure functions of one cell.

A *cell* is one model with its hyperparameters. A study says how a cell's data are laid out in
blocks of samples, how its parameters start, what one block contributes to loss and gradient, and
what to report. It never learns that it is mapped over a grid, and the engine never learns what is
being trained.
"""

from __future__ import annotations

import abc
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple

import jax
import numpy as np
import optax
from pydantic import BaseModel

from superpos_jax.text import Labels

PyTree = Any
HISTORY_POINTS = 24
"""History is kept at about that many log-spaced steps, and at the first and the last."""


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


@dataclass(frozen=True)
class Layout:
    """The padded shapes one cell is computed in. It depends on the cell's own values alone.

    Cells of equal layout are stacked and share compiled code; because no other cell has a say in
    it, a cell is computed in the same shapes, and to the same bits, alone and in company.
    """

    block: tuple[int, ...]
    """Shape of a block of data: samples first, then whatever the study needs."""
    shape: Any
    """Whatever else fixes array shapes, hashable (the padded hidden dimension, say)."""
    row_cost: float
    """Operations one row of a block costs, padding included."""

    @property
    def rows(self) -> int:
        """Samples in a block."""
        return self.block[0]


class DataSet(NamedTuple):
    """The first `samples` samples of the stream that the hashable `key` names."""

    key: Any
    samples: int


class Variable(NamedTuple):
    """One reported quantity of one cell: names of its own dimensions, values, attributes.

    `of_dead`: keep the value for a cell that died (its last finite weights, say).
    """

    dims: tuple[str, ...]
    values: Any
    attrs: Mapping[str, Any]
    of_dead: bool = False


class Study(abc.ABC):
    """A study: pure functions of one cell, mapped over the grid by the engine.

    `cell_type` is a frozen dataclass (made a pytree here); its fields are the numbers that can be
    swept, with defaults and limits (`Annotated[int, Field(ge=1)]`). `options_type` is a frozen
    pydantic model of the static choices. Both are checked before anything is compiled.
    """

    cell_type: ClassVar[type]
    options_type: ClassVar[type[BaseModel]]
    labels: ClassVar[Labels] = Labels()
    """What the numbers of a cell, and some of their values, are called."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "cell_type" in vars(cls):
            with contextlib.suppress(ValueError):  # registered already
                jax.tree_util.register_dataclass(cls.cell_type)

    def __init__(self, options: BaseModel) -> None:
        self.options = options

    @classmethod
    def name(cls) -> str:
        """Whose results and checkpoints they are, `package.module:Class`."""
        return f"{cls.__module__}:{cls.__qualname__}"

    @classmethod
    def cell_fields(cls) -> tuple[str, ...]:
        """Names of the numbers of a cell; each can be an axis."""
        return tuple(field.name for field in fields(cls.cell_type))

    @classmethod
    def figures(cls) -> Mapping[str, Any]:
        """The figures that read this study's results, by name."""
        return {}

    def wrong(self, cell: Any) -> str:
        """Why a cell whose numbers are within their limits cannot be trained; empty if it can."""
        return ""

    @abc.abstractmethod
    def layout(self, cell: Any, platform: str) -> Layout:
        """Padded shapes of a cell (host numbers) on a platform: "cpu", "gpu" or "tpu"."""

    @abc.abstractmethod
    def sample_cost(self, cell: Any) -> float:
        """Operations one sample of the cell costs with no padding at all."""

    def update_cost(self, cell: Any) -> float:
        """Operations an update costs beside its samples, padding aside: the optimizer's."""
        return 0.0

    @abc.abstractmethod
    def steps(self, cell: Any) -> Any:
        """Number of optimizer updates of the cell; traced when the cell is."""

    def recorded(self, cell: Any) -> tuple[int, ...]:
        """Steps at which the cell's history is kept; the last one is its number of updates."""
        return history_steps(int(self.steps(cell)))

    @abc.abstractmethod
    def datasets(self, cell: Any) -> Mapping[str, DataSet]:
        """The cell's data by name; `train` is trained on, all are evaluated."""

    @abc.abstractmethod
    def blocks(self, dataset: DataSet, block: tuple[int, ...]) -> PyTree:
        """The data set as numpy arrays, cut into ceil(samples / rows) blocks of a layout's shape.

        With no samples there are no blocks: arrays of length 0, of the same shape beyond.

        Shapes beyond the leading axis of blocks depend on `block` alone, so that a cell is computed
        in the same shapes in any company.
        """

    @abc.abstractmethod
    def init(self, cell: Any, layout: Layout) -> PyTree:
        """Initial parameters of a cell, in the layout's shapes."""

    @abc.abstractmethod
    def optimizer(self, cell: Any) -> optax.GradientTransformation:
        """The cell's optimizer; it sees the gradient *summed* over the cell's samples."""

    def batch(
        self, cell: Any, layout: Layout, block: PyTree, step: jax.Array, index: jax.Array
    ) -> PyTree:
        """What an update trains on in place of the training set's block number `index`.

        The block itself by default; a study may draw new samples at every step.
        """
        return block

    def view(self, cell: Any, layout: Layout, params: PyTree) -> PyTree:
        """The parameters as blocks read them: computed once a step, then read by every block.

        Differentiable: the gradient by the view, summed over blocks, is pulled back through it.
        """
        return params

    @abc.abstractmethod
    def loss_and_grad(
        self, cell: Any, layout: Layout, view: PyTree, block: PyTree, count: jax.Array
    ) -> tuple[jax.Array, PyTree]:
        """Loss and its gradient by the view, summed over the first `count` rows; 0 for none."""

    @abc.abstractmethod
    def summary(self, cell: Any, params: PyTree) -> dict[str, jax.Array]:
        """Scalars recorded along the training history, next to the losses."""

    @property
    def traces(self) -> Mapping[str, tuple[str, ...]]:
        """What `trace` gives, and the dimensions of each; none by default.

        Where there are some, the parameters come to the host whenever the history is recorded.
        """
        return {}

    def trace(self, cell: Any, params: PyTree) -> dict[str, np.ndarray]:
        """Arrays recorded along the training history (host numbers, numpy parameters)."""
        return {}

    def given(self, cell: Any) -> dict[str, Variable]:
        """What a cell's data alone say: in the result while the cell trains, and if it dies."""
        return {}

    @abc.abstractmethod
    def report(self, cell: Any, params: PyTree) -> dict[str, Variable]:
        """What a finished cell (host numbers, numpy parameters) adds to the result."""

    def result_bytes(self, cell: Any) -> int:
        """Bytes of the arrays that a finished cell adds to the result: of `report`, of `trace`."""
        return 0

    @abc.abstractmethod
    def inspect(self, cell: Any, report: Mapping[str, np.ndarray]) -> Any:
        """One cell as plain numpy, its data regenerated from keys: `Result.cell` returns it."""
