"""Random words in numpy, and in a step, against those of JAX, to the bit."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from superpos_jax.engine import threefry
from superpos_jax.engine.numerics import pinned

words = st.integers(0, 2**32 - 1)
pytestmark = pytest.mark.unoptimized


@jax.jit
def by_jax(seed, number, numbers):
    key = jax.random.fold_in(jax.random.key(seed), number)

    def of(number):
        own = jax.random.fold_in(key, number)
        return [jax.random.bits(each, (5,)) for each in (own, *jax.random.split(own))]

    return jax.random.bits(key, (5,)), jax.vmap(of)(numbers)


@settings(max_examples=50, deadline=None)
@given(words, words, st.lists(words, min_size=3, max_size=3))
def test_keys_and_words_are_those_of_jax(seed, number, numbers):
    numbers = np.array(numbers, np.uint32)
    with pinned():
        expected = by_jax(np.uint32(seed), np.uint32(number), numbers)
    key = threefry.fold_in(threefry.key(seed), number)
    own = threefry.fold_in(key, numbers[:, np.newaxis])
    found = threefry.bits(key, 5), [threefry.bits(k, 5) for k in (own, *threefry.split(own))]
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert one.dtype == np.uint32
        assert np.array_equal(one, other)


@pytest.mark.parametrize("platform", ["cpu", "default"])
@pytest.mark.parametrize("count", [1, 72, 101])
def test_words_in_a_step_are_those_of_jax(monkeypatch, count, platform):
    """Here, and as another platform computes them."""
    chosen = lambda *key, **ways: ways[platform](*key)  # noqa: E731
    monkeypatch.setattr(jax.lax, "platform_dependent", chosen)
    keys = np.array([[0, 0], [3, 2**32 - 1], [2**31, 7]], np.uint32)

    def words(key):
        wrapped = jax.random.wrap_key_data(key, impl="threefry2x32")
        return threefry.bits_in_step(threefry.Key(*key), count), jax.random.bits(wrapped, (count,))

    with pinned():
        found, expected = jax.jit(jax.vmap(words))(keys)
    assert found.dtype == np.uint32
    assert np.array_equal(found, expected)
