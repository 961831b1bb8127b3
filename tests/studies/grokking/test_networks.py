"""The networks against numpy, and their padding."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from superpos_jax.studies.grokking import model

pytestmark = pytest.mark.unoptimized

KEY = jax.random.key(1)
mlp_init = jax.jit(model.mlp_init, static_argnums=(2, 3, 4, 5, 6))
mlp = jax.jit(model.mlp, static_argnums=1)
transformer_init = jax.jit(model.transformer_init, static_argnums=(2, 3, 4))
transformer = jax.jit(model.transformer)


@pytest.mark.parametrize(("depth", "biases"), [(1, True), (2, False), (3, True)])
def test_a_relu_network_of_its_own_width(depth, biases, rng):
    params = jax.tree.map(np.array, mlp_init(KEY, 10, model.padded(10), depth, 6, 5, biases))
    x = rng.normal(size=(4, 6)).astype(np.float32)
    expected = x
    for name in [*(str(i + 1) for i in range(depth)), "out"]:
        own = params["out" if name == "out" else f"W{name}"]
        bias = (
            params["b_out" if name == "out" else f"b{name}"] if biases else np.zeros(own.shape[1])
        )
        rows = 6 if name == "1" else 10
        columns = 5 if name == "out" else 10
        assert (own[rows:] == 0).all()
        assert (own[:, columns:] == 0).all()
        assert np.abs(own[:rows, :columns]).max() <= rows**-0.5
        assert np.abs(own[:rows, :columns]).max() > 0.8 * rows**-0.5
        expected = expected @ own[: expected.shape[1], :columns] + bias[:columns]
        expected = expected if name == "out" else np.maximum(expected, 0)
    own = mlp(params, depth, x @ params["W1"])
    np.testing.assert_allclose(own, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("look_up", [True, False])
def test_a_pair_is_two_ones(look_up, rng):
    weights = rng.normal(size=(10, 3)).astype(np.float32)
    x = np.array([[1, 0], [2, 2]])
    ones = np.zeros((2, 10), np.float32)
    for row, (a, b) in enumerate(x):
        ones[row, [a, 5 + b]] = 1
    made = jax.jit(model.of_pair, static_argnums=2)(weights, x, look_up)
    np.testing.assert_allclose(made, ones @ weights, rtol=1e-6)


PLACES = ("attention", "part_1", "hidden", "part_2")
"""Where a transformer drops, in this order."""


@pytest.mark.parametrize("drops", [False, True])
def test_a_transformer_against_loops(drops, rng, monkeypatch):
    """With given masks of dropout, too."""
    p, size, width, count = 5, 8, 12, 3
    params = transformer_init(KEY, width, model.padded(width), size, p)
    params = {
        name: np.array(value) + 0.1 * rng.normal(size=value.shape).astype(np.float32)
        for name, value in params.items()
    }
    w = {name: np.array(value, float) for name, value in params.items()}
    x = np.array([[0, 3], [4, 4], [1, 2]])
    shapes = (count, model.HEADS, 2), (count, size), (count, model.padded(width)), (count, size)
    masks = dict(zip(PLACES, [2.0 * rng.integers(2, size=shape) for shape in shapes], strict=True))
    if not drops:
        masks = {place: np.ones_like(mask) for place, mask in masks.items()}
    queue = iter(masks.values())
    monkeypatch.setattr(model, "_dropped", lambda _, key, x: x * jnp.float32(next(queue)))

    def normalised(h, i):
        h = (h - h.mean()) / np.sqrt(h.var() + 1e-5)
        return h * w[f"gain_{i}"] + w[f"shift_{i}"]

    expected = []
    for row, tokens in enumerate(x):
        kept = {place: mask[row] for place, mask in masks.items()}
        h = w["embed"][tokens]
        q, k, v = np.split(h @ w["qkv"] + w["b_qkv"], 3, axis=1)
        mixed = np.zeros_like(h)
        for head in range(model.HEADS):
            part = slice(head * size // model.HEADS, (head + 1) * size // model.HEADS)
            scores = q[:, part] @ k[:, part].T / np.sqrt(size / model.HEADS)
            shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
            mixed[:, part] = (kept["attention"][head] * shares) @ v[:, part]
        last = normalised(h[-1] + kept["part_1"] * (mixed[-1] @ w["mix"] + w["b_mix"]), 1)
        inner = kept["hidden"] * np.maximum(last @ w["W1"] + w["b1"], 0)
        last = normalised(last + kept["part_2"] * (inner @ w["W2"] + w["b2"]), 2)
        expected.append(last @ w["out"] + w["b_out"])
    logits = model.transformer(params, jnp.array(x))
    np.testing.assert_allclose(logits, expected, rtol=2e-4, atol=1e-4)


def test_the_last_position_decides_with_the_first():
    params = transformer_init(KEY, 16, 16, 8, 5)
    logits = np.array(transformer(params, jnp.array([[0, 1], [3, 1], [1, 0]])))
    assert not np.allclose(logits[0], logits[1])
    assert not np.allclose(logits[0], logits[2])


def test_dropout_has_a_mask_of_its_own_at_each_place(monkeypatch):
    places, dropped = [], model._dropped

    def watched(share, key, x):
        assert share == 0.25
        places.append(tuple(jax.random.key_data(key).tolist()))
        return dropped(share, key, x)

    monkeypatch.setattr(model, "_dropped", watched)
    params = jax.tree.map(np.array, transformer_init(KEY, 16, 16, 8, 5))
    model.transformer(params, jnp.array([[0, 1]]), 0.25, KEY)
    assert len({*places}) == len(PLACES)
    monkeypatch.undo()
    plain = model.transformer(params, jnp.array([[0, 1]]), 0.25)
    np.testing.assert_array_equal(plain, model.transformer(params, jnp.array([[0, 1]])))


def test_dropout_drops_its_share_of_numbers_and_keeps_the_mean(rng):
    x = rng.uniform(1, 2, size=(300, 40)).astype(np.float32)
    y = np.array(model._dropped(0.25, KEY, jnp.array(x)))
    kept = y != 0
    np.testing.assert_allclose(y[kept], x[kept] / 0.75, rtol=1e-6)
    assert kept.mean() == pytest.approx(0.75, abs=0.02)
    for axis in (0, 1):  # numbers, and neither rows nor columns
        shares = kept.mean(axis=axis)
        assert 0.3 < shares.min() <= shares.max() < 1
