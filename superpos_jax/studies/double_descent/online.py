"""Samples drawn anew at every step, inside the compiled program: the limit of infinite data.

The distribution is that of `data`: the distance from one non-zero to the next is geometric,
P(gap >= g) = S^g, values are uniform on (0, 1), samples have norm 1. Gaps are log u / log S,
rounded down: probabilities are those of `data` up to float32.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from superpos_jax.studies.double_descent.model import Block

TINY = float(np.finfo(np.float32).tiny)
"""A draw of 0 would have no logarithm."""


def draw_block(key: jax.Array, shape: tuple[int, ...], slots: int, n: int, S: float) -> Block:
    """A block of new samples.

    Args:
        key: decides which.
        shape: samples, and room for all their non-zeros together; more than that are left out.
        slots: room for the non-zeros of one sample: `n`, or so many that more hardly ever occur.
        n: features.
        S: probability of a zero.

    >>> draw = jax.jit(draw_block, static_argnums=(1, 2, 3))
    >>> block = draw(jax.random.key(0), (4, 64), 32, 100, 0.9)
    >>> norms = jnp.zeros(4).at[block.row].add(block.val**2)
    >>> [round(float(norm), 4) for norm in norms]
    [1.0, 1.0, 1.0, 1.0]
    """
    rows, entries = shape
    for_gaps, for_values = jax.random.split(key)
    u = jax.random.uniform(for_gaps, (rows, slots), minval=TINY)
    gaps = jnp.minimum(jnp.floor(jnp.log(u) / jnp.log(S)), n).astype(jnp.int32)
    # A sum that stops at n cannot overflow.
    after = jax.lax.associative_scan(lambda a, b: jnp.minimum(a + b, n + 1), gaps + 1, axis=1)
    col = after - 1
    taken = col < n
    val = jnp.where(taken, jax.random.uniform(for_values, (rows, slots), minval=TINY), 0)
    norm = jnp.linalg.norm(val, axis=1, keepdims=True)
    val = jnp.where(norm > 0, val / norm, 0)
    row = jnp.broadcast_to(jnp.arange(rows)[:, None], taken.shape)
    place = jnp.where(taken, jnp.cumsum(taken.ravel()).reshape(taken.shape) - 1, entries)

    def packed(values: jax.Array) -> jax.Array:
        return jnp.zeros(entries, values.dtype).at[place].set(values, mode="drop")

    return Block(packed(row), packed(col), packed(val))
