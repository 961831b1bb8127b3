"""Dimensionalities against identities, closed forms and a double loop."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from kernel import block_loss_and_grad

from superpos_jax.studies.double_descent import criteria, model
from superpos_jax.studies.double_descent.criteria import REGIMES
from superpos_jax.studies.geometry import dimensionality, maximal_dimensionality

# Small integers: ranks are exact, and parallel, repeated and zero vectors come up often.
matrices = arrays(
    np.float64,
    st.tuples(st.integers(1, 8), st.integers(1, 4)),
    elements=st.integers(-3, 3).map(float),
)


def polygon(T, radius=1.0):
    angles = 2 * np.pi * np.arange(T) / T
    return radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def double_loop(V):
    D = np.zeros(len(V))
    for i, v in enumerate(V):
        norm = np.sqrt((v**2).sum())
        if norm > 0:
            D[i] = norm**2 / sum(((v / norm) @ w) ** 2 for w in V)
    return D


@given(matrices)
def test_dimensionality_is_its_double_loop(V):
    np.testing.assert_allclose(dimensionality(V), double_loop(V), rtol=1e-9)


@given(matrices)
def test_dimensionalities_fit_into_the_space(V):
    D = dimensionality(V)
    assert ((D >= 0) & (D <= 1 + 1e-9)).all()
    assert D.sum() <= np.linalg.matrix_rank(V) + 1e-9


@given(matrices)
def test_maximal_dimensionality(V):
    """Its sum is the rank, and no direction, v_i the first, does better than its supremum."""
    D = maximal_dimensionality(V)
    rank = np.linalg.matrix_rank(V)
    np.testing.assert_allclose(D.sum(), rank, atol=1e-9)
    assert (D - dimensionality(V) >= -1e-9).all()
    for v in np.random.default_rng(0).normal(size=(20, V.shape[1])):
        share = (V @ v) ** 2
        assert (D * share.sum() >= share - 1e-9).all()


@given(matrices, st.integers(-100, 100), st.sampled_from([-1.0, 1.0]))
@settings(max_examples=50)
def test_scale_does_not_matter(V, exponent, sign):
    scaled = sign * 10.0**exponent * V
    np.testing.assert_allclose(dimensionality(scaled), dimensionality(V), rtol=1e-9)
    np.testing.assert_allclose(maximal_dimensionality(scaled), maximal_dimensionality(V), atol=1e-9)


def test_zero_vectors_have_no_dimension():
    V = np.array([[0.0, 0.0], [1.0, 2.0], [0.0, 0.0]])
    np.testing.assert_allclose(dimensionality(V), [0, 1, 0])
    np.testing.assert_array_equal(dimensionality(np.zeros((3, 2))), 0)
    np.testing.assert_array_equal(maximal_dimensionality(np.zeros((3, 2))), 0)


@pytest.mark.parametrize("T", [3, 4, 5, 6, 8, 100])
@pytest.mark.parametrize("radius", [1.0, 30.0])
def test_polygon(T, radius):
    np.testing.assert_allclose(dimensionality(polygon(T, radius)), 2 / T)
    np.testing.assert_allclose(maximal_dimensionality(polygon(T, radius)), 2 / T)


def test_orthonormal_columns_have_a_dimension_each(rng):
    W = np.linalg.qr(rng.normal(size=(7, 7)))[0]
    np.testing.assert_allclose(dimensionality(W.T), 1)


def test_unit_pentagon():
    W = np.zeros((2, 12))
    W[:, :5] = polygon(5).T
    np.testing.assert_allclose(np.linalg.norm(W), np.sqrt(5))
    np.testing.assert_allclose(dimensionality(W.T), [0.4] * 5 + [0] * 7)


EXAMPLES = {
    "memorizing": (np.full(100, 0.0), dimensionality(polygon(40))),
    "generalizing": (dimensionality(polygon(5)), np.full(1000, 1e-5)),
    "middle": (np.full(100, 0.02), np.geomspace(1e-6, 0.5, 40)),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_regime(name):
    D_f, D_X = EXAMPLES[name]
    assert REGIMES[criteria.regime(D_f, D_X, m=2)] == name


def test_regime_with_fewer_samples_than_dimensions():
    D_X = dimensionality(np.eye(3, 8))
    assert REGIMES[criteria.regime(np.zeros(50), D_X, m=8)] == "memorizing"


def test_regime_borders():
    """D_X within a factor of 2 of m / T fill half of m; features above 0.1 a quarter."""
    nothing = np.zeros(9)
    half, less = np.array([0.25, 0.5, 0.25, 0.0]), np.array([0.24, 0.5, 0.26, 0.0])  # m / T = 0.5
    assert criteria.regime(nothing, half, m=2) == 0
    assert criteria.regime(nothing, less, m=2) == 1
    large = np.array([1.0, 0.0, 0.0, 0.0])
    assert criteria.regime(nothing, large, m=2) == 0
    assert criteria.regime(nothing, 1.01 * large, m=2) == 1
    assert criteria.regime(np.full(5, 0.101), less, m=2) == 2
    assert criteria.regime(np.full(4, 0.101), less, m=2) == 1
    assert criteria.regime(np.full(50, 0.1), less, m=2) == 1


@pytest.mark.parametrize("T", [3, 4, 5, 6, 8, 12])
def test_polygon_of_samples_is_reproduced_exactly(T):
    """Orthonormal samples on a circle: the closed form has loss 0 and nowhere to go."""
    radius2 = 1 / (1 - np.cos(2 * np.pi / T))
    W, b = np.zeros((2, 16), np.float32), np.zeros(16, np.float32)
    W[:, :T], b[:T] = polygon(T, np.sqrt(radius2)).T, -radius2 * np.cos(2 * np.pi / T)
    one_hot = np.arange(16, dtype=np.int32)
    block = model.Block(one_hot, one_hot, np.where(one_hot < T, 1, 0).astype(np.float32))
    loss, grad = block_loss_and_grad(model.Params(W, b), block, T, 16, 16)
    # z is rounded as |W|^2 and |b| are; the loss is a difference of sums of about T
    assert abs(float(loss)) < 1e-6 * T * radius2
    assert np.abs(grad.b).max() < 1e-5 * radius2
    assert np.abs(grad.W).max() < 1e-5 * radius2**1.5
