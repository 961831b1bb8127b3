"""The tasks: modular arithmetic on pairs, the same on binary codes, and sparse parity."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

OPERATIONS = ("add", "sub", "mul")
"""In the order of their numbers."""
ORDER, CODES, BITS = range(3)
"""What a seed draws, each from random numbers of its own."""


class Batch(NamedTuple):
    """x: (rows, 2) int32 pairs of numbers, or (rows, inputs) float32 bits; y: (rows,) int32."""

    x: Any
    y: Any


class KeyedBatch(NamedTuple):
    """A batch as an update with dropout sees it; key: of what is dropped."""

    x: Any
    y: Any
    key: Any


@lru_cache(maxsize=64)
def order(samples: int, seed: int) -> np.ndarray:
    """All samples of a seed, shuffled: training takes them from the front, test from the back."""
    return np.random.default_rng((seed, ORDER)).permutation(samples)


def pairs(p: int, operation: int, index: np.ndarray) -> Batch:
    """Pairs (a, b) of numbers below p by their index a p + b, and a + b, a - b or a b mod p.

    >>> pairs(5, OPERATIONS.index("sub"), np.array([7, 9]))
    Batch(x=array([[1, 2], [1, 4]], dtype=int32), y=array([4, 2], dtype=int32))
    """
    a, b = np.divmod(index, p)
    y = (a + b, a - b, a * b)[operation] % p
    return Batch(np.stack([a, b], axis=1).astype(np.int32), y.astype(np.int32))


@lru_cache(maxsize=64)
def codes(p: int, bits: int, seed: int) -> np.ndarray:
    """A random vector of bits for each number below p, all different, (p, bits) float32."""
    rng = np.random.default_rng((seed, CODES))
    numbers = rng.choice(2**bits, p, replace=False)
    return (numbers[:, None] >> np.arange(bits) & 1).astype(np.float32)


def coded(p: int, operation: int, bits: int, seed: int, index: np.ndarray) -> Batch:
    """The pairs of `pairs`, each number in its code: x is (rows, 2 bits)."""
    x, y = pairs(p, operation, index)
    return Batch(codes(p, bits, seed)[x].reshape(len(x), 2 * bits), y)


@lru_cache(maxsize=64)
def parity(samples: int, inputs: int, parity_bits: int, seed: int) -> Batch:
    """Distinct random vectors of 0 and 1; y is the sum of the first few bits, mod 2.

    >>> x, y = parity(100, 8, 3, seed=0)
    >>> len(np.unique(x, axis=0)), x[0].tolist(), int(y[0])
    (100, [0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0], 1)
    """
    rng = np.random.default_rng((seed, BITS))
    vectors = np.empty((0, inputs), np.uint8)
    while len(vectors) < samples:
        more = rng.integers(0, 2, (samples, inputs), np.uint8)
        _, first = np.unique(np.concatenate([vectors, more]), axis=0, return_index=True)
        vectors = np.concatenate([vectors, more])[np.sort(first)]
    x = vectors[:samples].astype(np.float32)
    return Batch(x, (x[:, :parity_bits].sum(axis=1) % 2).astype(np.int32))
