"""Sparse synthetic samples: exact Bernoulli support, uniform values, unit norm.

A sample x in R^n has x_i = 0 with probability S, otherwise uniform on (0, 1), and is then rescaled
to norm 1 (paper, section "Problem setup"). Only the non-zeros are ever drawn: the distance from
one to the next is geometric, P(gap >= g) = S^g, so a sample costs as many random numbers as it has
non-zeros. Gaps are read off a table of integer thresholds, which makes the support the same on
every machine and its probabilities exact to 2^-31.

Sample t of a stream depends on (data seed, n, S, stream, t) and on the repetitions alone. So data
sets are nested: the samples of T are the first T of every larger T. Further draws begin later in
the same stream.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np

from superpos_jax.engine import threefry

CHUNK = 1024
FEW = 64
"""Samples that are drawn at once, instead of a chunk, if no more are asked for."""
KEPT = {16: 1024, 256: 64}
"""Chunks that are kept, by what their samples have fewer non-zeros than; of others 2 are kept."""
STREAMS = {"train": 0, "test": 1, "online": 2}


class Stream(NamedTuple):
    """What identifies an endless stream of samples."""

    data_seed: int
    n: int
    S: float
    stream: str
    repeated: int = 0
    repeats: int = 1
    """The first `repeated` samples are there `repeats` times each, one after another."""
    first: int = 0
    """The sample that the stream begins with, of those without repetition."""


class Samples(NamedTuple):
    """The non-zeros of T samples, in the order of the samples.

    row: (nnz,) int64, the sample of each entry; col: (nnz,) int64, its feature;
    val: (nnz,) float32, its value after rescaling; T: number of samples.
    """

    row: np.ndarray
    col: np.ndarray
    val: np.ndarray
    T: int

    def dense(self, n: int) -> np.ndarray:
        """The samples as a dense (T, n) float32 matrix."""
        X = np.zeros((self.T, n), np.float32)
        X[self.row, self.col] = self.val
        return X


def draw(stream: Stream, T: int) -> Samples:
    """The first T samples of a stream.

    >>> a = draw(Stream(data_seed=0, n=1000, S=0.99, stream="train"), 50)
    >>> b = draw(Stream(data_seed=0, n=1000, S=0.99, stream="train"), 20)
    >>> bool((a.dense(1000)[:20] == b.dense(1000)).all())
    True
    """
    parts = [
        (chunk.row + i * CHUNK, chunk.col, chunk.val) for i, chunk in enumerate(chunks(stream, T))
    ]
    row, col, val = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Samples(row, col, val, T)


def chunks(stream: Stream, T: int, size: int = CHUNK) -> Iterator[Samples]:
    """The same samples, `size` at a time, the last time fewer; rows count from 0 in each."""
    if T == 0:
        yield Samples(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32), 0)
    for start in range(0, T, size):
        t = np.arange(start, min(start + size, T))
        beyond = t - stream.repeated * (stream.repeats - 1)
        number = np.where(t < stream.repeated * stream.repeats, t // stream.repeats, beyond)
        yield _take(stream, stream.first + number)


def _take(stream: Stream, wanted: np.ndarray) -> Samples:
    """Samples of a stream without repetition, by their numbers, which rise and may repeat."""
    once = stream._replace(repeated=0, repeats=1, first=0)
    mean = stream.n * (1 - stream.S)
    drawn = _keeping(next((kept for most, kept in KEPT.items() if mean < most), 2))
    rows, cols, vals = [], [], []
    for number in np.unique(wanted // CHUNK):
        here = np.flatnonzero(wanted // CHUNK == number)
        least, most = wanted[here[[0, -1]]].tolist()
        size = FEW if least // FEW == most // FEW else CHUNK
        start = least // size * size
        starts, col, val = drawn(once, start, size)
        first, last = starts[wanted[here] - start], starts[wanted[here] - start + 1]
        length = last - first
        offset = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
        entry = np.repeat(first, length) + offset
        rows.append(np.repeat(here, length))
        cols.append(col[entry])
        vals.append(val[entry])
    return Samples(np.concatenate(rows), np.concatenate(cols), np.concatenate(vals), len(wanted))


def _drawn(stream: Stream, start: int, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of so many samples: where the entries of each start, and where they end; features, values."""
    n, S = stream.n, stream.S
    mean = n * (1 - S)
    slots = min(n, int(mean + 8 * np.sqrt(mean * S)) + 16)
    while True:
        gap_bits, value_bits = _bits(stream, start, size, slots)
        gaps = np.searchsorted(_gap_thresholds(n, S), gap_bits >> 1, side="right")
        positions = np.cumsum(gaps + 1, axis=1) - 1
        if slots == n or (positions[:, -1] >= n).all():
            break
        slots = min(n, 2 * slots)  # bits are prefix-stable: the same samples, seen further

    row, slot = np.nonzero(positions < n)
    starts = np.searchsorted(row, np.arange(size + 1))
    values = np.where(positions < n, (value_bits >> 8) + 0.5, 0.0)
    norms = np.sqrt((values**2).sum(axis=1, keepdims=True))
    unit = np.divide(values, norms, out=np.zeros_like(values), where=norms > 0)  # 0 / 0 = 0
    return starts, positions[row, slot], unit[row, slot].astype(np.float32)


@cache
def _keeping(count: int) -> Callable[..., tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """`_drawn`, of so many chunks once: cells, shapes of blocks and reports share streams."""
    return lru_cache(maxsize=count)(_drawn)


@lru_cache(maxsize=4)
def _gap_thresholds(n: int, S: float) -> np.ndarray:
    """2^31 P(gap < g) for g = 1 ... n; a 31-bit draw has passed as many as its gap is long."""
    with np.errstate(divide="ignore"):
        below = -np.expm1(np.arange(1, n + 1) * np.log(S))
    return np.ceil(below * 2**31).astype(np.uint32)


def _bits(stream: Stream, start: int, size: int, slots: int) -> tuple[np.ndarray, np.ndarray]:
    """Random bits, (size, slots) each, of gaps and of values: sample t has a key of its own."""
    key = threefry.key(stream.data_seed)
    for word in (stream.n, np.float32(stream.S).view(np.uint32), STREAMS[stream.stream]):
        key = threefry.fold_in(key, word)
    samples = start + np.arange(size, dtype=np.uint32)[:, np.newaxis]
    gaps, values = threefry.split(threefry.fold_in(key, samples))
    return threefry.bits(gaps, slots), threefry.bits(values, slots)
