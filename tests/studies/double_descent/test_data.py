"""Samples against the exact law they are drawn from. Seeds are fixed: no test is ever unlucky.

Wherever a z-score is bounded, T is so large that a probability wrong by 2 % shows.
"""

import functools
import itertools
import math

import jax
import numpy as np
import pytest
from nonzeros import Sparse

from superpos_jax.engine.numerics import pinned
from superpos_jax.studies.double_descent import DoubleDescent, data, model
from superpos_jax.studies.double_descent.cell import Cell, Options

pytestmark = pytest.mark.unoptimized  # random bits are whole: the same, however compiled

LAWS = [(50, 0.9, 50_000), (12, 0.5, 50_000), (1_000, 0.99, 10_000), (10_000, 0.999, 8_000)]


def draw(T, n=60, S=0.9, data_seed=0, stream="train"):
    return data.draw(data.Stream(data_seed, n, S, stream), T)


def dense(T, **stream):
    return draw(T, **stream).dense(stream.get("n", 60))


def chi2_score(observed, expected, variance):
    """Standard scores of independent counts, squared and summed, as one standard score."""
    z2 = (observed - expected) ** 2 / variance
    return (np.sum(z2) - np.size(z2)) / math.sqrt(2 * np.size(z2))


def kolmogorov(values):
    """sqrt(N) times the largest distance from the uniform law on (0, 1); 1.95 is p = 0.001."""
    ordered, N = np.sort(values), len(values)
    above = np.arange(1, N + 1) / N - ordered
    return math.sqrt(N) * max(above.max(), (1 / N - above).max())


@pytest.fixture
def uncached(monkeypatch):
    """Every sample is drawn again."""
    monkeypatch.setattr(data, "_keeping", lambda count: data._drawn)


@pytest.mark.usefixtures("uncached")
@pytest.mark.parametrize("T", [1, 100, data.CHUNK - 1, data.CHUNK, data.CHUNK + 1, 2 * data.CHUNK])
def test_samples_are_nested(T):
    longest = dense(2 * data.CHUNK + 7)
    np.testing.assert_array_equal(dense(T), longest[:T])


@pytest.mark.usefixtures("uncached")
def test_no_whole_chunk_is_drawn_for_a_few_samples(monkeypatch):
    """They are the same ones, wherever in a stream they begin."""
    whole, bits, sizes = dense(data.CHUNK), data._bits, []

    def counted(stream, start, size, slots):
        sizes.append(size)
        return bits(stream, start, size, slots)

    monkeypatch.setattr(data, "_bits", counted)
    for first, T in (0, 16), (70, data.FEW - 6), (data.CHUNK - 1, 1), (60, 16):
        few = data.draw(data.Stream(0, 60, 0.9, "train", first=first), T)
        np.testing.assert_array_equal(few.dense(60), whole[first : first + T])
    assert sizes == [data.FEW] * 3 + [data.CHUNK]


@pytest.mark.parametrize(("S", "again"), [(0.9, 0), (0.5, 70)])
def test_chunks_are_kept_by_their_size(monkeypatch, S, again):
    """Of 6 non-zeros a sample 1,024 chunks, of 30 only 64."""
    monkeypatch.setattr(data, "_keeping", functools.cache(data._keeping.__wrapped__))
    drawn, bits = [], data._bits

    def counted(stream, start, size, slots):
        drawn.append(start)
        return bits(stream, start, size, slots)

    monkeypatch.setattr(data, "_bits", counted)
    for _ in range(2):
        data.draw(data.Stream(0, 60, S, "train"), 70 * data.CHUNK)
    assert len(drawn) == 70 + again


@pytest.mark.unoptimized
def test_bits_are_those_of_jax():
    """A key of each sample, of data seed, n, S, stream and number; split for gaps and values."""
    stream, start = data.Stream(2**31 - 1, 60, 0.9, "test"), 2**31

    @jax.vmap
    def by_jax(number):
        key = jax.random.key(np.uint32(2**31 - 1))
        for word in (60, np.float32(0.9).view(np.uint32), data.STREAMS["test"], number):
            key = jax.random.fold_in(key, word)
        return [jax.random.bits(each, (7,)) for each in jax.random.split(key)]

    with pinned():
        expected = by_jax(start + np.arange(5, dtype=np.uint32))
    assert all(map(np.array_equal, data._bits(stream, start, 5, 7), expected))


def test_samples_belong_to_the_caller():
    first = draw(100)
    before = first.dense(60)
    for leaf in first[:3]:
        leaf[:] = 0
    np.testing.assert_array_equal(draw(100).dense(60), before)


@pytest.mark.parametrize(("n", "S", "T"), LAWS)
def test_number_of_non_zeros(n, S, T):
    p = 1 - S
    nnz = len(draw(T, n=n, S=S).val)
    assert abs(nnz - T * n * p) < 3.5 * math.sqrt(T * n * p * S)


@pytest.mark.parametrize(("n", "S", "T"), LAWS[:3])
def test_every_feature_is_equally_likely(n, S, T):
    counts = np.bincount(draw(T, n=n, S=S).col, minlength=n)
    assert abs(chi2_score(counts, T * (1 - S), T * (1 - S) * S)) < 4


@pytest.mark.parametrize(("n", "S", "T"), LAWS)
def test_non_zeros_of_a_sample_are_binomial(n, S, T):
    p = 1 - S
    counts = np.bincount(draw(T, n=n, S=S).row, minlength=T)
    k = np.arange(int(n * p + 8 * math.sqrt(n * p * S)) + 1).clip(max=n)
    law = np.array([math.comb(n, int(i)) * p ** int(i) * S ** (n - int(i)) for i in np.unique(k)])
    common = law * T > 20
    observed = np.bincount(counts, minlength=len(law))[: len(law)][common]
    expected = T * law[common]
    assert observed.sum() > 0.98 * T
    assert chi2_score(observed, expected, expected) < 4


def test_adjacent_features_are_independent():
    n, S, T = 50, 0.9, 50_000
    p = 1 - S
    support = dense(T, n=n, S=S) > 0
    for distance in (1, 2, 5):
        joint = (support[:, distance:] & support[:, :-distance]).sum()
        pairs = n - distance
        overlap = 2 * (n - 2 * distance) * (p**3 - p**4)  # pairs that share a feature
        variance = T * (pairs * (p**2 - p**4) + overlap)
        assert abs(joint - T * pairs * p**2) < 3.5 * math.sqrt(variance)


def test_samples_are_independent():
    n, S, T = 50, 0.9, 50_000
    p = 1 - S
    support = dense(T, n=n, S=S) > 0
    for distance in (1, data.CHUNK):
        joint = (support[distance:] & support[:-distance]).sum()
        pairs = n * (T - distance)
        variance = pairs * (p**2 - p**4) + 2 * pairs * (p**3 - p**4)
        assert abs(joint - pairs * p**2) < 3.5 * math.sqrt(variance)


def test_values_are_uniform_before_they_are_rescaled():
    """The ratio of the smaller to the larger of two uniform numbers is uniform, at any scale."""
    X = dense(50_000, n=20, S=0.9)
    pairs = X[(X > 0).sum(axis=1) == 2]
    assert len(pairs) > 10_000
    left, right = pairs[pairs > 0].reshape(-1, 2).T.astype(float)
    assert kolmogorov(np.minimum(left, right) / np.maximum(left, right)) < 1.95
    larger = (left > right).sum()
    assert abs(larger - len(pairs) / 2) < 3.5 * math.sqrt(len(pairs) / 4)


def test_a_lone_value_is_one():
    X = dense(5_000, n=10, S=0.9)
    lone = X[(X > 0).sum(axis=1) == 1]
    assert len(lone) > 1_000
    assert (lone.max(axis=1) == 1).all()


def test_norms_are_one_or_zero():
    n, S, T = 10, 0.9, 20_000
    norms = np.linalg.norm(dense(T, n=n, S=S).astype(float), axis=1)
    zero = norms == 0
    np.testing.assert_allclose(norms[~zero], 1, atol=2e-7)
    empty = S**n
    assert abs(zero.sum() - T * empty) < 3.5 * math.sqrt(T * empty * (1 - empty))


def test_without_sparsity_samples_are_dense():
    X = dense(300, n=200, S=0.0)
    assert (X > 0).all()
    # a uniform number has a mean square of 1/3: undo the rescaling, up to a few per cent
    assert kolmogorov((X[:, 0] * math.sqrt(200 / 3)).clip(0, 1)) < 1.95


def test_one_feature():
    X = dense(2_000, n=1, S=0.5)
    assert set(np.unique(X)) == {0, 1}


def test_features_rise_within_a_sample():
    samples = draw(3_000)
    same = np.diff(samples.row) == 0
    assert (np.diff(samples.row) >= 0).all()
    assert (np.diff(samples.col)[same] > 0).all()
    assert samples.col.min() == 0
    assert samples.col.max() == 59
    assert (samples.val > 0).all()


def test_streams_differ():
    """Each part of a stream's name matters; unrelated supports meet as often as chance has it."""
    streams = {
        "base": {},
        "data_seed": {"data_seed": 1},
        "stream": {"stream": "test"},
        "S": {"S": 0.9000001},
        "n": {"n": 61},
    }
    X = {name: dense(2_000, **stream)[:, :60] > 0 for name, stream in streams.items()}
    for a, b in itertools.combinations(X, 2):
        joint = (X[a] & X[b]).sum()
        assert abs(joint - 1_200) < 4 * math.sqrt(1_200), (a, b)


@pytest.mark.usefixtures("uncached")
@pytest.mark.parametrize(("n", "S"), [(200, 0.9), (400, 0.5)])
def test_a_sample_longer_than_its_slots_is_drawn_whole(monkeypatch, n, S):
    whole = draw(1_500, n=n, S=S)
    bits, asked = data._bits, []

    def few(stream, start, size, slots):
        asked.append(slots)
        whole = bits(stream, start, size, n)
        return tuple(each[:, : slots if slots == n else slots // 16] for each in whole)

    monkeypatch.setattr(data, "_bits", few)
    again = draw(1_500, n=n, S=S)
    assert len(asked) >= 4  # two chunks, each tried again
    for drawn, again_drawn in zip(whole, again, strict=True):
        np.testing.assert_array_equal(drawn, again_drawn)


def test_more_slots_show_the_same_bits():
    stream = data.Stream(3, 100, 0.9, "train")
    for few, many in zip(data._bits(stream, 0, 16, 8), data._bits(stream, 0, 16, 21), strict=True):
        np.testing.assert_array_equal(few, many[:, :8])


@pytest.mark.parametrize("T", [1, 31, 32, 33, 100])
@pytest.mark.parametrize("S", [0.0, 0.9, 0.999])
def test_blocks_hold_the_samples(T, S):
    rows = 32
    samples = draw(T, S=S, data_seed=5)
    check_blocks(samples, rows)


def test_blocks_may_be_empty():
    nothing = data.Samples(np.zeros(0, int), np.zeros(0, int), np.zeros(0, np.float32), 70)
    check_blocks(nothing, 32)
    row, col = np.array([40, 40, 45]), np.array([3, 7, 0])
    check_blocks(data.Samples(row, col, np.array([0.6, 0.8, 1.0], np.float32), 100), 32)


@pytest.mark.parametrize("platform", ["cpu", "gpu"])
@pytest.mark.parametrize("T", [40, 3_000, 9_000])
def test_a_data_set_is_cut_into_blocks_of_its_shapes(T, platform):
    study, cell = Sparse(Options(n=30)), Cell(T=T, S=0.9)
    rows, entries = study.shapes(cell, platform).block
    train = study.datasets(cell)["train"]
    blocks = study.blocks(train, (rows, entries))
    X = np.zeros((-(-T // rows), rows, 30), np.float32)
    np.add.at(X, (np.arange(len(X))[:, None], blocks.row, blocks.col), blocks.val)
    np.testing.assert_array_equal(X.reshape(-1, 30)[:T], data.draw(*train[:2]).dense(30))
    assert not X.reshape(-1, 30)[T:].any()


@pytest.mark.parametrize("repeats", [5, 128, 256, 900])
def test_blocks_have_room_for_copies_of_one_sample(repeats):
    study = DoubleDescent(Options(n=1_000))
    for seed in range(20):
        cell = Cell(T=1_000, S=0.99, data_seed=seed, repeated=1, repeats=repeats)
        study.blocks(study.datasets(cell)["train"], study.shapes(cell, "cpu").block)


def check_blocks(samples, rows):
    entries = np.bincount(samples.row // rows, minlength=1).max() + 5
    block = model.to_blocks(samples, rows, entries)
    count = -(-samples.T // rows)
    assert len(block.row) == count
    assert block.row.max() < rows
    assert block.val.shape == (count, entries)
    if len(samples.row):
        model.to_blocks(samples, rows, entries - 5)
        with pytest.raises(ValueError, match="more than"):
            model.to_blocks(samples, rows, entries - 6)
    X = np.zeros((count, rows, 60), np.float32)
    at = np.broadcast_to(np.arange(count)[:, None], block.row.shape)
    np.add.at(X, (at, block.row, block.col), block.val)
    X = X.reshape(-1, 60)
    np.testing.assert_array_equal(X[: samples.T], samples.dense(60))
    assert (X[samples.T :] == 0).all()


@pytest.mark.parametrize("S", [0.0, 0.5, 0.98, 0.999, 0.999999])
@pytest.mark.parametrize("n", [1, 30, 500, 10_000])
def test_a_block_has_room_for_its_samples(n, S):
    """The tail of the binomial law beyond the room is below e^-30, bounded as Chernoff does."""
    study = Sparse(Options(n=n))
    for T in (10, 1_000):
        rows, entries = study.shapes(Cell(T=T, m=2, S=S), "cpu").block
        trials, p = rows * n, 1 - S
        assert entries <= 1.6 * trials * p + 9 * math.sqrt(trials * p) + 96
        share = (entries + 1) / trials
        if share < 1:
            tail = share * math.log(share / p) + (1 - share) * math.log((1 - share) / S)
            assert trials * tail > 30


@pytest.mark.parametrize(("repeated", "repeats"), [(1, 1), (0, 5), (1, 40), (3, 700), (40, 2)])
def test_repeated_samples_come_first_one_after_another(repeated, repeats):
    T, stream = 50, data.Stream(2, 60, 0.9, "train", repeated, repeats)
    once = draw(T, data_seed=2, n=60, S=0.9).dense(60)
    times = np.where(np.arange(T) < repeated, repeats, 1)
    rows = int(times.sum())
    X = np.repeat(once, times, axis=0)
    np.testing.assert_array_equal(data.draw(stream, rows).dense(60), X)
    chunks = [chunk.dense(60) for chunk in data.chunks(stream, rows)]
    np.testing.assert_array_equal(np.concatenate(chunks), X)
    np.testing.assert_array_equal(data.draw(stream, rows - 7).dense(60), X[:-7])  # nested
    assert Cell(T=T, repeated=repeated, repeats=repeats).rows == rows


def test_no_more_samples_are_repeated_than_there_are():
    assert Cell(T=3, repeated=9, repeats=4).rows == 12
