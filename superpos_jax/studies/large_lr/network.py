"""ReLU networks of one to three hidden layers, traced and in numpy.

    h_0 = x,  h_l = ReLU(W_l h_(l-1) + b_l),  logits = U h_L

The output has no bias; hidden layers have one or none. Weights are stored for a padded width and
are zero beyond the cell's own: there ReLU(0) = 0 passes neither a value nor a gradient on, so that
a network of width w in arrays of width W is the network of width w.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from superpos_jax.studies.large_lr.cell import BIASES, OPTIMIZERS, Numbers

QUANTUM = 8
"""Widths are padded to a multiple of it."""


class Kind(NamedTuple):
    """What is static about a network and its optimizer."""

    inputs: int
    width: int
    """Padded."""
    depth: int
    classes: int
    bias: str
    optimizer: str


class Params(NamedTuple):
    """weights: depth + 1 arrays (out, in), the last one U; biases: depth arrays (out,)."""

    weights: tuple[Any, ...]
    biases: tuple[Any, ...]


def kind_of(cell: Numbers, inputs: int, classes: int) -> Kind:
    """What is static about a cell (host)."""
    width = -(-cell.width // QUANTUM) * QUANTUM
    bias, optimizer = BIASES[cell.bias], OPTIMIZERS[cell.optimizer]
    return Kind(inputs, width, cell.depth, classes, bias, optimizer)


def init(kind: Kind, width: Any, key: jax.Array) -> Params:
    """Weights and biases uniform in +-1 / sqrt(fan in), the true one; zero in the padding.

    Args:
        kind: shapes.
        width: hidden units of a layer, traced or not, at most `kind.width`.
        key: decides the weights, the learning rate does not.
    """
    used = jnp.arange(kind.width) < width
    keys = iter(jax.random.split(key, 2 * kind.depth + 1))

    def uniform(shape: tuple[int, ...], fan_in: Any) -> jax.Array:
        unit = jax.random.uniform(next(keys), shape, minval=-1.0, maxval=1.0)
        return unit / jnp.sqrt(jnp.float32(fan_in))

    weights, biases = [], []
    into, entering = kind.inputs, jnp.ones(kind.inputs, bool)
    fan_in: Any = kind.inputs
    for _ in range(kind.depth):
        mask = used[:, None] & entering
        weights.append(jnp.where(mask, uniform((kind.width, into), fan_in), 0))
        bias = jnp.where(used, uniform((kind.width,), fan_in), 0)
        biases.append(bias if kind.bias == "hidden" else jnp.zeros(kind.width))
        into, entering, fan_in = kind.width, used, width
    weights.append(jnp.where(entering, uniform((kind.classes, into), fan_in), 0))
    return Params(tuple(weights), tuple(biases))


def logits(kind: Kind, params: Params, x: jax.Array) -> jax.Array:
    """(rows, classes), traced. Without biases none is added, and none is ever trained."""
    for W, b in zip(params.weights, params.biases, strict=False):
        x = x @ W.T
        x = jax.nn.relu(x + b if kind.bias == "hidden" else x)
    return x @ params.weights[-1].T


def trimmed(params: Params, width: int) -> Params:
    """Numpy parameters without their padding."""
    *hidden, head = params.weights
    first = hidden[0][:width]
    weights = (first, *(W[:width, :width] for W in hidden[1:]), head[:, :width])
    return Params(weights, tuple(b[:width] for b in params.biases))


def layers(params: Params, x: np.ndarray) -> list[np.ndarray]:
    """Hidden layers (rows, width) of a numpy network, after the ReLU."""
    hidden = []
    for W, b in zip(params.weights, params.biases, strict=False):
        x = x @ W.T
        x += b
        hidden.append(np.maximum(x, 0, out=x))
    return hidden


def outputs(params: Params, x: np.ndarray) -> np.ndarray:
    """(rows, classes) logits of a numpy network."""
    return layers(params, x)[-1] @ params.weights[-1].T


def input_gradient(params: Params, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(rows, inputs): the gradient of the logit of label y by the input."""
    hidden = layers(params, x)
    gradient = params.weights[-1][y]
    for W, h in zip(params.weights[-2::-1], hidden[::-1], strict=True):
        gradient = (gradient * (h > 0)) @ W
    return gradient
