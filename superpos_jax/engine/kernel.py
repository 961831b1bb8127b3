"""Losses and gradients of all cells of a group at once: what a study may give an accelerator."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from superpos_jax.engine.study import DataSet, PyTree


class Tiles(NamedTuple):
    """One data set of all cells of a group, cut into tiles of a few samples of one cell.

    int32 arrays; the tiles of a cell lie one after another, and cells of any size beside each
    other. The engine adds a leading axis of devices.
    """

    cell: Any
    """(tiles,) the slot of the tile's cell."""
    block: Any
    """(tiles,) its samples, a number of a block in the pool."""
    count: Any
    """(tiles,) samples in it; 0: an empty tile, at the end."""
    first: Any
    """(slots,) the first tile of each cell."""
    samples: Any
    """(slots,) samples of each cell; 0: an empty slot."""
    span_cell: Any
    """(spans,) the slot of each span: up to `Kernel.span` consecutive tiles of one cell. There are
    more spans than slots if and only if a cell has several; else span i is all of slot i."""
    span_tile: Any
    """(spans,) its first tile, counted in the cell."""
    first_span: Any
    """(slots,) the first span of each cell."""


class Kernel(abc.ABC):
    """What a study computes for all cells of a group at once, in place of a loss block by block.

    A kernel is static: hashable, and equal where it computes the same. Sums must not cross cells,
    nor depend on how many there are, so that a cell has the same bits alone and in any sweep. Where
    summaries or the optimizer add, `sums.pairwise_sum` keeps that; XLA's own sums do not.
    """

    span: int
    """Tiles of a span: what one program sums over, so that large cells have several."""

    @abc.abstractmethod
    def pool(self, datasets: Sequence[DataSet]) -> PyTree:
        """The samples of some data sets as the kernel reads them (host, numpy).

        Block number i of the data sets, one after another, holds `Shapes.rows` samples of one.
        """

    @abc.abstractmethod
    def pool_bytes(self, datasets: Sequence[DataSet]) -> float:
        """About how many bytes `pool` takes (host)."""

    def work_bytes(self, size: Any, samples: Sequence[int]) -> float:
        """About how many bytes a gradient takes on a device besides parameters and pool (host).

        Args:
            size: `Shapes.size` of the cells.
            samples: of each cell.
        """
        return 0.0

    @abc.abstractmethod
    def loss(self, params: PyTree, pool: PyTree, tiles: Tiles, wanted: jax.Array) -> jax.Array:
        """The loss of each cell, summed over its samples: (slots,) float32.

        Args:
            params: of all cells, leaves (slots, ...).
            pool: what `pool` gave.
            tiles: of one data set.
            wanted: (slots,) bool; the others may get any value, and should cost nothing.
        """

    @abc.abstractmethod
    def loss_and_grad(
        self, params: PyTree, pool: PyTree, tiles: Tiles, wanted: jax.Array
    ) -> tuple[jax.Array, PyTree]:
        """The same, and its gradient by the parameters, leaves (slots, ...)."""


def tiles_of(first: np.ndarray, samples: np.ndarray, rows: int, span: int) -> Tiles:
    """The tiles of a data set (host): leaves (devices, tiles), (devices, spans), (devices, slots).

    Args:
        first: (devices, slots) the first block of each cell's samples in the pool.
        samples: (devices, slots) how many each cell has; 0: an empty slot.
        rows: samples of a tile.
        span: tiles of a span.

    >>> tiles = tiles_of(np.array([[4, 9]]), np.array([[40, 3]]), rows=16, span=2)
    >>> tiles.cell.tolist(), tiles.block.tolist(), tiles.count.tolist(), tiles.first.tolist()
    ([[0, 0, 0, 1]], [[4, 5, 6, 9]], [[16, 16, 8, 3]], [[0, 3]])
    >>> tiles.span_cell.tolist(), tiles.span_tile.tolist(), tiles.first_span.tolist()
    ([[0, 0, 1]], [[0, 2, 0]], [[0, 2]])
    >>> tiles_of(np.array([[4, 0]]), np.array([[40, 0]]), rows=16, span=2).span_tile.tolist()
    [[0, 2, 0]]
    """
    counts = -(-samples // rows)
    cell, number, first_tile = _numbered(counts)
    spans = -(-counts // span)
    least = samples.shape[1] + 1 if (spans > 1).any() else 1
    span_cell, span_number, first_span = _numbered(spans, least)
    block = np.take_along_axis(first, cell, axis=1) + number
    count = np.clip(np.take_along_axis(samples, cell, axis=1) - number * rows, 0, rows)
    leaves = cell, block, count, first_tile, samples, span_cell, span_number * span, first_span
    return Tiles(*(leaf.astype(np.int32) for leaf in leaves))


def _numbered(counts: np.ndarray, least: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Parts of cells one after another: the cell of each, its number there; each cell's first.

    All devices have as many parts, at least `least`: those that are missing are empty parts of the
    last slot.
    """
    starts = np.cumsum(counts, axis=1) - counts
    part = np.arange(max(least, counts.sum(1).max()))
    cell = np.stack([np.searchsorted(own, part, side="right") - 1 for own in starts])
    return cell, part - np.take_along_axis(starts, cell, axis=1), starts
