"""Sums whose order depends neither on threads nor on how many cells are mapped together."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from superpos_jax.engine.layout import SAFE_ROWS


def pairwise_sum(x: jax.Array) -> jax.Array:
    """Sums over the last axis by halves: (..., n) to (...), of the same dtype.

        s(x) = s(x[:k] + x[k:]),  k = n / 2, rounded up

    It adds arrays and nothing else, an order that XLA keeps. The order in which XLA's own sum adds
    depends, on a GPU, on how many cells are mapped together (section `sums` of benchmarks/gpu.py).
    The order depends on n, so zeros at the end may change the last bit. `x` has at least one axis.

    >>> float(pairwise_sum(jnp.arange(7.0)))
    21.0
    """
    while (n := x.shape[-1]) > 1:
        half = -(-n // 2)
        rest = jnp.pad(x[..., half:], [(0, 0)] * (x.ndim - 1) + [(0, 2 * half - n)])
        x = x[..., :half] + rest
    return x[..., 0] if n else jnp.zeros(x.shape[:-1], x.dtype)


@jax.custom_vjp
def dense(x: jax.Array, weights: jax.Array) -> jax.Array:
    """x W, (rows, outputs), of inputs (rows, inputs) and weights (inputs, outputs).

        dL/dW = sum over rows of x^T dL/d(x W)

    The gradient is that of `@`, but sums over equal parts of at most `SAFE_ROWS` rows: threads
    split longer sums, and their last bits change with the number of threads. So a study may have
    larger blocks, which are faster, and keep its bits. Where there are no such parts, as of a prime
    number of rows, it is one sum.

    >>> dense(jnp.ones((2, 3)), jnp.ones((3, 1))).tolist()
    [[3.0], [3.0]]
    """
    return x @ weights


def _forward(x: jax.Array, weights: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return x @ weights, (x, weights)


def _backward(
    saved: tuple[jax.Array, jax.Array], upstream: jax.Array
) -> tuple[jax.Array, jax.Array]:
    x, weights = saved
    parts = _parts(len(x))
    of_parts = jnp.einsum(
        "pri,pro->pio", *(each.reshape(parts, -1, each.shape[1]) for each in (x, upstream))
    )
    return upstream @ weights.T, of_parts.sum(axis=0)


def _parts(rows: int) -> int:
    """Into how many equal parts rows are cut; at most twice as many as are needed, or 1.

    >>> [_parts(rows) for rows in (100, 384, 368, 389)]
    [1, 3, 4, 1]
    """
    least = max(1, -(-rows // SAFE_ROWS))
    return next((parts for parts in range(least, 2 * least + 1) if rows % parts == 0), 1)


dense.defvjp(_forward, _backward)
