"""Adam with tiny gradients, and gradients perpendicular to the weights."""

import jax
import numpy as np
import optax
import pytest

from superpos_jax.studies.grokking.optimizer import (
    PERPS,
    cosine,
    optimizer,
    perpendicular,
    perpendicular_part,
    scale_by_root_adam,
)


def updates(transformation, grads, params):
    """What an optimizer makes of one gradient after another."""

    def step(state, grad):
        update, state = transformation.update(grad, state, params)
        return state, update

    return jax.jit(lambda: jax.lax.scan(step, transformation.init(params), grads)[1])()


@jax.jit
def part_of(perp, grads, weights):
    """The gradient without its part along the weights."""
    return perpendicular(perp).update(grads, optax.EmptyState(), weights)[0]


def adam(grads, beta2, eps):
    """Adam in float64."""
    m = v = 0.0
    for step, grad in enumerate(np.asarray(grads, float), 1):
        m = 0.9 * m + 0.1 * grad
        v = beta2 * v + (1 - beta2) * grad**2
        yield m / (1 - 0.9**step) / (np.sqrt(v / (1 - beta2**step)) + eps)


@pytest.mark.parametrize("size", [1e12, 1.0, 1e-15, 1e-22])
def test_adam_keeps_its_steps_at_any_size_of_gradient(size, rng):
    grads = (size * rng.normal(size=(30, 5))).astype(np.float32)
    grads[:, 0] = 0  # a weight that never gets a gradient, as in the padding
    made = updates(scale_by_root_adam(0.99, 1e-25), grads, np.zeros(5, np.float32))
    np.testing.assert_allclose(np.array(made), list(adam(grads, 0.99, 1e-25)), rtol=2e-4, atol=1e-6)


def test_adam_after_a_fall_by_twenty_decades():
    grads = np.concatenate([np.ones(20), np.full(3000, 1e-20)]).astype(np.float32)
    made = updates(scale_by_root_adam(0.9, 1e-25), grads, np.float32(0))
    np.testing.assert_allclose(made, list(adam(grads, 0.9, 1e-25)), rtol=2e-3, atol=1e-30)


@pytest.mark.parametrize("size", [1.0, 1e-30])
def test_perpendicular_gradients_descend(size, rng):
    """C13: <-g_perp, g> = -|g_perp|^2, and g_perp is perpendicular to all weights at once."""
    w = {name: rng.normal(size=(4, 3)).astype(np.float32) for name in "ab"}
    g = jax.tree.map(lambda w: np.float32(size) * (w + np.flip(w)), w)
    part = jax.jit(perpendicular_part)(g, w)
    g, part = (jax.tree.map(lambda leaf: np.array(leaf, float) / size, tree) for tree in (g, part))
    product = sum((g[name] * part[name]).sum() for name in "ab")
    square = sum((part[name] ** 2).sum() for name in "ab")
    assert product == pytest.approx(square, rel=1e-5)
    assert product > 0
    assert abs(sum((part[name] * np.array(w[name])).sum() for name in "ab")) < 1e-5


@pytest.mark.parametrize("size", [1.0, 1e-30])
def test_by_tensor_the_length_is_kept(size, rng):
    w = {name: rng.normal(size=(4, 3)).astype(np.float32) for name in "ab"}
    g = {name: (size * rng.normal(size=(4, 3))).astype(np.float32) for name in "ab"}
    part = part_of(PERPS.index("tensor"), g, w)
    for name in "ab":
        own, grad, weight = (np.array(tree[name], float) for tree in (part, g, w))
        expected = grad - (weight * grad).sum() / (weight**2).sum() * weight
        expected *= np.linalg.norm(grad) / np.linalg.norm(expected)
        np.testing.assert_allclose(own, expected, rtol=1e-4, atol=1e-6 * size)


def test_nothing_is_left_of_a_gradient_along_the_weights():
    w = {"a": np.float32([3, 4]), "one number": np.float32([2])}
    along = {"a": np.float32(1e-20) * w["a"], "one number": np.float32([-1])}
    part = part_of(PERPS.index("tensor"), along, w)
    assert all((np.array(leaf) == 0).all() for leaf in jax.tree.leaves(part))


@pytest.mark.parametrize("perp", PERPS)
def test_zeros_stay_zeros(perp):
    w, zero = {"a": np.ones(3, np.float32)}, {"a": np.zeros(3, np.float32)}
    for weights, grads in ((w, zero), (zero, w), (zero, zero)):
        part = jax.tree.map(np.array, part_of(PERPS.index(perp), grads, weights))
        assert np.isfinite(part["a"]).all()
    assert (part["a"] == 0).all()


def test_without_perp_it_is_adamw_and_sgd_of_optax(rng):
    grads = rng.normal(size=(10, 4)).astype(np.float32)
    w = rng.normal(size=4).astype(np.float32)
    pairs = {
        "adamw": optax.adamw(0.1, b2=0.98, eps=1e-8, weight_decay=0.5),
        "sgd": optax.chain(
            optax.trace(0.8), optax.add_decayed_weights(0.5), optax.scale_by_learning_rate(0.1)
        ),
    }
    for name, expected in pairs.items():
        own = optimizer(name, 0, 0.1, 0.5, 0.98, 1e-8, 0.8)
        both = updates(own, grads, w), updates(expected, grads, w)
        np.testing.assert_allclose(*both, rtol=1e-4, atol=1e-6)


def test_cosine():
    of = jax.jit(cosine)
    w = {"a": np.float32([1, 0]), "b": np.float32([0])}
    along = jax.tree.map(lambda leaf: np.float32(-1e-35) * leaf, w)
    assert float(of(w, along)) == pytest.approx(-1)
    aslant = {"a": np.float32([1, 1]), "b": np.float32([0])}
    assert float(of(w, aslant)) == pytest.approx(0.5**0.5)
    assert float(of(w, jax.tree.map(np.zeros_like, w))) == 0
