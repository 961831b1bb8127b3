"""What decides the last bits, besides the code and the kind of processor or accelerator.

On a CPU, XLA splits a product that sums over many terms among the threads of the process: the
number of threads then decides the order of the sum. It never split a sum of up to 128 terms
(measured with 1 to 64 threads, at outer sizes from 2 to 512), so the engine chooses blocks of at
most that many rows. A study may sum over more terms, as a layer with more inputs does. Its bits
then depend on the number of threads.

On an accelerator the order in which XLA adds depends on how many cells are mapped together. A cell
has bits of its own there only if its study leaves no sum to XLA: a kernel adds, or
`sums.pairwise_sum`.
"""

from __future__ import annotations

import math
import os
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.extend import core

from superpos_jax.engine.cgroups import affinity
from superpos_jax.engine.jaxprs import equations
from superpos_jax.engine.layout import SAFE_ROWS
from superpos_jax.engine.program import Program
from superpos_jax.engine.study import Shapes, Study

ANY = "any"
"""Instead of a number of threads or devices, where it decides no bits."""
ADDING = {
    "cholesky", "conv_general_dilated", "cumlogsumexp", "cumprod", "cumsum", "dot_general", "eig",
    "eigh", "fft", "geqrf", "lu", "qr", "ragged_dot_general", "reduce", "reduce_prod", "reduce_sum",
    "reduce_window", "reduce_window_sum", "scatter-add", "scatter-mul", "svd", "triangular_solve",
}  # fmt: skip
"""The primitives of JAX that add or multiply many numbers, in an order that XLA chooses."""
THREADS = ("PJRT_NPROC", "NPROC")
"""Environment variables that set XLA's number of threads in place of the cores; the first wins."""


def threads() -> int:
    """Threads among which a CPU of this process splits its products."""
    try:
        cores = int(next((os.environ[name] for name in THREADS if name in os.environ), ""))
    except ValueError:
        cores = len(affinity())
    return max(cores, jax.local_device_count())


def of_threads(program: Program) -> int | str:
    """The number of threads that decides the bits of a program; `ANY` where none does."""
    matters = program.study.cores_matter
    if matters is None:
        matters = program.platform == "cpu" and has_long_sums(program.jaxpr())
    return threads() if matters else ANY


def of_devices(program: Program) -> str:
    """Whether a program is compiled for one device or several; `ANY` where that decides no bits.

    XLA runs other passes for several: weights divided by a square root had other last bits there.
    """
    if program.study.cores_matter is False:
        return ANY
    return "several" if program.mesh.size > 1 else "one"


def has_long_sums(jaxpr: core.Jaxpr) -> bool:
    """Whether a program holds a product that sums over more terms than threads leave alone.

    >>> wide = jax.make_jaxpr(lambda x: x.T @ x)(jax.numpy.zeros((1104, 3)))
    >>> has_long_sums(wide.jaxpr)
    True
    """
    return any(_terms(equation) > SAFE_ROWS for equation in equations(jaxpr))


def sums_outside_kernel(study: Study, cell: Any, shapes: Shapes) -> bool:
    """Whether the optimizer or the summaries of a study leave sums to XLA.

    On an accelerator the bits of a cell then depend on the cells that are mapped with it, whatever
    the kernel does. `sums.pairwise_sum` is not such a sum, nor is a count in whole numbers.
    """

    def outside(cell: Any, params: Any) -> Any:
        optimizer = optax.with_extra_args_support(study.optimizer(cell, shapes))
        state = optimizer.init(params)
        updates, _ = optimizer.update(params, state, params, value=jnp.float32(0))
        own = study.summarise(cell, shapes, params)
        if study.summarises_updates:
            own |= study.summarise_update(cell, shapes, params, params, updates)
        return own, updates

    params = jax.eval_shape(lambda: study.init(cell, shapes))
    traced = jax.tree.map(np.asarray, cell)
    return any(map(_adds, equations(jax.make_jaxpr(outside)(traced, params).jaxpr)))


def _adds(equation: core.JaxprEqn) -> bool:
    """Whether the order of what an equation adds matters: not that of whole numbers."""
    kind: Any = equation.outvars[0].aval
    return equation.primitive.name in ADDING and jnp.issubdtype(kind.dtype, jnp.inexact)


def _terms(equation: core.JaxprEqn) -> int:
    """Terms of each sum of a product; 0 of anything else."""
    if equation.primitive.name != "dot_general":
        return 0
    (contracted, _), _ = equation.params["dimension_numbers"]
    shape: tuple[int, ...] = equation.invars[0].aval.shape  # type: ignore[attr-defined]
    return math.prod(shape[axis] for axis in contracted)
