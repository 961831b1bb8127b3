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
    largest,
    rest,
    sample_losses,
    second_largest,
    stretched,
)

pytestmark = pytest.mark.unoptimized

CLASSES = 48
GAPS = np.arange(0.0, 81.0)
ROWS = 240


def logits(rng, gaps=GAPS):
    """A row for each gap between the largest logit and the others, right in three rows of four."""
    z = rng.normal(size=(len(gaps), CLASSES))
    y = rng.integers(CLASSES, size=len(gaps))
    best = np.where(np.arange(len(gaps)) % 4 == 3, (y + 1) % CLASSES, y)
    rows = np.arange(len(gaps))
    z[rows, best] = np.delete(z, 0, axis=1).max(axis=1) + gaps + 0.1
    return z.astype(np.float32), y.astype(np.int32)


@jax.jit
def compiled(number, z, y, t):
    losses, pull_back = jax.vjp(lambda z: sample_losses(number, z, y, t), z)
    return losses, pull_back(jnp.ones_like(losses))[0]


def with_gradient(loss, z, y, t=24.0):
    """The losses and their gradients. Rows are filled up to one shape, which compiles once."""
    rows = len(z)
    z, y = np.resize(z, (ROWS, CLASSES)), np.resize(y, ROWS)
    losses, gradient = compiled(LOSSES.index(loss), z, y, np.float32(t))
    return np.array(losses)[:rows], np.array(gradient)[:rows]


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

        @jax.jit
        def of_the_type(z):
            losses, pull_back = jax.vjp(lambda z: -jax.nn.log_softmax(z)[:, 0], z)
            return losses, pull_back(jnp.ones(len(gaps), dtype))[0]

        true, true_gradient = (np.array(part, float) for part in of_the_type(cast))
    where = [float(gaps[np.flatnonzero(x == 0)[0]]) for x in (losses, true)]
    assert where[0] == pytest.approx(np.log(47) + t * np.log(2), abs=0.25)
    assert abs(where[0] - where[1]) <= 1.5
    assert (losses[gaps >= where[0]] == 0).all()
    assert (gradient[gaps >= where[0], 0] == 0).all()
    before = gaps < min(where) - 4  # later a few units in the last place of the sum are left
    np.testing.assert_allclose(losses[before], true[before], rtol=0.2)
    np.testing.assert_allclose(gradient[before, 0], true_gradient[before, 0], rtol=0.2)


def test_collapse_takes_the_gradient_of_the_right_class_and_leaves_the_others():
    z, y = np.zeros((1, CLASSES), np.float32), np.array([0], np.int32)
    z[0, 0] = 30
    losses, gradient = with_gradient("ce", z, y, 24)
    assert losses[0] == 0
    assert gradient[0, 0] == 0
    np.testing.assert_allclose(gradient[0, 1:], np.exp(-30.0), rtol=1e-5)


def test_a_wrong_sample_loses_nothing_to_rounding():
    z, y = np.zeros((1, CLASSES), np.float32), np.array([1], np.int32)
    z[0, 0] = 30
    losses, gradient = with_gradient("ce", z, y, 11)
    assert losses[0] == 30
    np.testing.assert_allclose(gradient[0, :2], [1, -1], rtol=1e-5)
    np.testing.assert_allclose(gradient[0, 2:], np.exp(-30.0), rtol=1e-5)


def test_many_bits_are_exact(rng):
    z, y = logits(rng, np.arange(0.0, 60.0))
    for part, exact in zip(
        with_gradient("ce", z, y, 120), with_gradient("exact", z, y), strict=True
    ):
        np.testing.assert_allclose(part, exact, rtol=1e-5)


def test_stablemax_is_the_softmax_of_stretched_logits():
    """C14, with s(x) as the paper defines it."""
    x = np.linspace(-50, 50, 20 * CLASSES + 1).astype(np.float32)
    s = np.where(x >= 0, x + 1, 1 / (1 - np.where(x < 0, x, 0)))
    np.testing.assert_allclose(jnp.exp(stretched(jnp.array(x))), s, rtol=1e-5)
    z, s = (part[:-1].reshape(20, CLASSES) for part in (x, s))
    y = np.arange(20, dtype=np.int32)
    losses, _ = with_gradient("stablemax", z, y)
    expected = -np.log(s[y, y] / s.sum(axis=1))
    np.testing.assert_allclose(losses, expected, rtol=1e-5)


def test_the_slope_of_stablemax_at_0_is_1():
    assert jax.grad(stretched)(0.0) == 1
    assert jax.grad(stretched)(-0.0) == 1


def test_what_has_collapsed_is_what_has_no_loss():
    has_collapsed = jax.jit(collapsed)
    z = np.zeros((50, CLASSES), np.float32)
    z[:, 0] = np.arange(50)
    y = np.zeros(50, np.int32)
    for t in (11.0, 24.0, 53.0):
        gone = has_collapsed(LOSSES.index("ce"), z, t)
        np.testing.assert_array_equal(gone, with_gradient("ce", z, y, t)[0] == 0)
    for loss in ("exact", "stablemax", "mse"):
        assert not has_collapsed(LOSSES.index(loss), z, 11.0).any()


def test_losses_of_many_cells_at_once_are_those_of_one(rng):
    z, y = logits(rng)
    ts = np.array([11.0, 24.0, UNLIMITED], np.float32)
    alone = jax.jit(cross_entropy)
    together = jax.jit(jax.vmap(cross_entropy, (None, None, 0)))(z, y, ts)
    for t, losses in zip(ts, together, strict=True):
        np.testing.assert_allclose(losses, alone(z, y, t), rtol=1e-6)


def test_the_two_largest_logits(rng):
    z = rng.integers(4, size=(200, 6)).astype(np.float32)  # many are equal
    value, place = largest(jnp.array(z))
    np.testing.assert_array_equal(value, z.max(axis=1))
    np.testing.assert_array_equal(place, z.argmax(axis=1))
    np.testing.assert_array_equal(second_largest(jnp.array(z)), np.sort(z, axis=1)[:, -2])
    value, place = largest(jnp.array([[1.0, np.nan, 3.0]]))
    assert np.isnan(value).all()
    assert place.tolist() == [3]
    assert np.isnan(cross_entropy(jnp.array([[1.0, np.nan, 3.0]]), jnp.array([2]), 24)).all()
