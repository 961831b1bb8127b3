"""The random bits of `jax.random`: in numpy, with nothing to compile, and in a step, faster.

Threefry-2x32 of 20 rounds (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011),
used as `jax.random` uses it with `jax_threefry_partitionable`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

ROTATIONS = (13, 15, 26, 6), (17, 29, 16, 24)
PARITY = np.uint32(0x1BD11BDA)
AT_ONCE = 2**17
"""Words that are made at once, which a core's cache holds."""


class Key(NamedTuple):
    """Two words: each a uint32, or of many keys an array (keys, 1) of them."""

    first: Any
    second: Any


def key(seed: int) -> Key:
    """The key of a seed below 2^32, as `jax.random.key`."""
    return Key(np.uint32(0), np.uint32(seed))


def fold_in(key: Key, number: Any) -> Key:
    """The key that a number makes of a key, as `jax.random.fold_in`.

    Args:
        key: one, or many.
        number: an int below 2^32, or a uint32 array (keys, 1): a key of each.
    """
    return Key(*_threefry(key, np.asarray(number, np.uint32)))


def split(key: Key) -> tuple[Key, Key]:
    """Two keys of one, as `jax.random.split`."""
    return fold_in(key, 0), fold_in(key, 1)


def bits(key: Key, count: int) -> np.ndarray:
    """Random words of each key, (count,) or (keys, count) uint32, as `jax.random.bits`.

    >>> bits(fold_in(key(0), 7), 3).tolist()
    [2040308410, 309011329, 797698236]
    """
    counter = np.arange(count, dtype=np.uint32)
    if np.ndim(key.first) == 0:
        return np.bitwise_xor(*_threefry(key, counter))
    words = np.empty((len(key.first), count), np.uint32)
    keys = max(1, AT_ONCE // max(1, count))
    for i in range(0, len(words), keys):
        some = Key(*(word[i : i + keys] for word in key))
        np.bitwise_xor(*_threefry(some, counter), out=words[i : i + keys])
    return words


def bits_in_step(key: Key, count: int) -> jax.Array:
    """Random words of a traced key, (count,) uint32, as `jax.random.bits`, in a step of training.

    On a CPU `jax.random` loops over its rounds: many small operations, which small models notice.
    Here the rounds are written out. XLA would then compute a word again for every number that is
    gathered by it; a loop over two halves of the words keeps it from that.
    """

    def on_cpu(*key: jax.Array) -> jax.Array:
        half = -(-count // 2)
        counters = jnp.arange(2 * half, dtype=jnp.uint32).reshape(2, half)
        words = jax.lax.map(
            lambda counter: jnp.bitwise_xor(*_threefry(Key(*key), counter)), counters
        )
        return words.ravel()[:count]

    def elsewhere(*key: jax.Array) -> jax.Array:
        wrapped = jax.random.wrap_key_data(jnp.stack(key), impl="threefry2x32")
        return jax.random.bits(wrapped, (count,))

    return jax.lax.platform_dependent(*key, cpu=on_cpu, default=elsewhere)


def _threefry(key: Key, counter: Any) -> tuple[Any, Any]:
    """Two words for each counter below 2^32."""
    schedule = *key, key.first ^ key.second ^ PARITY
    with np.errstate(over="ignore"):
        x = key.first + 0 * counter
        y = key.second + counter
        for i in range(5):
            for distance in ROTATIONS[i % 2]:
                x += y
                over = y >> np.uint32(32 - distance)
                y <<= np.uint32(distance)
                y |= over
                y ^= x
            x += schedule[(i + 1) % 3]
            y += schedule[(i + 2) % 3] + np.uint32(i + 1)
    return x, y
