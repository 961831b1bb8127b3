"""The study: what a cell is, what it reports, and how its arrays are laid out."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, ClassVar

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
from superpos_jax.engine.sums import pairwise_sum
from superpos_jax.studies import geometry
from superpos_jax.studies.double_descent import autoencoders, data, model, online
from superpos_jax.studies.double_descent import cell as numbers
from superpos_jax.studies.double_descent.criteria import REGIMES, regime
from superpos_jax.studies.double_descent.inspection import Inspection, Weights, hidden
from superpos_jax.studies.double_descent.labels import LABELS
from superpos_jax.studies.double_descent.shapes import (
    Size,
    by_kernel,
    by_non_zeros,
    dense_operations,
    operations,
    slots,
    with_zeros,
    zeros_are_cheaper,
)
from superpos_jax.text import Labels

DECODER = 1 << 20
"""Rows of V have random keys from here on; those of W from 0."""

WARMUP = 0.05
"""Share of the steps over which the learning rate rises."""


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
        """The shapes of the kernels where a GPU has them; else of dense or of sparse blocks."""
        n, by = self.options.n, autoencoders.backend(platform)
        if by and self.computes_as_its_parent() and (shapes := by_kernel(cell, n, by)):
            return shapes
        return with_zeros(cell, n) if self.is_dense(cell) else by_non_zeros(cell, n, platform)

    def is_dense(self, cell: numbers.Cell) -> bool:
        """Whether samples are computed with their zeros."""
        stored = not cell.online and self.computes_as_its_parent()
        return stored and zeros_are_cheaper(cell, self.options.n)

    @classmethod
    def computes_as_its_parent(cls) -> bool:
        """Whether a class derived from this one leaves data and loss as they are."""
        own = "load", "blocks", "prepare", "loss", "loss_and_grad", "measure", "metrics"
        return all(getattr(cls, name) is getattr(DoubleDescent, name) for name in own)

    def sample_cost(self, cell: numbers.Cell) -> float:
        """Operations of one training sample, with the cell's own m and n."""
        n = self.options.n
        if self.is_dense(cell):
            return dense_operations(cell.m, n)
        return operations(cell.m, n, n * (1 - cell.S), slots(cell, n))

    def update_cost(self, cell: numbers.Cell) -> float:
        """AdamW: a parameter, read and written several times, takes the time of 250 operations.

        On one core it took 2.5 ns at n = 1,000 and 4.4 ns at n = 10,000, where it leaves the cache.
        """
        return 250.0 * (cell.m * (1 + cell.untied) + 1) * self.options.n

    def hint(self, platform: str) -> str:
        """How to install the kernels, where a GPU lacks them."""
        if platform != "gpu" or autoencoders.backend(platform):
            return ""
        return (
            "no jax-triton here: with it this study trains several times faster on a GPU;"
            " pip install 'superpos_jax[cuda]', Python 3.12 or newer"
        )

    def wrong(self, cell: numbers.Cell) -> str:
        """Numbers that contradict each other, or make more samples than the engine counts."""
        if cell.online and cell.repeated and cell.repeats > 1:
            return "online = 1 repeats no sample; allowed: repeated = 0"
        if cell.rows >= 2**31:
            return f"T + repeated (repeats - 1) = {cell.rows:,}; allowed: fewer than 2^31 samples"
        if np.float32(cell.S) == 1:
            return f"S = {cell.S!r} is 1 in float32; allowed: less than 1"
        return ""

    def alike(self, cell: numbers.Cell) -> Hashable:
        """The numbers, with the seeds that are used, and n; not what is measured and stored."""
        seeds = {"seed": 0, "data_seed": cell.data_key, "init_seed": cell.init_key}
        return replace(cell, **seeds), self.options.n

    def recorded(self, cell: numbers.Cell) -> tuple[int, ...]:
        """About `history_points` log-spaced steps."""
        return history_steps(cell.steps, self.options.history_points)

    def datasets(self, cell: numbers.Cell) -> Mapping[str, DataSet]:
        """The training set and a held-out set of the same distribution and data seed.

        Of `test_draws` draws of `test_samples` each, one after another in one stream, the first is
        measured along training and all of them at the end.
        """
        seed = int(cell.data_key)
        n, count = self.options.n, self.options.test_samples
        repeated = (min(cell.repeated, cell.T), cell.repeats) if cell.repeats > 1 else (0, 1)
        train = data.Stream(seed, n, cell.S, "train", *repeated)
        test = data.Stream(seed, n, cell.S, "test")
        more = (test._replace(first=count * i) for i in range(1, self.options.test_draws))
        return {
            "train": DataSet(train, cell.rows),
            "test": DataSet(test, count, more=tuple(more)),
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
        squares = pairwise_sum(jnp.vstack([params.W, params.b]) ** 2)
        return {"W_norm": jnp.sqrt(pairwise_sum(squares[:-1])), "b_norm": jnp.sqrt(squares[-1])}

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
        stream, count = self.datasets(cell)["test"][:2]
        score = _zero_loss(stream, count * self.options.test_draws, cell.loss)
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
            "repeated_rank": Variable(
                (),
                np.int32(rank),
                {"long_name": "samples of larger D_X than a repeated one; -1: none"},
            ),
        }
        if self.options.save_hidden:
            first = H[: self.options.report_samples]
            reported["H"] = Variable(("sample", "hidden"), first, {"long_name": "hidden vectors"})
        if self.options.save_weights:
            dims = "hidden", "feature"
            reported["W"] = Variable(dims, W, {"long_name": "encoder weights"}, True)
            if cell.untied:
                reported["V"] = Variable(dims, V, {"long_name": "decoder weights"}, True)
            reported["b"] = Variable(("feature",), b, {"long_name": "decoder bias"}, True)
        return reported

    def restore(
        self, cell: numbers.Cell, shapes: Shapes, arrays: Mapping[str, np.ndarray]
    ) -> model.Params | None:
        """W, b and V, padded."""
        if "W" not in arrays or (cell.untied and "V" not in arrays):
            return None
        size: Size = shapes.size
        n, width = self.options.n, size.tiles * size.columns

        def padded(weights: np.ndarray) -> Any:
            return np.pad(weights[: cell.m], ((0, size.hidden - cell.m), (0, width - n)))

        b: Any = np.pad(arrays["b"], (0, width - n))
        return model.Params(padded(arrays["W"]), b, padded(arrays["V"]) if cell.untied else None)

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
