"""The networks: a ReLU network of one to three hidden layers, and a transformer of one block.

Both are pure functions of a dictionary of arrays. Hidden units are padded to a multiple of 8: what
lies beyond the cell's own width is 0, and stays so, since a ReLU that is 0 passes no gradient.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp

from superpos_jax.engine.sums import dense

QUANTUM = 8
"""Hidden units are padded to a multiple of it."""
HEADS = 4
Params = dict[str, jax.Array]


def padded(width: int) -> int:
    """Hidden units of the arrays of a cell.

    >>> padded(100), padded(96)
    (104, 96)
    """
    return -(-width // QUANTUM) * QUANTUM


# ---- a ReLU network


def mlp_init(
    key: jax.Array, width: Any, units: int, depth: int, inputs: int, classes: int, biases: bool
) -> Params:
    """W1, ..., out, and biases b1, ..., b_out: uniform within fan_in^-1/2, as in PyTorch.

    Args:
        key: of the cell.
        width: hidden units of the cell, traced.
        units: of the arrays, padding included.
        depth: hidden layers.
        inputs: numbers of a sample.
        classes: logits.
        biases: whether there are any.
    """
    used = jnp.arange(units) < width
    params: Params = {}
    for layer in range(depth + 1):
        first, last = layer == 0, layer == depth
        shape = inputs if first else units, classes if last else units
        bound = 1 / jnp.sqrt(jnp.float32(inputs if first else width))
        own = jax.random.fold_in(key, layer)
        weights = _uniform(own, shape, bound) * (1 if last else used)
        params[_weights(layer, depth)] = weights * (1 if first else used[:, None])
        if biases:
            bias = _uniform(jax.random.fold_in(own, 1), shape[1:], bound)
            params[_bias(layer, depth)] = bias * (1 if last else used)
    return params


def _weights(layer: int, depth: int) -> str:
    return "out" if layer == depth else f"W{layer + 1}"


def _bias(layer: int, depth: int) -> str:
    return "b_out" if layer == depth else f"b{layer + 1}"


def mlp(params: Params, depth: int, first: jax.Array) -> jax.Array:
    """Logits, (rows, classes), of what W1 makes of the inputs, (rows, units)."""
    x = first
    for layer in range(depth + 1):
        x = x if layer == 0 else dense(x, params[_weights(layer, depth)])
        x = x + params.get(_bias(layer, depth), 0)
        x = x if layer == depth else jax.nn.relu(x)
    return x


def of_pair(weights: jax.Array, x: jax.Array, look_up: bool) -> jax.Array:
    """W1 times the one-hots of two numbers below p, (rows, units), for W1 of (2 p, units).

    `look_up` reads rows of W1 in place of a product. On an accelerator many threads would then add
    up the gradient in no fixed order, and its bits would vary.

    >>> of_pair(jnp.arange(6.0)[:, None], jnp.array([[1, 2]]), look_up=True)
    Array([[6.]], dtype=float32)
    """
    p = len(weights) // 2
    if look_up:
        return weights[x[:, 0]] + weights[p + x[:, 1]]
    ones = jax.nn.one_hot(x[:, 0], 2 * p) + jax.nn.one_hot(p + x[:, 1], 2 * p)
    return ones @ weights


# ---- a transformer


def transformer_init(key: jax.Array, width: Any, units: int, embedding: int, tokens: int) -> Params:
    """The weights of one block, as PyTorch draws them.

    Embeddings are standard normal, the joint projection to queries, keys and values is
    Xavier-uniform, other matrices and the biases of the feed-forward layer and of the output are
    uniform within fan_in^-1/2, biases of the attention are 0.
    """
    used = jnp.arange(units) < width
    keys = [jax.random.fold_in(key, i) for i in range(9)]
    inner = 1 / jnp.sqrt(jnp.float32(embedding))
    hidden = 1 / jnp.sqrt(jnp.float32(width))
    xavier = jnp.sqrt(6 / jnp.float32(4 * embedding))
    ones, zeros = jnp.ones(embedding), jnp.zeros(embedding)
    return {
        "embed": jax.random.normal(keys[0], (tokens, embedding)),
        "qkv": _uniform(keys[1], (embedding, 3 * embedding), xavier),
        "b_qkv": jnp.zeros(3 * embedding),
        "mix": _uniform(keys[2], (embedding, embedding), inner),
        "b_mix": zeros,
        "W1": _uniform(keys[3], (embedding, units), inner) * used,
        "b1": _uniform(keys[4], (units,), inner) * used,
        "W2": _uniform(keys[5], (units, embedding), hidden) * used[:, None],
        "b2": _uniform(keys[6], (embedding,), hidden),
        "out": _uniform(keys[7], (embedding, tokens), inner),
        "b_out": _uniform(keys[8], (tokens,), inner),
    } | {f"{kind}_{i}": value for i in (1, 2) for kind, value in (("gain", ones), ("shift", zeros))}


def transformer(
    params: Params, x: jax.Array, dropout: Any = 0.0, key: jax.Array | None = None
) -> jax.Array:
    """Logits at the last position, (rows, tokens), of sequences of tokens (rows, length).

    One block after Vaswani et al. (2017) with normalisation after each part, 4 heads, ReLU, no code
    of positions and no mask.

    Args:
        params: as `transformer_init` draws them.
        x: (rows, length) int32.
        dropout: which share of the attention, of both parts and of the hidden units is set to 0,
            as in PyTorch's encoder layer.
        key: of what is dropped; nothing is without one.
    """
    keys = [None] * 4 if key is None else jax.random.split(key, 4)
    attention, part_1, inside, part_2 = (functools.partial(_dropped, dropout, own) for own in keys)
    h = params["embed"][x]
    queries, keys, values = jnp.split(h @ params["qkv"] + params["b_qkv"], 3, axis=-1)
    h = h[:, -1]  # all that is read after the one block
    shares = attention(_shares(_heads(queries[:, -1]), _heads(keys)))
    attended = jnp.einsum("nhj,njhs->nhs", shares, _heads(values)).reshape(h.shape)
    h = _normalised(params, 1, h + part_1(attended @ params["mix"] + params["b_mix"]))
    inner = inside(jax.nn.relu(h @ params["W1"] + params["b1"]))
    h = _normalised(params, 2, h + part_2(inner @ params["W2"] + params["b2"]))
    return h @ params["out"] + params["b_out"]


def _heads(part: jax.Array) -> jax.Array:
    return part.reshape(*part.shape[:-1], HEADS, -1)


def _shares(query: jax.Array, keys: jax.Array) -> jax.Array:
    """How much of each position a head reads, (rows, heads, length): by how like its key is.

    The query is (rows, heads, size), keys are (rows, length, heads, size).
    """
    return jax.nn.softmax(jnp.einsum("nhs,njhs->nhj", query, keys) / jnp.sqrt(query.shape[-1]))


def _dropped(share: Any, key: jax.Array | None, x: jax.Array) -> jax.Array:
    """An array of which a share is 0, and the rest larger, so that the mean stays."""
    if key is None:
        return x
    return jnp.where(jax.random.bernoulli(key, 1 - share, x.shape), x / (1 - share), 0)


def _normalised(params: Params, which: int, h: jax.Array) -> jax.Array:
    centred = h - h.mean(axis=-1, keepdims=True)
    scaled = centred / jnp.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-5)
    return scaled * params[f"gain_{which}"] + params[f"shift_{which}"]


def _uniform(key: jax.Array, shape: tuple[int, ...], bound: Any) -> jax.Array:
    return jax.random.uniform(key, shape, minval=-1.0) * bound
