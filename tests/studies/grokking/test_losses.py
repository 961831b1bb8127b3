"""Losses against float64, and a rounded softmax against true float types."""

import float64
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from superpos_jax.studies.grokking.losses import (
    LOSSES,
    UNLIMITED,
    collapsed,
    cross_entropy,
    rest,
    sample_losses,
    stretched,
)

CLASSES = 48
GAPS = np.arange(0.0, 81.0)


def logits(rng, gaps=GAPS):
    """A row for each gap between the largest logit and the others, right in three rows of four."""
    z = rng.normal(size=(len(gaps), CLASSES))
    y = rng.integers(CLASSES, size=len(gaps))
    best = np.where(np.arange(len(gaps)) % 4 == 3, (y + 1) % CLASSES, y)
    rows = np.arange(len(gaps))
    z[rows, best] = np.delete(z, 0, axis=1).max(axis=1) + gaps + 0.1
    return z.astype(np.float32), y.astype(np.int32)


def with_gradient(loss, z, y, t=24.0):
    number = LOSSES.index(loss)
    losses = sample_losses(number, jnp.array(z), jnp.array(y), t)
    gradient = jax.grad(lambda z: sample_losses(number, z, jnp.array(y), t).sum())(jnp.array(z))
    return np.array(losses), np.array(gradient)


@pytest.mark.parametrize("loss", ["exact", "stablemax", "mse"])
def test_losses_and_gradients_keep_their_digits_to_gaps_of_80(loss, rng):
    z, y = logits(rng)
    losses, gradient = with_gradient(loss, z, y)
    expected, slope = float64.LOSSES[loss](z.astype(float), y)
    np.testing.assert_allclose(losses, expected, rtol=3e-5)  # exp(-80) of a float32 gap
    np.testing.assert_allclose(gradient, slope, rtol=3e-5, atol=1e-37)


@pytest.mark.parametrize("t", [8, 11, 24, 53])
def test_a_rounded_sum_against_float64(t, rng):
    z, y = logits(rng, np.arange(0.0, 60.0))
    losses, gradient = with_gradient("ce", z, y, t)
    # A sum beside an edge may be rounded to the other side of it in float32.
    scaled = np.array(rest(jnp.array(z))[0], float) * 2.0 ** (t - 1)
    clear = np.abs(scaled - np.floor(scaled) - 0.5) > 1e-4 * np.maximum(scaled, 1)
    expected, slope = float64.rounded(z.astype(float), y, t)
    clear |= scaled > 2.0**10
    assert clear.sum() > 50
    np.testing.assert_allclose(losses[clear], expected[clear], rtol=1e-3, atol=1e-30)
    np.testing.assert_allclose(gradient[clear], slope[clear], rtol=1e-3, atol=1e-30)


@pytest.mark.parametrize(("t", "dtype"), [(11, "float16"), (24, "float32"), (53, "float64")])
def test_a_rounded_sum_stands_for_a_float_type(t, dtype):
    """One logit is larger by a gap than 47 equal ones: the same loss, and collapse 1.5 apart."""
    gaps = np.arange(0.0, 60.0, 0.25)
    z = np.zeros((len(gaps), CLASSES), np.float32)
    z[:, 0] = gaps
    y = np.zeros(len(gaps), np.int32)
    losses, gradient = with_gradient("ce", z, y, t)
    with jax.enable_x64(True):
        cast = jnp.array(z).astype(dtype)
        true, pull_back = jax.vjp(lambda z: -jax.nn.log_softmax(z)[:, 0], cast)
        true_gradient = np.array(pull_back(jnp.ones(len(gaps), dtype))[0], float)
        true = np.array(true, float)
    where = [float(gaps[np.flatnonzero(x == 0)[0]]) for x in (losses, true)]
    assert where[0] == pytest.approx(np.log(47) + t * np.log(2), abs=0.25)
    assert abs(where[0] - where[1]) <= 1.5
    assert (losses[gaps >= where[0]] == 0).all()
    assert (gradient[gaps >= where[0], 0] == 0).all()
    before = gaps < min(where) - 4  # later a few units in the last place of the sum are left
    np.testing.assert_allclose(losses[before], true[before], rtol=0.2)
    np.testing.assert_allclose(gradient[before, 0], true_gradient[before, 0], rtol=0.2)


def test_collapse_takes_the_gradient_of_the_right_class_and_leaves_the_others():
    z, y = np.zeros((1, 3), np.float32), np.array([0], np.int32)
    z[0, 0] = 30
    losses, gradient = with_gradient("ce", z, y, 24)
    assert losses[0] == 0
    assert gradient[0, 0] == 0
    np.testing.assert_allclose(gradient[0, 1:], np.exp(-30.0), rtol=1e-5)


def test_a_wrong_sample_loses_nothing_to_rounding():
    z, y = np.array([[30.0, 0.0, 0.0]], np.float32), np.array([1], np.int32)
    losses, gradient = with_gradient("ce", z, y, 11)
    assert losses[0] == 30
    np.testing.assert_allclose(gradient[0], [1, -1, np.exp(-30.0)], rtol=1e-5)


def test_many_bits_are_exact(rng):
    z, y = logits(rng, np.arange(0.0, 60.0))
    for part, exact in zip(
        with_gradient("ce", z, y, 120), with_gradient("exact", z, y), strict=True
    ):
        np.testing.assert_allclose(part, exact, rtol=1e-5)


def test_stablemax_is_the_softmax_of_stretched_logits():
    """C14, with s(x) as the paper defines it."""
    x = np.linspace(-50, 50, 1001).astype(np.float32)
    s = np.where(x >= 0, x + 1, 1 / (1 - np.where(x < 0, x, 0)))
    np.testing.assert_allclose(jnp.exp(stretched(jnp.array(x))), s, rtol=1e-5)
    z = x.reshape(7, 143)
    y = np.arange(7, dtype=np.int32)
    losses, _ = with_gradient("stablemax", z, y)
    shares = s.reshape(7, 143)
    expected = -np.log(shares[np.arange(7), y] / shares.sum(axis=1))
    np.testing.assert_allclose(losses, expected, rtol=1e-5)


def test_the_slope_of_stablemax_at_0_is_1():
    assert jax.grad(stretched)(0.0) == 1
    assert jax.grad(stretched)(-0.0) == 1


def test_what_has_collapsed_is_what_has_no_loss():
    z = np.zeros((50, CLASSES), np.float32)
    z[:, 0] = np.arange(50)
    y = np.zeros(50, np.int32)
    for t in (11.0, 24.0, 53.0):
        gone = collapsed(LOSSES.index("ce"), jnp.array(z), t)
        np.testing.assert_array_equal(gone, cross_entropy(jnp.array(z), jnp.array(y), t) == 0)
    for loss in ("exact", "stablemax", "mse"):
        assert not collapsed(LOSSES.index(loss), jnp.array(z), 11.0).any()


def test_losses_of_many_cells_at_once_are_those_of_one(rng):
    z, y = logits(rng)
    ts = jnp.array([11.0, 24.0, UNLIMITED])
    together = jax.vmap(lambda t: cross_entropy(jnp.array(z), jnp.array(y), t))(ts)
    for t, losses in zip(ts, together, strict=True):
        np.testing.assert_array_equal(losses, cross_entropy(jnp.array(z), jnp.array(y), t))
