"""Which samples an update sees: shuffles are permutations, fair ones, of epoch and seed alone."""

import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from superpos_jax.engine.batches import choose, shuffled

pytestmark = pytest.mark.unoptimized

MOST = 300
numbers = st.integers(0, 2**31 - 1)
many = settings(max_examples=100, deadline=None)


@jax.jit
def first_places(seed, epoch, samples):
    """Of a shuffle; compiled once for all numbers of samples up to `MOST`."""
    return shuffled(jnp.minimum(jnp.arange(MOST), samples - 1), seed, epoch, samples)


@functools.partial(jax.jit, static_argnums=2)
def shuffle(seed, epoch, samples):
    return shuffled(jnp.arange(samples), seed, epoch, samples)


def chi2_score(counts, expected):
    """Of counts that should all be `expected`, as a standard score."""
    z2 = (counts - expected) ** 2 / expected
    return (z2.sum() - z2.size) / math.sqrt(2 * z2.size)


choose_jit = jax.jit(choose, static_argnums=(0, 1))


def epoch_of(seed, epoch, size, samples):
    """The batches of an epoch: numbers of the samples of each."""
    steps = -(-samples // size)
    for step in range(epoch * steps, (epoch + 1) * steps):
        index, weight = choose_jit("epochs", 40, seed, step, size, samples)
        yield np.asarray(index)[np.asarray(weight) == 1]


@given(numbers, numbers, st.integers(1, MOST))
@many
def test_a_shuffle_is_a_permutation(seed, epoch, samples):
    places = first_places(seed, epoch, samples)[:samples]
    assert sorted(places.tolist()) == list(range(samples))


@pytest.mark.parametrize("samples", [1024, 65_537, 300_001])
def test_a_shuffle_of_many_is_a_permutation(samples):
    assert (np.sort(np.asarray(shuffle(3, 1, samples))) == np.arange(samples)).all()


@pytest.mark.parametrize("samples", [2, 3, 12])
def test_every_place_is_equally_likely(samples):
    """Of each sample, and of each pair of neighbours."""
    epochs = 20_000
    every = jax.jit(jax.vmap(lambda epoch: shuffled(jnp.arange(samples), 5, epoch, samples)))
    places = np.asarray(every(jnp.arange(epochs)))
    for sample in range(samples):
        counts = np.bincount(places[:, sample], minlength=samples)
        assert abs(chi2_score(counts, epochs / samples)) < 4
    pairs = np.bincount(samples * places[:, 0] + places[:, 1], minlength=samples**2)
    apart = ~np.eye(samples, dtype=bool).ravel()
    assert abs(chi2_score(pairs[apart], epochs / apart.sum())) < 4


def test_epochs_and_seeds_have_shuffles_of_their_own():
    """Two random orders of 1,000 agree in one place on average."""
    shuffles = [shuffle(seed, epoch, 1000) for seed, epoch in itertools.product(range(4), repeat=2)]
    for order, another in itertools.combinations([np.arange(1000), *map(np.asarray, shuffles)], 2):
        assert (order == another).sum() < 8
        assert abs(np.corrcoef(order, another)[0, 1]) < 5 / math.sqrt(1000)


@given(numbers, st.integers(0, 1000), st.integers(1, 40), st.integers(1, 60))
@many
def test_an_epoch_takes_every_sample_once(seed, epoch, size, samples):
    size = min(size, samples)
    batches = list(epoch_of(seed, epoch, size, samples))
    assert [len(batch) for batch in batches[:-1]] == [size] * (len(batches) - 1)
    assert len(batches[-1]) == (samples % size or size)
    assert np.concatenate(batches).tolist() == first_places(seed, epoch, samples)[:samples].tolist()


@pytest.mark.parametrize("order", ["epochs", "replace"])
@pytest.mark.parametrize("step", [0, 3, 5])
def test_room_for_more_rows_changes_no_batch(order, step):
    """How many there are is the layout's choice."""
    tight, loose = (choose_jit(order, rows, 7, step, 10, 36) for rows in (10, 24))
    np.testing.assert_array_equal(loose[0][:10], tight[0])
    np.testing.assert_array_equal(loose[1][:10], tight[1])
    assert not loose[1][10:].any()
    assert tight[1].sum() == (6 if order == "epochs" and step == 3 else 10)


def test_with_replacement_every_sample_is_equally_likely():
    steps, size, samples = 2000, 8, 40
    draw = jax.jit(jax.vmap(lambda step: choose("replace", 12, 1, step, size, samples)))
    index, weight = map(np.asarray, draw(jnp.arange(steps)))
    assert (weight.sum(axis=1) == size).all()
    counts = np.bincount(index[weight == 1], minlength=samples)
    assert abs(chi2_score(counts, steps * size / samples)) < 4
    twice = [len(set(row[:size])) < size for row in index.tolist()]
    chance = 1 - math.prod(1 - i / samples for i in range(size))
    assert abs(np.mean(twice) - chance) < 4 * math.sqrt(chance / steps)


def test_no_two_steps_draw_the_same():
    batches = [
        tuple(choose_jit("replace", 8, seed, step, 8, 10**6)[0].tolist())
        for seed, step in itertools.product(range(5), repeat=2)
    ]
    assert len(set(batches)) == 25


def test_words_of_a_batch_are_not_those_of_weights_or_data():
    """Which a study draws by `jax.random.key(seed)`, folded with small numbers."""
    index, _ = choose_jit("replace", 8, 3, 5, 8, 2**31 - 1)
    others = [jnp.asarray([3, 5]), jax.random.key_data(jax.random.fold_in(jax.random.key(3), 5))]
    for words in others:
        key = jax.random.wrap_key_data(words.astype(jnp.uint32), impl="threefry2x32")
        assert (index != jax.random.bits(key, (8,)) % jnp.uint32(2**31 - 1)).any()
