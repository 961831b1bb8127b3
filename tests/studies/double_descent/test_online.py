"""Samples drawn anew at every step: their distribution, and training on them."""

import functools

import jax
import numpy as np
import oracle
import pytest

import superpos_jax as sp
from superpos_jax.studies.double_descent import data
from superpos_jax.studies.double_descent.cell import Cell, Options
from superpos_jax.studies.double_descent.online import draw_block
from superpos_jax.studies.double_descent.study import DoubleDescent


def dense(block, rows, n):
    """(rows, n); an entry of value 0 is padding, and no feature comes twice."""
    row, col, val = (np.asarray(leaf) for leaf in block)
    used = val > 0
    assert len(set(zip(row[used].tolist(), col[used].tolist(), strict=True))) == used.sum()
    X = np.zeros((rows, n), np.float32)
    X[row[used], col[used]] = val[used]
    return X


draw = jax.jit(draw_block, static_argnums=(1, 2, 3))


@functools.lru_cache
def drawn(S, n=60, rows=4096):
    slots = min(n, int(n * (1 - S) + 8 * np.sqrt(n * (1 - S))) + 16)
    return dense(draw(jax.random.key(1), (rows, rows * n), slots, n, np.float32(S)), rows, n)


@pytest.mark.unoptimized
@pytest.mark.parametrize("S", [0.0, 0.6, 0.97])
def test_the_distribution_is_that_of_the_data(S):
    new, old = drawn(S), data.draw(data.Stream(0, 60, S, "train"), 4096).dense(60)
    # each feature is there as often as the other ones, whichever the others are
    spread = 5 * np.sqrt(S * (1 - S) / 4096) + 1e-9
    np.testing.assert_allclose((new > 0).mean(axis=0), 1 - S, atol=spread)
    pairs = (new[:, 1:] > 0) & (new[:, :-1] > 0)
    np.testing.assert_allclose(pairs.mean(), (1 - S) ** 2, atol=5 * (1 - S) / np.sqrt(4096))
    counts = [(X > 0).sum(axis=1) for X in (new, old)]
    np.testing.assert_allclose(counts[0].std(), counts[1].std(), rtol=0.1)
    quantiles = [np.quantile(X[X > 0], [0.05, 0.25, 0.5, 0.75, 0.95]) for X in (new, old)]
    np.testing.assert_allclose(*quantiles, rtol=0.1, atol=0.01)
    norms = np.linalg.norm(new, axis=1)
    np.testing.assert_allclose(norms, (new > 0).any(axis=1), atol=1e-6)


@pytest.mark.unoptimized
def test_a_nearly_empty_sample_is_zero():
    assert (drawn(0.97) == 0).all(axis=1).mean() == pytest.approx(0.97**60, abs=0.03)


@pytest.mark.unoptimized
def test_what_finds_no_room_is_left_out():
    X = dense(draw(jax.random.key(0), (8, 20), 30, 30, np.float32(0.5)), 8, 30)
    assert (X > 0).sum() == 20


CELL = {"S": 0.8, "steps": 12, "lr": 1e-2, "m": 3, "eps": 1e-4, "online": 1}
STUDY = DoubleDescent(Options(n=20, test_samples=40))


@pytest.fixture(scope="module")
def result():
    sweep = sp.Sweep(
        axes={"T": [5, 40], "online": [0, 1]},
        cell={name: value for name, value in CELL.items() if name != "online"},
        options={"n": 20, "test_samples": 40},
    )
    return sp.run(sweep)


def batches(cell):
    """(steps, T, n): what the cell is trained on, block by block."""
    shapes = STUDY.shapes(cell, "cpu")
    count = -(-cell.T // shapes.rows)
    new = jax.jit(lambda step, index: STUDY.draw(cell, shapes, step, index))
    samples = []
    for step in range(cell.steps):
        parts = [dense(new(step, index), shapes.rows, 20) for index in range(count)]
        samples.append(np.concatenate(parts)[: cell.T])
    return np.array(samples)


@pytest.mark.unoptimized
@pytest.mark.parametrize("T", [5, 40])
def test_training_is_the_oracles_on_the_same_samples(result, T):
    cell = Cell(T=T, **CELL)
    X, trained = batches(cell), result.cell(T=T, online=1)
    assert len(np.unique(X.reshape(-1, 20), axis=0)) > 0.9 * T * cell.steps  # all of them new
    expected = oracle.train(
        X, trained.W0, trained.b0,
        steps=12, lr=1e-2, weight_decay=cell.weight_decay, eps=1e-4, reduction=1.0,
    )  # fmt: skip
    np.testing.assert_allclose(trained.W, expected.W, rtol=0, atol=1e-4)
    np.testing.assert_allclose(trained.b, expected.b, rtol=0, atol=1e-4)
    other = result.cell(T=T, online=0)
    assert np.abs(trained.W - other.W).max() > 1e-2


@pytest.mark.unoptimized
def test_the_training_set_is_only_evaluated(result):
    trained = result.cell(T=40, online=1)
    loss = oracle.loss_and_grad(trained.X, trained.W, trained.b)[0]
    stored = result.dataset.train_loss.sel(T=40, online=1)
    np.testing.assert_allclose(stored, loss, rtol=1e-4)


def test_a_cell_alone_has_the_bits_it_has_in_company():
    options = {"n": 20, "test_samples": 40}
    alone = sp.run(sp.Sweep(cell={"T": 40, **CELL}, options=options)).dataset
    company = sp.run(sp.Sweep(axes={"T": [33, 40, 50]}, cell=CELL, options=options))
    company = company.dataset.sel(T=40)
    for name in ("W", "b", "test_loss", "history_train_loss"):
        assert alone[name].values.tobytes() == company[name].values.tobytes(), name
