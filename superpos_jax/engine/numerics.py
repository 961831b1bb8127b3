"""The numerics in which bits are promised, whatever JAX flags a process has set."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import jax
import numpy as np

from superpos_jax.errors import UserError

NO_MESH = jax.sharding.Mesh(np.empty((), object), ())


@contextlib.contextmanager
def pinned() -> Iterator[None]:
    """float32 and full-precision products, keys of threefry that do not depend on sharding.

    Neither a mesh that the process has set nor its transfer guards hold within.

    A notebook with `jax_enable_x64`, or a TPU with another generator of random numbers by default,
    would otherwise draw other data, and train other models, under the same seeds.

    Raises:
        UserError: `jax_random_seed_offset` is set, which nothing can undo.

    >>> with jax.enable_x64(True), pinned():
    ...     jax.random.uniform(jax.random.key(0)).dtype
    dtype('float32')
    """
    if jax.config.jax_random_seed_offset:  # type: ignore[attr-defined]
        raise UserError("jax_random_seed_offset: it shifts all seeds; allowed: 0")
    with (
        jax.enable_x64(False),
        jax.numpy_dtype_promotion("standard"),
        jax.numpy_rank_promotion("allow"),
        jax.default_matmul_precision("highest"),
        jax.default_prng_impl("threefry2x32"),
        jax.threefry_partitionable(True),
        jax.transfer_guard("allow"),
        jax.set_mesh(NO_MESH),
    ):
        yield
