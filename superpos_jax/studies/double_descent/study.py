"""The study: what a cell is, what it reports, and how its arrays are laid out."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from superpos_jax.engine.numerics import pinned
from superpos_jax.engine.study import (
    DataSet,
    Feed,
    Fresh,
    FullBatch,
    Shapes,
    Study,
    Trained,
    Variable,
    history_steps,
)
from superpos_jax.studies import geometry
from superpos_jax.studies.double_descent import autoencoders, data, model, online
from superpos_jax.studies.double_descent import cell as numbers
from superpos_jax.studies.double_descent.criteria import REGIMES, regime
from superpos_jax.studies.double_descent.inspection import Inspection, Weights, hidden
from superpos_jax.studies.double_descent.labels import LABELS
from superpos_jax.text import Labels

DECODER = 1 << 20
"""Rows of V have random keys from here on; those of W from 0."""

WARMUP = 0.05
"""Share of the steps over which the learning rate rises."""


WORTH_ZEROS, MOST_DENSE = 0.75, 256
"""Samples are computed with their zeros where that takes at most so many of the operations, of at
most so many features."""
CACHED = 2**17
"""Bytes of dense samples, of cells side by side, that stay in the cache of a core."""


class Size(NamedTuple):
    """Padded array shapes: hidden >= m, tiles * columns >= n; and the form of the model."""

    hidden: int
    tiles: int
    columns: int
    form: model.Form
    untied: bool
    slots: int = 0
    """Most non-zeros of a sample that is drawn anew at every step; 0: samples are stored."""
    dense: bool = False
    """Whether samples are stored with their zeros."""


class DoubleDescent(Study):
    """x' = ReLU(W^T W x + b) on T sparse samples, full-batch AdamW, 5 % warm-up, cosine to 0.

    Losses are reported per sample in units where the zero predictor scores 1:
    L = (1/T) sum_x sum_i (x_i - x'_i)^2; or |x_i - x'_i|^p, where it scores sum_i x_i^p.
    """

    Cell = numbers.Cell
    Options = numbers.Options
    options: numbers.Options
    labels: ClassVar[Labels] = LABELS
    cores_matter: ClassVar[bool | None] = False
    """Measured with 1, 2 and 64 threads, on one device and on two, from m = 2 to 300."""

    @classmethod
    def figures(cls) -> Mapping[str, Any]:
        """All of `superpos_jax.studies.double_descent.figures.FIGURES`."""
        from superpos_jax.studies.double_descent.figures import FIGURES

        return FIGURES

    def shapes(self, cell: numbers.Cell, platform: str) -> Shapes:
        """m rounded up to four sizes per power of two; features in tiles that fit a cache."""
        n = self.options.n
        quantum = max(1, 2 ** (int(cell.m - 1).bit_length() - 3))
        hidden = -(-cell.m // quantum) * quantum
        form = model.Form(cell.loss, bool(cell.relu))
        slots = self.slots(cell)
        by = autoencoders.backend(platform)
        fits = hidden <= autoencoders.MOST_HIDDEN and not cell.online
        if by and fits and self.computes_as_its_parent():
            width = autoencoders.width(n)
            size = Size(hidden, 1, width, form, bool(cell.untied))
            cost = _operations(hidden, width, n * (1 - cell.S))
            kernel = autoencoders.Autoencoders(n, form, by)
            return Shapes(size, (autoencoders.ROWS,), cost, kernel=kernel)
        if self.is_dense(cell):
            return _dense_shapes(Size(hidden, 1, n, form, bool(cell.untied), dense=True), cell.rows)
        rows = 32 if cell.rows < 384 else 256
        if platform == "cpu":
            tiles, columns = _tiles(n, 512 if rows == 256 else 1024)
        else:
            tiles, columns = _tiles(n, n)
            rows = 4096 if cell.rows >= 8192 else rows
        size = Size(hidden, tiles, columns, form, bool(cell.untied), slots)
        block = (rows, _entries(rows, n, cell.S, cell.repeated, cell.repeats))
        cost = _operations(hidden, tiles * columns, n * (1 - cell.S), slots)
        return Shapes(size, block, cost, beside=1)

    def is_dense(self, cell: numbers.Cell) -> bool:
        """Whether to compute with the zeros of samples is cheaper than to look for the others."""
        n = self.options.n
        if n > MOST_DENSE:
            return False
        sparse = _operations(cell.m, n, n * (1 - cell.S))
        cheaper = _dense_operations(cell.m, n) < WORTH_ZEROS * sparse
        return bool(cheaper and not cell.online and self.computes_as_its_parent())

    @classmethod
    def computes_as_its_parent(cls) -> bool:
        """Whether a class derived from this one leaves data and loss as they are."""
        own = "load", "blocks", "prepare", "loss", "loss_and_grad", "measure", "metrics"
        return all(getattr(cls, name) is getattr(DoubleDescent, name) for name in own)

    def slots(self, cell: numbers.Cell) -> int:
        """Room for the non-zeros of a sample that is drawn at every step; 0 where it is stored."""
        n = self.options.n
        mean = n * (1 - cell.S)
        return min(n, int(mean + 8 * np.sqrt(mean)) + 16) if cell.online else 0

    def sample_cost(self, cell: numbers.Cell) -> float:
        """Operations of one training sample: `_operations` with the cell's own m and n."""
        n = self.options.n
        if self.is_dense(cell):
            return _dense_operations(cell.m, n)
        return _operations(cell.m, n, n * (1 - cell.S), self.slots(cell))

    def update_cost(self, cell: numbers.Cell) -> float:
        """AdamW: a parameter, read and written several times, takes the time of 250 operations.

        On one core it took 2.5 ns at n = 1,000 and 4.4 ns at n = 10,000, where it leaves the cache.
        """
        return 250.0 * (cell.m * (1 + cell.untied) + 1) * self.options.n

    def hint(self, platform: str) -> str:
        """The kernels, where a GPU has none."""
        if platform != "gpu" or autoencoders.backend(platform):
            return ""
        return (
            "no jax-triton here: with it this study trains several times faster on a GPU;"
            " pip install 'superpos_jax[cuda]', Python 3.12 or newer"
        )

    def wrong(self, cell: numbers.Cell) -> str:
        """Combinations of numbers that say nothing, or more than the engine counts."""
        if cell.online and cell.repeated and cell.repeats > 1:
            return "online = 1 repeats no sample; allowed: repeated = 0"
        if cell.rows >= 2**31:
            return f"T + repeated (repeats - 1) = {cell.rows:,}; allowed: fewer than 2^31 samples"
        if np.float32(cell.S) == 1:
            return f"S = {cell.S!r} is 1 in float32; allowed: less than 1"
        return ""

    def alike(self, cell: numbers.Cell) -> Hashable:
        """The numbers with the seeds that are meant, and the options that are not about storing."""
        seeds = {"seed": 0, "data_seed": cell.data_key, "init_seed": cell.init_key}
        return replace(cell, **seeds), self.options.n, self.options.test_samples

    def recorded(self, cell: numbers.Cell) -> tuple[int, ...]:
        """About `history_points` log-spaced steps."""
        return history_steps(cell.steps, self.options.history_points)

    def datasets(self, cell: numbers.Cell) -> Mapping[str, DataSet]:
        """The training set and a held-out set of the same distribution and data seed."""
        seed = int(cell.data_key)
        n = self.options.n
        repeated = (min(cell.repeated, cell.T), cell.repeats) if cell.repeats > 1 else (0, 1)
        train = data.Stream(seed, n, cell.S, "train", *repeated)
        test = data.Stream(seed, n, cell.S, "test")
        return {
            "train": DataSet(train, cell.rows),
            "test": DataSet(test, self.options.test_samples),
        }

    def load(self, dataset: DataSet) -> np.ndarray:
        """The samples with their zeros, (samples, n)."""
        return data.draw(dataset.key, dataset.samples).dense(self.options.n)

    def blocks(self, dataset: DataSet, block: tuple[int, ...]) -> Any:
        """The non-zeros of the data set, block by block; all values where that is faster."""
        if len(block) == 1:
            return super().blocks(dataset, block)
        length = max(data.CHUNK, block[0])  # a multiple of the rows: both are powers of two
        parts = [model.to_blocks(chunk, *block) for chunk in data.chunks(*dataset[:2], length)]
        return model.Block(*(np.concatenate(leaves) for leaves in zip(*parts, strict=True)))

    def init(self, cell: numbers.Cell, shapes: Shapes) -> model.Params:
        """W (and V) Xavier-uniform with the cell's own m and n, zero in the padding; b = 0."""
        size: Size = shapes.size
        n, width = self.options.n, size.tiles * size.columns
        key = jax.random.key(cell.init_key)
        for value in (n, cell.m):
            key = jax.random.fold_in(key, value)
        bound = jnp.sqrt(6 / (cell.m + n))

        def uniform(first: int) -> jax.Array:
            rows = first + jnp.arange(size.hidden)
            keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(rows)
            unit = jax.vmap(lambda k: jax.random.uniform(k, (n,), minval=-1.0, maxval=1.0))(keys)
            used = jnp.arange(size.hidden)[:, None] < cell.m
            return jnp.pad(jnp.where(used, bound * unit, 0), ((0, 0), (0, width - n)))

        V = uniform(DECODER) if size.untied else None
        return model.Params(uniform(0), jnp.zeros(width), V)

    def optimizer(self, cell: numbers.Cell, shapes: Shapes) -> optax.GradientTransformation:
        """AdamW; the learning rate rises over the first 5 % of the steps, then falls to 0."""

        def schedule(step: jax.Array) -> jax.Array:
            done = step / cell.steps
            decay = (1 + jnp.cos(jnp.pi * (done - WARMUP) / (1 - WARMUP))) / 2
            return cell.lr * jnp.where(done < WARMUP, done / WARMUP, decay)

        return optax.adamw(schedule, eps=cell.eps, weight_decay=cell.weight_decay)

    def scale(self, cell: numbers.Cell, samples: jax.Array) -> jax.Array:
        """The mean over samples, divided by n^reduction."""
        return 1 / (samples * jnp.asarray(self.options.n, jnp.float32) ** cell.reduction)

    def feed(self, cell: numbers.Cell) -> Feed:
        """All samples at every update; or new ones, where the cell is `online`."""
        return Fresh(cell.rows) if cell.online else FullBatch()

    def draw(
        self, cell: numbers.Cell, shapes: Shapes, step: jax.Array, index: jax.Array
    ) -> model.Block:
        """New samples of the distribution of the data."""
        size: Size = shapes.size
        n = self.options.n
        key = jax.random.key(cell.data_key)
        for value in (n, data.STREAMS["online"], step, index):
            key = jax.random.fold_in(key, value)
        return online.draw_block(key, shapes.block, size.slots, n, cell.S)

    def prepare(self, cell: numbers.Cell, shapes: Shapes, params: model.Params) -> Any:
        """The parameters in tiles, for all features, and by feature, for the non-zeros."""
        size: Size = shapes.size
        return params if size.dense else model.view(params, size.columns)

    def loss_and_grad(
        self,
        cell: numbers.Cell,
        shapes: Shapes,
        view: Any,
        batch: Any,
        weight: jax.Array,
    ) -> tuple[jax.Array, Any]:
        """The error of a block, |x - x'|^p, summed over features and samples."""
        size: Size = shapes.size
        if size.dense:
            return model.dense_loss_and_grad(view, batch, weight, size.form)
        return model.block_loss_and_grad(view, batch, weight, size.form)

    def summarise(
        self, cell: numbers.Cell, shapes: Shapes, params: model.Params
    ) -> dict[str, jax.Array]:
        """Frobenius norm of W and Euclidean norm of b."""
        return {"W_norm": jnp.linalg.norm(params.W), "b_norm": jnp.linalg.norm(params.b)}

    @property
    def traces(self) -> Mapping[str, tuple[str, ...]]:
        """Dimensionalities with `trace_dimensions`, W with `trace_weights`."""
        dims: dict[str, tuple[str, ...]] = {}
        if self.options.trace_dimensions:
            dims |= {"feature_dimensionality": ("feature",), "sample_dimensionality": ("sample",)}
        if self.options.trace_weights:
            dims |= {"W": ("hidden", "feature")}
        return dims

    def trace(self, cell: numbers.Cell, params: model.Params) -> dict[str, np.ndarray]:
        """D_f, D_X of the first samples, and W."""
        W = self.crop(cell, params).W
        arrays = {"W": W}
        if self.options.trace_dimensions:
            D_X = geometry.dimensionality(hidden(cell, self.datasets(cell)["train"].key, W))
            arrays["feature_dimensionality"] = geometry.dimensionality(W.T)
            arrays["sample_dimensionality"] = D_X[: self.options.report_samples]
        return arrays

    def given(self, cell: numbers.Cell) -> dict[str, Variable]:
        """What predicting zero scores on the test set, the mean of sum_i x_i^p; 1 where p = 2."""
        score = _zero_loss(*self.datasets(cell)["test"][:2], cell.loss)
        name = {"long_name": "test loss of predicting zero"}
        return {"zero_test_loss": Variable((), np.float32(score), name)}

    def report(self, cell: numbers.Cell, trained: Trained) -> dict[str, Variable]:
        """Dimensionalities and regime; W and b, and H, if asked for."""
        W, b, V = self.crop(cell, trained.params)
        H = hidden(cell, self.datasets(cell)["train"].key, W)
        D_f, D_X = geometry.dimensionality(W.T), geometry.dimensionality(H)
        least = D_X[: cell.repeated].min(initial=np.inf)
        rank = (least < D_X).sum() if cell.repeated else -1
        flags = {"flag_values": [0, 1, 2], "flag_meanings": " ".join(REGIMES)}
        reported = {
            "feature_dimensionality": Variable(
                ("feature",), D_f.astype(np.float32), {"long_name": "feature dimensionality D_f"}
            ),
            "sample_dimensionality": Variable(
                ("sample",),
                D_X[: self.options.report_samples].astype(np.float32),
                {"long_name": "sample dimensionality D_X of the first samples"},
            ),
            "regime": Variable((), np.int8(regime(D_f, D_X, cell.m)), flags),
        }
        reported["repeated_rank"] = Variable(
            (), np.int32(rank), {"long_name": "samples of larger D_X than a repeated one; -1: none"}
        )
        if self.options.save_hidden:
            first = H[: self.options.report_samples]
            reported["H"] = Variable(("sample", "hidden"), first, {"long_name": "hidden vectors"})
        dims = "hidden", "feature"
        if self.options.save_weights:
            reported["W"] = Variable(
                ("hidden", "feature"), W, {"long_name": "encoder weights"}, True
            )
            if cell.untied:
                long_name = {"long_name": "decoder weights"}
                reported["V"] = Variable(dims, V, long_name, True)
            reported["b"] = Variable(("feature",), b, {"long_name": "decoder bias"}, True)
        return reported

    def result_bytes(self, cell: numbers.Cell) -> int:
        """Of dimensionalities, weights and hidden vectors, and of what is kept along training."""
        o = self.options
        samples, W = min(cell.T, o.report_samples), cell.m * o.n
        final = o.n + samples  # D_f, D_X
        final += o.save_hidden * samples * cell.m
        final += o.save_weights * ((1 + cell.untied) * W + o.n)
        traced = o.trace_weights * W + o.trace_dimensions * (o.n + samples)
        return 4 * (final + traced * len(self.recorded(cell)))

    def inspect(self, cell: numbers.Cell, report: Mapping[str, np.ndarray]) -> Inspection:
        """The cell's stored weights beside data and initial weights made again from keys."""
        arrays = (report.get(name) for name in ("W", "b", "V" if cell.untied else "W"))
        W, b, V = (np.full((1, 1), np.nan) if array is None else array for array in arrays)
        weights = Weights(W[: cell.m], b, V[: cell.m])
        whole = all(np.isfinite(values).all() for values in weights)

        def initialise() -> Weights:
            with pinned():
                return self.crop(cell, self.init(cell, self.shapes(cell, "cpu")))

        stream = self.datasets(cell)["train"].key
        stored = weights if whole else None
        return Inspection(cell, self.options.n, stream, stored, initialise)

    def crop(self, cell: numbers.Cell, params: model.Params) -> Weights:
        """W (m, n), b (n,) and V (m, n), which is W where the weights are tied; no padding."""
        m, n = cell.m, self.options.n
        W = np.asarray(params.W)[:m, :n]
        V = W if params.V is None else np.asarray(params.V)[:m, :n]
        return Weights(W, np.asarray(params.b)[:n], V)


@lru_cache(maxsize=1024)
def _zero_loss(key: data.Stream, count: int, power: int) -> float:
    total = sum((part.val.astype(float) ** power).sum() for part in data.chunks(key, count))
    return float(total) / count


def _tiles(n: int, most: int) -> tuple[int, int]:
    """Tiles and their columns, a multiple of 16 and about `most`, with little padding beyond n."""
    least = -(-n // most)
    count = min(
        range(least, least + least // 8 + 1), key=lambda tiles: tiles * -(-n // tiles // 16)
    )
    return count, -(-n // (count * 16)) * 16


def _entries(rows: int, n: int, S: float, repeated: int = 0, repeats: int = 1) -> int:
    """Room for the non-zeros of a block: fewer than one block in e^30 needs more.

    Bernstein's inequality: a sum of variance v, of terms of at most k, exceeds its mean by
    sqrt(60 v) + 20 k with a probability below e^-30. A sample that is there k times is a term of k.
    It depends on the cell alone (never on the data), and is rounded up to two sizes per power of
    two so that neighbouring S share a layout.
    """
    mean = rows * n * (1 - S)
    copies = min(repeats, rows)
    several = min(repeated, rows / copies)
    variance = mean * S * (1 + several * copies * (copies - 1) / rows)
    beyond = max(9 * np.sqrt(mean * S) + 32, np.sqrt(60 * variance) + 20 * copies)
    enough = min(rows * n, int(mean + beyond))
    step = 2 ** max(5, enough.bit_length() - 2)
    return -(-enough // step) * step


def _dense_shapes(size: Size, samples: int) -> Shapes:
    """Blocks of 16 to 128 dense samples, of so many cells side by side as fit a core's cache."""
    rows = min(128, max(16, 1 << (samples - 1).bit_length()))
    fit = CACHED // (rows * size.columns * 4)
    beside = min(32, 1 << max(0, fit.bit_length() - 1))
    return Shapes(size, (rows,), _dense_operations(size.hidden, size.columns), beside)


def _dense_operations(hidden: int, features: int) -> float:
    """Operations a sample costs with its zeros: two products, four for gradients, and a ReLU."""
    return float(features * (12 * hidden + 8))


def _operations(hidden: int, features: int, entries: float, slots: int = 0) -> float:
    """Operations a sample costs: three products with A = [W; b], a ReLU and a comparison.

    A non-zero takes the time of about 700 + 170 m of them (benchmarks/README.md: at n = 500 half
    of a step is theirs), since it is gathered and scattered several times. To draw a sample takes
    1,800 to 2,800 for each of its slots, most of it for random bits.
    """
    dense = features * (6 * (hidden + 1) + 2)
    return float(dense + entries * (700 + 170 * hidden) + 2300 * slots)
