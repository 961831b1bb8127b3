"""The interface of a study: pure functions of one cell.

A *cell* is one model with its hyperparameters. A study says which data a cell has, how its
parameters start, what its loss is, what is measured and when training stops. It never learns that
it is mapped over a grid, and the engine never learns what is being trained.

The smallest study defines `Cell`, `datasets`, `load`, `init`, `loss` and `optimizer`;
studies/README.md shows one.
"""

from __future__ import annotations

import abc
import contextlib
from collections.abc import Hashable, Mapping
from dataclasses import fields
from typing import Any, ClassVar, get_args

import jax
import jax.numpy as jnp
import numpy as np
import optax
from pydantic import BaseModel

from superpos_jax.engine.inspected import CellArrays, Inspected
from superpos_jax.engine.script import SCRIPTS, script_name
from superpos_jax.engine.terms import (
    HISTORY_POINTS,
    NEVER,
    ORDER,
    DataSet,
    Feed,
    Fresh,
    FullBatch,
    Look,
    Minibatch,
    NotNegative,
    Options,
    Positive,
    PyTree,
    Seed,
    Shapes,
    Steps,
    Trained,
    Variable,
    first_step,
    history_steps,
)
from superpos_jax.engine.verdicts import DIVERGED, FINISHED, NOT_ENDED
from superpos_jax.errors import UserError
from superpos_jax.text import Labels

__all__ = [
    "DIVERGED_FACTOR",
    "FEWEST_POINTS",
    "HISTORY_POINTS",
    "NEVER",
    "DataSet",
    "Feed",
    "Fresh",
    "FullBatch",
    "Inspected",
    "Look",
    "Minibatch",
    "NotNegative",
    "Options",
    "Positive",
    "PyTree",
    "Seed",
    "Shapes",
    "Steps",
    "Study",
    "Trained",
    "Variable",
    "end_verdicts",
    "feed_of",
    "first_step",
    "history_steps",
    "shapes_of",
]

FEWEST_POINTS = 6
"""A history that is shortened to save time keeps at least that many log-spaced steps."""

DIVERGED_FACTOR = 2.0
"""A cell has diverged if its training loss ends above that many times its value at step 0."""


class Study(abc.ABC):
    """A study: pure functions of one cell, mapped over the grid by the engine.

    `Cell` is a frozen dataclass (made a pytree here); its fields are the hyperparameters,
    any of which can be swept, with defaults and limits (`Annotated[int, Field(ge=1)]`). `Options`
    is a frozen pydantic model of the static choices. Both are checked before anything is compiled.

    A traced cell holds 0-d arrays: never branch on its values in Python. Methods that say *host*
    are called outside of the compiled program, with plain numbers. Several of them are called once
    for all cells with equal values of the hyperparameters that the method reads.
    """

    Cell: ClassVar[type]
    Options: ClassVar[type[BaseModel]] = Options
    labels: ClassVar[Labels] = Labels()
    """Display names of hyperparameters, and names of some of their values."""
    cores_matter: ClassVar[bool | None] = None
    """Whether bits depend on the cores of a CPU: on its threads, and on one device or several.
    None: the engine looks for sums over many terms, and assumes that the devices matter."""
    shown: ClassVar[tuple[str, ...]] = ()
    """The metrics that the generic figures show first, `test_accuracy`; else losses."""
    ends: ClassVar[Mapping[str, int]] = {}
    """Reasons to stop early, in words, and the verdict of each: `FINISHED` or `DIVERGED`."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "Cell" in vars(cls):
            with contextlib.suppress(ValueError, TypeError):  # registered already, or no dataclass
                jax.tree_util.register_dataclass(cls.Cell)

    def __init__(self, options: BaseModel) -> None:
        self.options = options

    # ---- what it is called, what can be drawn (host)

    @classmethod
    def name(cls) -> str:
        """The identifier stored in results and checkpoints, `package.module:Class`.

        A class of the running script is named after its file, `sae:SAE`: others can import that.
        """
        module = script_name() if cls.__module__ in SCRIPTS else cls.__module__
        return f"{module}:{cls.__qualname__}"

    @classmethod
    def cell_fields(cls) -> tuple[str, ...]:
        """Names of the numbers of a cell; each can be an axis."""
        return tuple(field.name for field in fields(cls.Cell))

    @classmethod
    def figures(cls) -> Mapping[str, Any]:
        """The study's own figures, by name: `superpos_jax.plots.FigureSpec`."""
        return {}

    def wrong(self, cell: Any) -> str:
        """Why a cell whose numbers are within their limits cannot be trained; empty if it can."""
        return ""

    def alike(self, cell: Any) -> Hashable:
        """What decides the data, the initial weights and the training of a cell.

        Cells for which it is equal have the same bits, whatever they are called and whatever is
        stored of them. By default it is all numbers and all options.
        """
        return cell, self.options.model_dump_json()

    # ---- data (host)

    @abc.abstractmethod
    def datasets(self, cell: Any) -> Mapping[str, DataSet]:
        """The cell's data by name; `train` is trained on."""

    def load(self, dataset: DataSet) -> PyTree:
        """The data set as numpy arrays, samples first; the engine cuts them into blocks.

        The samples of a smaller data set are the first ones of a larger one with the same key.
        """
        raise UserError(f"study {type(self).__name__}: defines neither load nor blocks")

    def data_sources(self, cell: Any) -> Mapping[str, str]:
        """What outside of the package the cell's data are read from (host); by default nothing.

        By name, in words with a hash: they must change when the data do. They go into the
        provenance of a result. A run refuses a folder whose cells were trained on other data.
        """
        return {}

    def blocks(self, dataset: DataSet, block: tuple[int, ...]) -> PyTree:
        """The data set in ceil(samples / rows) blocks, a leading axis of numpy arrays.

        By default `load`, cut; a study may have a format of its own. Shapes beyond the leading axis
        depend on `block` alone. If `samples` is 0, the leading axis has length 0.
        """
        rows = block[0]
        wanted = max(1, dataset.samples)
        count = -(-dataset.samples // rows)

        name, asked = type(self).__name__, dataset._replace(samples=wanted)

        def cut(array: np.ndarray) -> np.ndarray:
            if not np.shape(array) or not hasattr(array, "shape"):
                kind = type(array).__name__
                raise UserError(f"study {name}: load: a {kind}; allowed: arrays, samples first")
            if len(array) != wanted:
                raise UserError(
                    f"study {name}: load: {len(array):,} samples of {asked}; allowed: {wanted:,},"
                    " dataset.samples"
                )
            padding = np.broadcast_to(array[:1], (-wanted % rows, *array.shape[1:]))
            return np.concatenate([array, padding]).reshape(-1, rows, *array.shape[1:])[:count]

        loaded = self.load(asked)
        if not jax.tree.leaves(loaded):
            raise UserError(f"study {name}: load: {loaded!r}; allowed: arrays, samples first")
        return jax.tree.map(cut, loaded)

    def feed(self, cell: Any) -> Feed:
        """What an update sees: `FullBatch()`, `Minibatch(size)` or `Fresh(samples)`."""
        return FullBatch()

    def draw(self, cell: Any, shapes: Shapes, step: jax.Array, index: jax.Array) -> PyTree:
        """Block number `index` of the new samples of a step; traced, for a `Fresh` feed."""
        raise UserError(f"study {type(self).__name__}: a Fresh feed needs draw")

    def augment(
        self, cell: Any, shapes: Shapes, step: jax.Array, index: jax.Array, batch: PyTree
    ) -> PyTree:
        """What the update after a step sees of a batch: by default the batch; traced.

        Noise, other views of a sample and the key of dropout come in here. They may depend on
        nothing but the cell, the step and `index`, the number of the block (0 for a minibatch):
        then a run that goes on has the same bits. Data sets are measured without; what
        `summarise_update` sees is of an update, with it.
        """
        return batch

    def batch_seed(self, cell: Any) -> Any:
        """The seed that chooses minibatches: the field `seed` of the cell by default, else 0."""
        return getattr(cell, "seed", 0)

    # ---- one cell (traced)

    def shapes(self, cell: Any, platform: str) -> Shapes:
        """The shapes of a cell on a platform, "cpu", "gpu" or "tpu" (host)."""
        return Shapes()

    @abc.abstractmethod
    def init(self, cell: Any, shapes: Shapes) -> PyTree:
        """Initial parameters of a cell."""

    def prepare(self, cell: Any, shapes: Shapes, params: PyTree) -> PyTree:
        """The parameters as blocks read them: computed once a step, then read by every block.

        It must be differentiable: the engine sums gradients with respect to the view over blocks
        and then applies this function's VJP.
        """
        return params

    def loss(
        self, cell: Any, shapes: Shapes, view: PyTree, batch: PyTree, weight: jax.Array
    ) -> jax.Array:
        """The loss of a batch, () float32: `jnp.sum(weight * loss_of_each_sample)`.

        It is a sum, never a mean: batches are padded with rows of weight 0, and the engine divides.

        Args:
            cell: of traced numbers.
            shapes: of the cell.
            view: what `prepare` returns; the parameters by default.
            batch: arrays of samples, as `load` gives them.
            weight: (rows,) float32, 1 for the cell's samples and 0 for other rows.
        """
        raise UserError(f"study {type(self).__name__}: defines neither loss nor loss_and_grad")

    def loss_and_grad(
        self, cell: Any, shapes: Shapes, view: PyTree, batch: PyTree, weight: jax.Array
    ) -> tuple[jax.Array, PyTree]:
        """The loss of a batch and its gradient by the view; differentiates `loss` by default."""

        def loss(view: PyTree) -> jax.Array:
            return self.loss(cell, shapes, view, batch, weight)

        return jax.value_and_grad(loss)(view)

    def scale(self, cell: Any, samples: Any) -> Any:
        """What the summed loss and gradient are multiplied by: 1 / samples, the mean."""
        return 1 / samples

    @abc.abstractmethod
    def optimizer(self, cell: Any, shapes: Shapes) -> optax.GradientTransformation:
        """The cell's optimizer; it sees the mean gradient, and the mean loss as `value`."""

    def steps(self, cell: Any) -> Any:
        """The greatest number of updates of the cell; traced when the cell is.

        By default the field `steps` of the cell; a study without that field overrides this.
        """
        return cell.steps

    # ---- what is measured

    def recorded(self, cell: Any) -> tuple[int, ...]:
        """Steps at which the cell's history is kept (host); the last is its number of updates.

        By default about 24 log-spaced steps. Where an update sees a part of the data, measuring all
        of it may cost more than 10 % of the training: then fewer steps, but at least 6. A cell
        that may finish early is expected to do half of its updates. A study may override this.
        """
        steps, feed = int(self.steps(cell)), feed_of(self, cell)
        if isinstance(feed, FullBatch):
            return history_steps(steps)
        seen = feed.size if isinstance(feed, Minibatch) else feed.samples
        data = sum(d.samples for d in self.datasets(cell).values() if d.evaluate != "end")
        # Measuring a sample took 0.5 to 0.6 of its update; step 0 and the end come on top.
        expected = steps / 2 if FINISHED in self.ends.values() else steps
        affordable = int(0.1 / 0.6 * expected * seen / max(1, data)) - 2
        return history_steps(steps, int(np.clip(affordable, FEWEST_POINTS, HISTORY_POINTS)))

    def measure(
        self, cell: Any, shapes: Shapes, view: PyTree, batch: PyTree, weight: jax.Array
    ) -> dict[str, jax.Array]:
        """Quantities of a batch, each summed over samples with their weights: `loss` by default.

        A quantity is a scalar, or an array if `metrics` makes scalars of it.
        """
        return {"loss": self.loss_and_grad(cell, shapes, view, batch, weight)[0]}

    def metrics(
        self, cell: Any, shapes: Shapes, means: Mapping[str, jax.Array]
    ) -> dict[str, jax.Array]:
        """The scalars that are kept of a data set, "loss" among them: the means by default.

        A ratio of sums is a ratio of means; the least of several groups is the least of an array.
        The result holds them by data set: `test_accuracy`, `history_test_accuracy`.

        Args:
            cell: of traced numbers.
            shapes: of the cell.
            means: what `measure` returns, as means over the samples of one data set.
        """
        return {**means}

    def summarise(self, cell: Any, shapes: Shapes, params: PyTree) -> dict[str, jax.Array]:
        """Scalars of the parameters along the history: norms."""
        return {}

    def summarise_update(
        self, cell: Any, shapes: Shapes, params: PyTree, grads: PyTree, updates: PyTree
    ) -> dict[str, jax.Array]:
        """Scalars along the history of the next mean gradient and of the update it would make."""
        return {}

    @property
    def summarises_updates(self) -> bool:
        """Whether the study has a `summarise_update` of its own; it costs a gradient."""
        return type(self).summarise_update is not Study.summarise_update

    @property
    def traces(self) -> Mapping[str, tuple[str, ...]]:
        """What `trace` gives, and the dimensions of each; none by default.

        Where there are some, the parameters come to the host whenever the history is recorded.
        """
        return {}

    def trace(self, cell: Any, params: PyTree) -> dict[str, np.ndarray]:
        """Arrays recorded along the history (host, numpy parameters)."""
        return {}

    # ---- stop rules (traced)

    def look_every(self, cell: Any) -> int:
        """Updates from one look at the cell to the next (host); 0: nobody looks."""
        return 0

    def memo(self, cell: Any, shapes: Shapes, params: PyTree) -> PyTree:
        """The initial value of the memo that `look` updates: any pytree of arrays."""
        return ()

    def look(self, cell: Any, shapes: Shapes, now: Look, memo: PyTree) -> tuple[PyTree, jax.Array]:
        """The new memo, and whether the cell stops: `end(reason)`, or `NOT_ENDED` to go on.

        Args:
            cell: of traced numbers.
            shapes: of the cell.
            now: what is measured, and the parameters.
            memo: that of the last look.
        """
        return memo, jnp.int32(NOT_ENDED)

    def end(self, reason: str) -> int:
        """The code of a reason in `ends`, for `look` to return."""
        if reason not in self.ends:
            allowed = ", ".join(map(repr, self.ends)) or "none, ends is empty"
            raise UserError(f"end({reason!r}): unknown; allowed: {allowed}")
        return list(self.ends).index(reason)

    # ---- results (host)

    def diverged(self, cell: Any, history: Mapping[str, np.ndarray]) -> str:
        """The reason why a trained cell counts as diverged, in words; empty if it does not.

        By default a cell has diverged if its training loss ends above twice its value at step 0.
        """
        loss = history["train_loss"]
        far = loss[-1] > DIVERGED_FACTOR * loss[0]
        return f"train loss above {DIVERGED_FACTOR:g} times its start" if far else ""

    def given(self, cell: Any) -> dict[str, Variable]:
        """Variables computed from the cell's data only.

        They are in the result while the cell trains, and stay there if it dies.
        """
        return {}

    def report(self, cell: Any, trained: Trained) -> dict[str, Variable]:
        """What a trained cell adds to the result; nothing by default, the weights neither.

        It is tried before training, on a cell that has done no update: its history is one point.
        """
        return {}

    def restore(self, cell: Any, shapes: Shapes, arrays: Mapping[str, np.ndarray]) -> PyTree:
        """The parameters of a trained cell from its arrays in a result, laid out as by `init`.

        `superpos measure` measures them again. By default nothing that is stored gives them: None.
        Arrays are as long as the longest in the result: those of smaller cells end in NaN (whole
        numbers in -1) and are to be cut to the cell's size.
        """
        return None

    def result_bytes(self, cell: Any) -> int:
        """Bytes of the arrays that a trained cell adds to the result: of `report`, of `trace`."""
        return 0

    def inspect(self, cell: Any, report: Mapping[str, np.ndarray]) -> Inspected:
        """What `Result.cell` returns: by default the cell's arrays of the result, by name.

        A study may add the cell's data, made again from their keys: no result stores them.
        """
        return CellArrays(cell, report)

    # ---- what it costs (host)

    def hint(self, platform: str) -> str:
        """What would make it faster on a platform, in words; empty if nothing (host)."""
        return ""

    def sample_cost(self, cell: Any) -> float:
        """Operations that one sample of an update costs, no padding.

        By default 6 for each parameter: 2 forward, 4 backward, as in dense layers.
        """
        return 6.0 * _parameters(self, shapes_of(self, cell, "cpu"), cell)

    def update_cost(self, cell: Any) -> float:
        """Operations an update costs besides its samples, padding aside: the optimizer's."""
        return 0.0


def shapes_of(study: Study, cell: Any, platform: str) -> Shapes:
    """The shapes of a cell on a platform.

    Raises:
        UserError: the study gives something else.
    """
    shapes = study.shapes(cell, platform)
    if not isinstance(shapes, Shapes):
        raise UserError(f"study {type(study).__name__}: shapes: {shapes!r}; allowed: Shapes(size)")
    return shapes


def feed_of(study: Study, cell: Any) -> Feed:
    """What an update of a cell sees.

    Raises:
        UserError: the study gives something else, or an order that is none.
    """
    wrong, feed = f"study {type(study).__name__}: feed: ", study.feed(cell)
    if not isinstance(feed, Feed):
        raise UserError(f"{wrong}{feed!r}; allowed: FullBatch(), Minibatch(size) or Fresh(samples)")
    if isinstance(feed, Minibatch) and feed.order not in get_args(ORDER):
        allowed = ", ".join(map(repr, get_args(ORDER)))
        raise UserError(f"{wrong}order = {feed.order!r}; allowed: {allowed}")
    return feed


def end_verdicts(study: Study) -> list[int]:
    """The verdict of each reason to stop early, in the order of their codes."""
    verdicts = list(study.ends.values())
    if not set(verdicts) <= {FINISHED, DIVERGED}:
        raise ValueError(f"{type(study).__name__}.ends: allowed verdicts: FINISHED, DIVERGED")
    return verdicts


def _parameters(study: Study, shapes: Shapes, cell: Any) -> int:
    """Numbers in the parameters of a cell, traced once for all cells of its shapes."""
    counts: dict[Shapes, int] = vars(study).setdefault("_parameters", {})
    if shapes not in counts:
        name = type(study).__name__
        params = jax.eval_shape(lambda: study.init(cell, shapes))
        leaves = jax.tree.leaves(params)
        whole = [leaf.dtype for leaf in leaves if not jnp.issubdtype(leaf.dtype, jnp.floating)]
        if whole or not leaves:
            held = f"an array of {whole[0]}" if whole else "no array"
            raise UserError(f"study {name}: init: {held}; allowed: a pytree of float32 arrays")
        if not hasattr(study.optimizer(cell, shapes), "update"):
            raise UserError(f"study {name}: optimizer: allowed: an optax optimizer")
        counts[shapes] = sum(leaf.size for leaf in leaves)
    return counts[shapes]
