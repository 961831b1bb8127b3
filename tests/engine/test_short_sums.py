"""A dense layer of short sums: the gradients of `@`, in sums that threads leave alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from superpos_jax.engine.bits import has_long_sums
from superpos_jax.engine.dense import dense
from superpos_jax.engine.layout import SAFE_ROWS

pytestmark = pytest.mark.unoptimized


def gradients(layer, x, weights, upstream):
    return jax.grad(lambda x, weights: (upstream * layer(x, weights)).sum(), (0, 1))(x, weights)


@pytest.mark.parametrize("rows", [3 * SAFE_ROWS, SAFE_ROWS, SAFE_ROWS + 5, 7])
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


def test_no_sum_is_longer_than_threads_leave_alone():
    x, weights, upstream = jnp.ones((3 * SAFE_ROWS, 6)), jnp.ones((6, 4)), jnp.ones((1, 4))
    for layer, long in ((dense, False), (jnp.matmul, True)):
        jaxpr = jax.make_jaxpr(lambda *args, layer=layer: gradients(layer, *args))
        assert has_long_sums(jaxpr(x, weights, upstream).jaxpr) == long
