"""All autoencoders of a group at once: their samples in lists, and what launches the kernels.

`DENSE` is the counterpart of the kernels in plain JAX, dense and slow: what they must compute.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from superpos_jax.engine.kernel import Kernel, Tiles
from superpos_jax.engine.study import DataSet
from superpos_jax.errors import UserError
from superpos_jax.studies.double_descent import data
from superpos_jax.studies.double_descent.model import Form, Params

ROWS = 16
"""Samples of a tile."""
COLUMNS = 256
"""Features are padded to a multiple of so many."""
MOST_HIDDEN = 16
"""Hidden dimensions, padded, of which all sums fit into registers."""

TRITON, DENSE = "triton", "dense"


class Shape(NamedTuple):
    """How a kernel is cut: samples and features side by side, and the warps that share them."""

    rows: int
    columns: int
    warps: int


OF_SAMPLES = {
    1: Shape(ROWS, 256, 2),
    4: Shape(ROWS, 128, 2),
    8: Shape(ROWS, 32, 2),
    16: Shape(ROWS, 32, 4),
}
OF_FEATURES = {
    1: Shape(16, 256, 4),
    2: Shape(8, 128, 2),
    4: Shape(8, 128, 4),
    8: Shape(4, 128, 2),
    16: Shape(2, 128, 4),
}
"""Key: the largest hidden size that uses this shape, the fastest of some on an H100."""


class Lists(NamedTuple):
    """The non-zeros of some streams of samples, by sample and by feature.

    start: (samples + 1,) where the non-zeros of each sample begin, streams one after another, each
    filled up to whole tiles; col, val: (non-zeros,) feature and value. of_feature: (streams, width
    + 1) where those of each feature begin; row, row_val: (non-zeros,) sample, counted in its
    stream, in rising order, and value. stream: (blocks,) the stream of each block of samples.
    """

    start: Any
    col: Any
    val: Any
    of_feature: Any
    row: Any
    row_val: Any
    stream: Any


def backend(platform: str) -> str:
    """What computes the cells of a platform at once; empty: nothing, blocks are walked over.

    Triton's kernels need a GPU and the packages of the extra `cuda`.
    """
    there = platform == "gpu" and find_spec("jax_triton") is not None
    return TRITON if there else ""


def width(n: int) -> int:
    """Features, padded."""
    return -(-n // COLUMNS) * COLUMNS


@dataclass(frozen=True)
class Autoencoders(Kernel):
    """Losses and gradients of autoencoders of one hidden size and form.

    Attributes:
        n: features.
        form: of model and loss.
        by: `TRITON` or `DENSE`.
        span: tiles of a span.
    """

    n: int
    form: Form
    by: str
    span: int = 128

    def pool(self, datasets: Sequence[DataSet]) -> Lists:
        """The non-zeros of the data sets, by sample and by feature."""
        drawn = [data.draw(each.key, each.samples) for each in datasets]
        blocks = [-(-each.samples // ROWS) for each in datasets]
        offsets = np.cumsum([0, *(len(each.row) for each in drawn)])
        if offsets[-1] >= 2**31:
            raise UserError(
                f"data: {offsets[-1]:,} non-zeros of all samples; allowed: fewer than 2^31; take"
                " fewer seeds or samples at once"
            )
        by_feature = [np.argsort(each.col, kind="stable") for each in drawn]

        def joined(parts: Iterable[Any], kind: type) -> np.ndarray:
            return np.concatenate([np.asarray(part, kind) for part in parts])

        def begins(streams: Iterable[np.ndarray], sizes: Iterable[int]) -> list[np.ndarray]:
            return [
                offset + np.concatenate([[0], np.cumsum(np.bincount(index, minlength=size))])
                for offset, index, size in zip(offsets, streams, sizes, strict=False)
            ]

        samples = begins((each.row for each in drawn), (ROWS * count for count in blocks))
        features = begins((each.col for each in drawn), [width(self.n)] * len(drawn))
        end = [0]  # where all samples are zero, an array still has something in it
        pairs = list(zip(drawn, by_feature, strict=True))
        return Lists(
            start=joined([*(begin[:-1] for begin in samples), offsets[-1:]], np.int32),
            col=joined([*(each.col for each in drawn), end], np.int32),
            val=joined([*(each.val for each in drawn), end], np.float32),
            of_feature=joined(features, np.int32),
            row=joined([*(each.row[order] for each, order in pairs), end], np.int32),
            row_val=joined([*(each.val[order] for each, order in pairs), end], np.float32),
            stream=joined([np.full(count, i) for i, count in enumerate(blocks)], np.int32),
        )

    def pool_bytes(self, datasets: Sequence[DataSet]) -> float:
        """Of two lists, and where the entries of samples and features begin."""
        non_zeros = sum(d.samples * self.n * (1 - d.key.S) for d in datasets)
        return 16 * non_zeros + 4 * sum(d.samples + width(self.n) for d in datasets)

    def work_bytes(self, size: Any, samples: Sequence[int]) -> float:
        """Of h and u, and of the gradient by each span."""
        rows = sum(-(-count // ROWS) * ROWS for count in samples)
        spans = sum(-(-count // (self.span * ROWS)) for count in samples)
        weights = size.hidden * (1 + size.untied) + 1
        return 4.0 * ((2 * size.hidden + 1) * rows + spans * weights * width(self.n))

    def loss(self, params: Params, pool: Lists, tiles: Tiles, wanted: jax.Array) -> jax.Array:
        """The loss |x - x'|^p of each cell, summed over features and samples."""
        if self.by == DENSE:
            return _plain(self.form, params, pool, tiles)
        return self._of_samples(params, pool, tiles, wanted.astype(jnp.int32))[0]

    def loss_and_grad(
        self, params: Params, pool: Lists, tiles: Tiles, wanted: jax.Array
    ) -> tuple[jax.Array, Params]:
        """The same, and its gradient by W, b and V."""
        if self.by == DENSE:

            def summed(params: Params) -> tuple[jax.Array, jax.Array]:
                loss = _plain(self.form, params, pool, tiles)
                return loss.sum(), loss

            (_, losses), grads = jax.value_and_grad(summed, has_aux=True)(params)
            return losses, grads
        wanted = wanted.astype(jnp.int32)
        loss, h, u = self._of_samples(params, pool, tiles, wanted)
        cells, hidden, N = params.W.shape
        spans = max(len(tiles.span_cell), cells)
        tied = params.V is None
        decoder = params.W if params.V is None else params.V
        shape = _shape(OF_FEATURES, hidden)
        weights = _float(spans, hidden, N)
        parts = launch(
            "of_features",
            (N // shape.columns * len(tiles.span_cell),),
            (
                decoder, params.b, h, u,
                pool.of_feature, pool.row, pool.row_val, wanted, pool.stream,
                tiles.block, tiles.first, tiles.samples, tiles.span_cell, tiles.span_tile,
            ),
            (weights, _float(1) if tied else weights, _float(spans, N)),
            shape.warps,
            N=N, R=h.shape[1], HIDDEN=hidden, P=self.form.power, TIED=tied,
            ROWS=shape.rows, TILE=ROWS, SPAN=self.span * ROWS, COLUMNS=shape.columns,
        )  # fmt: skip
        if len(tiles.span_cell) > cells:  # a cell has several
            parts = [self._whole(part, wanted, tiles) for part in parts]
        dW, dV, db = parts
        return loss, Params(dW, db, None if tied else dV)

    def _whole(self, parts: jax.Array, wanted: jax.Array, tiles: Tiles) -> jax.Array:
        """Parts of a gradient, (spans, ...), summed over the spans of each cell."""
        if parts.ndim == 1:  # of a decoder that is the encoder
            return parts
        cells = len(wanted)
        size = math.prod(parts.shape[1:])
        (whole,) = launch(
            "over_spans",
            (size // COLUMNS * cells,),
            (parts, wanted, tiles.first_span, tiles.samples),
            (_float(cells, *parts.shape[1:]),),
            4,
            M=size, SPAN=self.span * ROWS, COLUMNS=COLUMNS,
        )  # fmt: skip
        return whole

    def _of_samples(
        self, params: Params, pool: Lists, tiles: Tiles, wanted: jax.Array
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Loss of each cell; h and u of each sample, (hidden, ROWS * tiles)."""
        cells, hidden, N = params.W.shape
        R = ROWS * len(tiles.cell)
        shape = _shape(OF_SAMPLES, hidden)
        h, u, losses = launch(
            "of_samples",
            (len(tiles.cell),),
            (
                params.W, params.W if params.V is None else params.V, params.b,
                pool.start, pool.col, pool.val, wanted, tiles.cell, tiles.block, tiles.count,
            ),
            (_float(hidden, R), _float(hidden, R), _float(R)),
            shape.warps,
            N=N, HIDDEN=hidden, P=self.form.power, RELU=self.form.relu,
            ROWS=ROWS, COLUMNS=shape.columns,
        )  # fmt: skip
        (loss,) = launch(
            "total",
            (cells,),
            (losses, wanted, tiles.first, tiles.samples),
            (_float(cells),),
            4,
            STRIDE=ROWS,
            ROWS=1024,
        )
        return loss, h, u


def launch(
    name: str,
    grid: tuple[int, ...],
    inputs: Sequence[jax.Array],
    outputs: Sequence[jax.ShapeDtypeStruct],
    warps: int,
    **static: int,
) -> Sequence[jax.Array]:
    """Run one of the kernels."""
    import jax_triton

    from superpos_jax.studies.double_descent import kernels

    results: Sequence[jax.Array] = jax_triton.triton_call(
        *inputs,
        kernel=getattr(kernels, name),
        out_type=tuple(outputs),
        grid=grid,
        num_warps=warps,
        num_stages=1,
        backend_options={"enable_fp_fusion": True},  # half of the instructions are multiply-adds
        **static,
    )
    return results


def _float(*shape: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def _shape(shapes: dict[int, Shape], hidden: int) -> Shape:
    return shapes[min(most for most in shapes if most >= hidden)]


def _plain(form: Form, params: Params, pool: Lists, tiles: Tiles) -> jax.Array:
    """The loss of each cell, by dense samples and one tile after another."""
    cells, _, N = params.W.shape
    lane = jnp.arange(ROWS)
    number = jnp.arange(len(pool.val))

    def tile(each: tuple[jax.Array, ...]) -> jax.Array:
        cell, block, count = each
        W, b = params.W[cell], params.b[cell]
        V = W if params.V is None else params.V[cell]
        begin = pool.start[block * ROWS + jnp.arange(ROWS + 1)]
        row = jnp.searchsorted(begin, number, side="right") - 1
        inside = (number >= begin[0]) & (number < begin[-1])
        x = jnp.zeros((ROWS, N)).at[row, pool.col].add(jnp.where(inside, pool.val, 0))
        h = x @ W.T
        if form.relu:
            h = jax.nn.relu(h)
        a = jax.nn.relu(h @ V + b)  # its derivative at 0 is 0, as the kernels'
        error = jnp.abs(x - a) ** form.power
        return jnp.where(lane < count, error.sum(1), 0).sum()

    losses = jax.lax.map(tile, (tiles.cell, tiles.block, tiles.count))
    return jax.ops.segment_sum(losses, tiles.cell, cells)
