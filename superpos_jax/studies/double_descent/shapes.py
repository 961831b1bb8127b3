"""How the arrays of a cell are laid out, and what they cost: by its own numbers, n and platform."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from superpos_jax.engine.study import Shapes
from superpos_jax.studies.double_descent import autoencoders
from superpos_jax.studies.double_descent.cell import Cell
from superpos_jax.studies.double_descent.model import Form

WORTH_ZEROS, MOST_DENSE = 0.75, 256
"""Samples are computed with their zeros if that takes less than WORTH_ZEROS of the operations that
the non-zeros alone take, and if there are at most MOST_DENSE features."""
CACHED = 2**17
"""Bytes of dense samples, of cells side by side, that stay in the cache of a core."""


class Size(NamedTuple):
    """Padded array shapes: hidden >= m, tiles * columns >= n; and the form of the model."""

    hidden: int
    tiles: int
    columns: int
    form: Form
    untied: bool
    slots: int = 0
    """Most non-zeros of a sample that is drawn anew at every step; 0: samples are stored."""
    dense: bool = False
    """Whether samples are stored with their zeros."""


def size_of(cell: Cell, n: int) -> Size:
    """One tile of all features; m rounded up to four sizes per power of two."""
    quantum = max(1, 2 ** (int(cell.m - 1).bit_length() - 3))
    hidden = -(-cell.m // quantum) * quantum
    form = Form(cell.loss, bool(cell.relu))
    return Size(hidden, 1, n, form, bool(cell.untied), slots(cell, n))


def by_kernel(cell: Cell, n: int, by: str) -> Shapes | None:
    """For kernels that compute all cells at once; None where the cell does not fit them."""
    size = size_of(cell, n)._replace(columns=autoencoders.width(n))
    if size.hidden > autoencoders.MOST_HIDDEN or cell.online:
        return None
    kernel = autoencoders.Autoencoders(n, size.form, by)
    cost = operations(size.hidden, size.columns, n * (1 - cell.S))
    return Shapes(size, (autoencoders.ROWS,), cost, kernel=kernel)


def with_zeros(cell: Cell, n: int) -> Shapes:
    """Blocks of 16 to 128 dense samples, of so many cells side by side as fit a core's cache."""
    size = size_of(cell, n)._replace(dense=True)
    rows = min(128, max(16, 1 << (cell.rows - 1).bit_length()))
    fit = CACHED // (rows * n * 4)
    beside = min(32, 1 << max(0, fit.bit_length() - 1))
    return Shapes(size, (rows,), dense_operations(size.hidden, n), beside)


def by_non_zeros(cell: Cell, n: int, platform: str) -> Shapes:
    """Blocks of non-zeros; features in tiles that fit a cache."""
    rows = 32 if cell.rows < 384 else 256
    if platform == "cpu":
        tiles, columns = _tiles(n, 512 if rows == 256 else 1024)
    else:
        tiles, columns = _tiles(n, n)
        rows = 4096 if cell.rows >= 8192 else rows
    size = size_of(cell, n)._replace(tiles=tiles, columns=columns)
    block = (rows, _entries(rows, n, cell.S, cell.repeated, cell.repeats))
    cost = operations(size.hidden, tiles * columns, n * (1 - cell.S), size.slots)
    return Shapes(size, block, cost, beside=1)


def zeros_are_cheaper(cell: Cell, n: int) -> bool:
    """Whether computing with the zeros of samples is cheaper than gathering their non-zeros."""
    sparse = operations(cell.m, n, n * (1 - cell.S))
    return n <= MOST_DENSE and bool(dense_operations(cell.m, n) < WORTH_ZEROS * sparse)


def slots(cell: Cell, n: int) -> int:
    """Room for the non-zeros of a sample that is drawn at every step; 0 where it is stored."""
    mean = n * (1 - cell.S)
    return min(n, int(mean + 8 * np.sqrt(mean)) + 16) if cell.online else 0


def operations(hidden: int, features: int, entries: float, slots: int = 0) -> float:
    """Operations a sample costs: three products with A = [W; b], a ReLU and a comparison.

    A non-zero is gathered and scattered several times: it takes the time of about 700 + 170 m
    operations (at n = 500 half of a step, see benchmarks/README.md). Drawing a sample takes 1,800
    to 2,800 for each of its slots, most of it for random bits.
    """
    dense = features * (6 * (hidden + 1) + 2)
    return float(dense + entries * (700 + 170 * hidden) + 2300 * slots)


def dense_operations(hidden: int, features: int) -> float:
    """Operations a sample costs with its zeros: two products, four for gradients, and a ReLU."""
    return float(features * (12 * hidden + 8))


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
    The room depends on the cell alone, never on the data. It is rounded up to two sizes per power
    of two, so that neighbouring S share a layout.
    """
    mean = rows * n * (1 - S)
    copies = min(repeats, rows)
    several = min(repeated, rows / copies)
    variance = mean * S * (1 + several * copies * (copies - 1) / rows)
    beyond = max(9 * np.sqrt(mean * S) + 32, np.sqrt(60 * variance) + 20 * copies)
    enough = min(rows * n, int(mean + beyond))
    step = 2 ** max(5, enough.bit_length() - 2)
    return -(-enough // step) * step
