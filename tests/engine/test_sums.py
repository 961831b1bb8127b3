"""Sums that neither threads nor the cells beside reorder, against those of numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from superpos_jax.engine.bits import has_long_sums
from superpos_jax.engine.layout import SAFE_ROWS
from superpos_jax.engine.sums import dense, pairwise_sum

pytestmark = pytest.mark.unoptimized


def gradients(layer, x, weights, upstream):
    return jax.grad(lambda x, weights: (upstream * layer(x, weights)).sum(), (0, 1))(x, weights)


@pytest.mark.parametrize("shape", [(0,), (1,), (2,), (3, 7), (2, 3, 10_240)])
def test_a_pairwise_sum_is_the_sum(shape, rng):
    x = rng.normal(size=shape).astype(np.float32)
    total = pairwise_sum(jnp.asarray(x))
    assert (total.shape, total.dtype) == (shape[:-1], x.dtype)
    largest = np.abs(x).sum(-1).max(initial=0)
    np.testing.assert_allclose(total, x.sum(-1, dtype=np.float64), rtol=0, atol=1e-6 * largest)


def test_its_order_is_that_of_the_halves(rng):
    """To the bit: the additions of numpy's arrays, compiled and mapped or not."""
    x = rng.normal(size=(5, 1000)).astype(np.float32)
    expected = x
    while expected.shape[1] > 1:
        half = -(-expected.shape[1] // 2)
        rest = np.zeros((5, half), np.float32)
        rest[:, : expected.shape[1] - half] = expected[:, half:]
        expected = expected[:, :half] + rest
    assert np.array_equal(pairwise_sum(x), expected[:, 0])
    assert np.array_equal(jax.jit(jax.vmap(pairwise_sum))(x), expected[:, 0])
    assert jax.jit(pairwise_sum)(x[3]) == expected[3, 0]


@pytest.mark.parametrize("rows", [3 * SAFE_ROWS, SAFE_ROWS, SAFE_ROWS + 5, 368, 7])
def test_gradients_are_those_of_a_product(rows, rng):
    x, weights, upstream = rng.normal(size=(rows, 6)), rng.normal(size=(6, 4)), rng.normal(size=4)
    upstream = upstream * np.arange(1, rows + 1)[:, None]
    own = gradients(dense, *(jnp.asarray(array, jnp.float32) for array in (x, weights, upstream)))
    for gradient, expected in zip(own, (upstream @ weights.T, x.T @ upstream), strict=True):
        np.testing.assert_allclose(
            gradient, expected, rtol=1e-4, atol=1e-3 * np.abs(expected).max()
        )
    value = dense(jnp.asarray(x, jnp.float32), jnp.asarray(weights, jnp.float32))
    np.testing.assert_allclose(value, x @ weights, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("rows", "stays"), [(3 * SAFE_ROWS, True), (368, True), (389, False)])
def test_no_sum_is_longer_than_threads_leave_alone(rows, stays):
    """Except over a prime number of rows."""
    x, weights, upstream = jnp.ones((rows, 6)), jnp.ones((6, 4)), jnp.ones((1, 4))
    for layer, short in ((dense, stays), (jnp.matmul, False)):
        jaxpr = jax.make_jaxpr(lambda *args, layer=layer: gradients(layer, *args))
        assert has_long_sums(jaxpr(x, weights, upstream).jaxpr) != short
