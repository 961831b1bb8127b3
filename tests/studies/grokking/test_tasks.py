"""The tasks."""

import numpy as np
import pytest

from superpos_jax.studies.grokking.data import OPERATIONS, coded, codes, order, pairs, parity


@pytest.mark.parametrize(
    ("name", "operation"),
    [("add", lambda a, b: a + b), ("sub", lambda a, b: a - b), ("mul", lambda a, b: a * b)],
)
def test_operations(name, operation):
    p = 7
    x, y = pairs(p, OPERATIONS.index(name), np.arange(p * p))
    assert len(np.unique(x, axis=0)) == p * p
    assert [int(label) for label in y] == [operation(int(a), int(b)) % p for a, b in x]


def test_an_order_is_of_its_seed():
    assert sorted(order(100, 3)) == list(range(100))
    assert (order(100, 3) == order(100, 3)).all()
    assert (order(100, 3) != order(100, 4)).any()


@pytest.mark.parametrize("bits", [5, 14])
def test_codes_tell_numbers_apart(bits):
    table = codes(23, bits, seed=1)
    assert table.shape == (23, bits)
    assert len(np.unique(table, axis=0)) == 23
    x, y = coded(23, 0, bits, 1, np.arange(23 * 23))
    assert x.shape == (23 * 23, 2 * bits)
    a, b = ([table.tolist().index(code.tolist()) for code in half] for half in np.hsplit(x, 2))
    assert [(i + j) % 23 for i, j in zip(a, b, strict=True)] == y.tolist()


def test_parity():
    x, y = parity(500, 12, 3, seed=2)
    assert len(np.unique(x, axis=0)) == 500
    assert set(np.unique(x)) == {0, 1}
    assert (y == np.bitwise_xor.reduce(x[:, :3].astype(int), axis=1)).all()


def test_parity_of_all_vectors_that_there_are():
    assert len(np.unique(parity(16, 4, 2, seed=0).x, axis=0)) == 16
