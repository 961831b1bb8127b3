"""The kernels for GPUs, run by Triton's interpreter, against their plain counterpart."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from superpos_jax.engine.kernel import tiles_of
from superpos_jax.engine.study import DataSet
from superpos_jax.studies.double_descent import autoencoders, data
from superpos_jax.studies.double_descent.autoencoders import DENSE, TRITON, Autoencoders
from superpos_jax.studies.double_descent.model import Form, Params

pytest.importorskip("triton")
pytestmark = pytest.mark.unoptimized  # the kernels are interpreted: XLA has their counterpart
n, N = 60, autoencoders.width(60)
SPAN = 2  # tiles: cells of more than 32 samples have several


class _Array:
    """An array as Triton's interpreter takes it: with the address of its data."""

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.dtype = array, array.dtype

    def data_ptr(self) -> int:
        return self.array.ctypes.data


@pytest.fixture(scope="module")
def interpreted() -> Iterator[Callable[..., Any]]:
    """`autoencoders.launch` on the CPU: the same kernels, one program after another."""
    from triton.runtime import interpreter

    from superpos_jax.studies.double_descent import kernels

    with pytest.MonkeyPatch.context() as patch:
        executor = interpreter.GridExecutor
        patch.setattr(executor, "_init_args_hst", lambda self, args, kwargs: (args, kwargs))
        patch.setattr(executor, "_restore_args_dev", lambda *arguments: None)

        def launch(name, grid, inputs, outputs, warps, **static):
            given = [_Array(np.array(x)) for x in inputs]
            results = [_Array(np.full(x.shape, np.nan, np.float32)) for x in outputs]
            with np.errstate(all="ignore"):
                getattr(kernels, name)[grid](*given, *results, **static)
            return [jnp.asarray(result.array) for result in results]

        patch.setattr(autoencoders, "launch", launch)
        yield launch


def group(sizes, hidden, *, seed=0, untied=False, S=0.9, repeats=(0, 1)):
    """Parameters and tiles of cells of some sizes; two streams, cells in turn of each."""
    rng = np.random.default_rng(seed)
    streams = [data.Stream(s, n, S, "train", *repeats) for s in (0, 1)]
    longest = [DataSet(stream, max(sizes)) for stream in streams]
    blocks = -(-max(sizes) // autoencoders.ROWS)
    first = [blocks * (i % 2) for i in range(len(sizes))]
    tiles = tiles_of(np.array([first]), np.array([sizes]), autoencoders.ROWS, SPAN)

    def weights(*shape):
        values = rng.normal(size=(len(sizes), *shape)).astype(np.float32) / 2
        values[..., n:] = 0
        return jnp.asarray(values)

    V = weights(hidden, N) if untied else None
    params = Params(weights(hidden, N), weights(N) / 5, V)
    return params, longest, jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), tiles)


def computed(by, form, params, longest, tiles, wanted=None):
    """Loss and gradient by the kernels or by their counterpart."""
    cells = len(params.b)
    wanted = jnp.ones(cells, bool) if wanted is None else wanted
    kernel = Autoencoders(n, form, by, SPAN)
    pool = jax.tree.map(jnp.asarray, kernel.pool(longest))
    # Triton's interpreter takes arrays; its counterpart is one program instead of fifty.
    compute = kernel.loss_and_grad if by == TRITON else jax.jit(kernel.loss_and_grad)
    return compute(params, pool, tiles, wanted)


def both(*given):
    """Loss and gradient by the kernels and by their counterpart."""
    return [computed(by, *given) for by in (TRITON, DENSE)]


def assert_close(ours, plain):
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(plain), strict=True):
        scale = max(1.0, float(jnp.abs(other).max()))
        np.testing.assert_allclose(one / scale, other / scale, atol=2e-6)


@pytest.mark.parametrize(
    ("sizes", "hidden", "form", "untied"),
    [
        ((1, 16, 33, 7), 2, Form(), False),
        ((5, 20), 1, Form(1), False),
        ((37, 3), 3, Form(4, relu=True), True),
        ((9, 32), 10, Form(2, relu=True), False),
    ],
)
def test_kernels_are_their_counterpart(interpreted, sizes, hidden, form, untied):
    params, *rest = group(sizes, hidden, untied=untied)
    assert_close(*both(form, params, *rest))
    assert (params.V is not None) == untied


def test_a_slot_that_is_empty_is_no_span(interpreted):
    """A cell of several spans has them summed, whatever the number of slots."""
    params, longest, tiles = group((40, 0), 2)
    (losses, grads), (plain_losses, plain) = both(Form(), params, longest, tiles)
    first = [jax.tree.map(lambda leaf: leaf[:1], each) for each in (losses, grads)]
    assert_close(first, [jax.tree.map(lambda leaf: leaf[:1], e) for e in (plain_losses, plain)])


def test_repeated_samples(interpreted):
    assert_close(*both(Form(), *group((30, 12), 2, repeats=(2, 9))))


def test_samples_that_are_all_zero(interpreted):
    """At this sparsity most samples have no non-zero, and many features are in none."""
    assert_close(*both(Form(), *group((20, 4), 2, S=0.995)))


def test_bits_of_a_cell_are_its_own(interpreted):
    params, longest, tiles = group((21, 40, 8), 2)
    losses, grads = computed(TRITON, Form(), params, longest, tiles)
    alone = tiles_of(np.array([[int(tiles.block[tiles.first[1]])]]), np.array([[40]]), 16, SPAN)
    alone = jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), alone)
    one = jax.tree.map(lambda leaf: leaf[1:2], params)
    loss, grad = computed(TRITON, Form(), one, longest, alone)
    assert loss[0] == losses[1]
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a[0], b[1]), grad, grads)


def test_cells_that_are_not_wanted_are_not_computed(interpreted):
    given = group((21, 8), 2)
    (losses, grads), (plain, _) = both(Form(), *given, jnp.array([False, True]))
    assert np.isnan(losses[0])
    assert all(np.isnan(leaf[0]).all() for leaf in jax.tree.leaves(grads))
    np.testing.assert_allclose(losses[1], plain[1], rtol=1e-5)


def test_the_loss_of_a_memorized_cell_is_not_negative(interpreted):
    """Its parts cancel, and rounding may leave less than nothing; what is no number stays so."""
    losses = jnp.array([-1e-7] * 16 + [np.nan] + 15 * [0.0] + 16 * [0.25], jnp.float32)
    tiles = [jnp.array(values, jnp.int32) for values in ([1, 1, 1], [0, 1, 2], [16, 3, 10])]
    out = [jax.ShapeDtypeStruct((3,), jnp.float32)]
    (total,) = interpreted("total", (3,), (losses, *tiles), out, 4, STRIDE=16, ROWS=16)
    np.testing.assert_array_equal(total, [0, np.nan, 2.5])


def test_a_cell_that_overflows_is_seen(interpreted):
    params, longest, tiles = group((21, 8), 2)
    W = params.W.at[0].mul(1e30)
    losses, _ = computed(TRITON, Form(), params._replace(W=W), longest, tiles)
    assert np.isfinite(losses).tolist() == [False, True]


def test_kernels_compile_for_gpus():
    """In a process of its own: here Triton interprets."""
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    compiled = Path(__file__).with_name("compiled.py")
    command = [sys.executable, compiled, "80", "90", "100"]
    output = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    names = ["of_samples", "total", "of_features", "over_spans", "over_spans"]
    assert output.stdout.split()[:5] == names
