"""Which samples an update sees: minibatches with replacement, or in shuffled epochs."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from superpos_jax.engine.threefry import Key, bits_in_step

ROUNDS = 24
"""Rounds of the shuffle."""
SALT = np.uint32(0xB5297A4D)
"""Tells the keys of batches from those of weights and data, which a study makes of small seeds."""


def choose(
    order: str, rows: int, seed: jax.Array, step: jax.Array, size: jax.Array, samples: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The samples of a minibatch.

    Args:
        order: "replace" or "epochs".
        rows: room for them, at least `size`, static.
        seed: of the cell, with the step it decides.
        step: updates done.
        size: samples of a minibatch.
        samples: of the training set.

    Returns:
        Their numbers, (rows,) int32, and weights, (rows,) float32: 0 beyond the batch.

    >>> index, weight = choose("epochs", 4, 0, 2, 4, 10)
    >>> weight.tolist()  # the last of three batches of an epoch
    [1.0, 1.0, 0.0, 0.0]
    """
    place = jnp.arange(rows)
    if order == "replace":
        bits = bits_in_step(_key(seed, step), rows)
        index = (bits % jnp.asarray(samples, jnp.uint32)).astype(jnp.int32)
        return index, (place < size).astype(jnp.float32)
    per_epoch = -(-samples // size)
    start = step % per_epoch * size
    index = jnp.minimum(start + place, samples - 1)
    taken = (place < size) & (start + place < samples)
    return shuffled(index, seed, step // per_epoch, samples), taken.astype(jnp.float32)


def shuffled(index: jax.Array, seed: jax.Array, epoch: jax.Array, samples: jax.Array) -> jax.Array:
    """Where a shuffle of `samples` numbers has put each index: a permutation, computed in place.

    The swap-or-not shuffle (Hoang, Morris and Rogaway, CRYPTO 2012): in each round i meets k - i,
    and a bit that both share says whether they change places. It costs as much as the indices that
    are asked for, where sorting random numbers costs as much as the data set.

    Args:
        index: int32, each less than `samples`.
        seed: of the cell.
        epoch: gives another shuffle.
        samples: how many there are.

    >>> sorted(shuffled(jnp.arange(5), 0, 3, 5).tolist())
    [0, 1, 2, 3, 4]
    """
    words = bits_in_step(_key(seed, epoch), 3 * ROUNDS).reshape(ROUNDS, 3)
    samples = jnp.asarray(samples, jnp.uint32)

    def meet(round: jax.Array, index: jax.Array) -> jax.Array:
        pivot, factor, offset = words[round]
        other = pivot % samples + samples - index  # modulo samples, without a division each
        other = jnp.where(other >= samples, other - samples, other)
        # The highest bit of a product with a random factor: a universal hash (Dietzfelbinger).
        swap = (factor * jnp.maximum(index, other) + offset) >> 31
        return jnp.where(swap == 1, other, index)

    # Wholly unrolled, a CPU would compute it again for every number that is gathered by it.
    places = jax.lax.fori_loop(0, ROUNDS, meet, index.astype(jnp.uint32), unroll=8)
    return places.astype(jnp.int32)


def _key(seed: jax.Array, number: jax.Array) -> Key:
    """A key of two numbers, without the rounds that folding one into the other takes."""
    return Key(jnp.asarray(seed, jnp.uint32) ^ SALT, jnp.asarray(number, jnp.uint32))
