"""AdamW that stands tiny gradients, SGD, and the perpendicular gradient of Prieto et al. (2025)."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

OPTIMIZERS = ("adamw", "sgd")
PERPS = ("none", "tensor", "global")
"""In the order of their numbers."""
BETA1 = 0.9
NOISE = 1e-6
"""If a part of a gradient is shorter than this share of the gradient, it is rounding noise."""


class AdamState(NamedTuple):
    """Of each parameter: m, the mean gradient; s, the root of the mean of its square."""

    count: Any
    m: Any
    s: Any


def scale_by_root_adam(beta2: Any, eps: Any) -> optax.GradientTransformation:
    """Adam that keeps the root of its second moment.

        m <- beta1 m + (1 - beta1) g        s <- (beta2 s^2 + (1 - beta2) g^2)^1/2
        update = m / (1 - beta1^n) / (s / (1 - beta2^n)^1/2 + eps)

    The same numbers as Adam's, but no square of a gradient is ever stored. Squares of gradients
    below 1e-19 or so round to 0 in float32; with eps = 1e-25 an update over such a 0 would blow up.
    """

    def init(params: Any) -> AdamState:
        zeros = jax.tree.map(jnp.zeros_like, params)
        return AdamState(jnp.int32(0), zeros, zeros)

    def update(grads: Any, state: AdamState, params: Any = None) -> tuple[Any, AdamState]:
        count = state.count + 1
        m = jax.tree.map(lambda g, m: BETA1 * m + (1 - BETA1) * g, grads, state.m)
        s = jax.tree.map(
            lambda g, s: _root_mean(jnp.sqrt(1 - beta2) * g, jnp.sqrt(beta2) * s), grads, state.s
        )
        m_left = 1 - BETA1**count
        s_left = jnp.sqrt(1 - beta2**count)
        updates = jax.tree.map(lambda m, s: m / m_left / (s / s_left + eps), m, s)
        return updates, AdamState(count, m, s)

    return optax.GradientTransformation(init, update)


def _root_mean(a: jax.Array, b: jax.Array) -> jax.Array:
    """(a^2 + b^2)^1/2 without a square that underflows."""
    largest = jnp.maximum(jnp.abs(a), jnp.abs(b))
    unit = jnp.where(largest > 0, largest, 1)
    return unit * jnp.sqrt((a / unit) ** 2 + (b / unit) ** 2)


def perpendicular(perp: Any) -> optax.GradientTransformation:
    """The gradient without its part along the weights, by the number of `PERPS`.

        g_perp = g - (<w, g> / <w, w>) w

    "tensor": for each tensor alone, then stretched to the length of g (the public code). "global":
    for all tensors as one vector, not stretched (the paper, equation 12). "none": g.
    """

    def update(grads: Any, state: Any, params: Any) -> tuple[Any, Any]:
        branches = (
            lambda g, w: g,
            lambda g, w: jax.tree.map(_tensor_part, g, w),
            perpendicular_part,
        )
        return jax.lax.switch(perp, branches, grads, params), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def perpendicular_part(grads: Any, weights: Any) -> Any:
    """g - (<w, g> / <w, w>) w over a whole tree; g where w is 0. Tiny gradients do not underflow.

    >>> perpendicular_part(jnp.array([1e-30, 1e-30]), jnp.array([2.0, 0.0])).tolist()
    [0.0, 1.0000000031710769e-30]
    """
    size, unit = _unit(grads)
    length = _inner(weights, weights)
    share = _inner(weights, unit) / jnp.where(length > 0, length, 1)
    return jax.tree.map(lambda g, w: size * (g - share * w), unit, weights)


def _tensor_part(grad: jax.Array, weight: jax.Array) -> jax.Array:
    """The perpendicular part of one tensor, as long as the gradient; 0 where only noise is left."""
    size, unit = _unit(grad)
    part = perpendicular_part(unit, weight)
    whole, left = jnp.linalg.norm(unit), jnp.linalg.norm(part)
    stretch = jnp.where(left > NOISE * whole, whole / jnp.where(left > 0, left, 1), 0)
    return size * stretch * part


def cosine(one: Any, other: Any) -> jax.Array:
    """The cosine of two trees, each as one vector, (); 0 where one of them is 0.

    >>> float(cosine({"w": jnp.array([3e-30])}, {"w": jnp.array([2.0])}))
    1.0
    """
    (_, a), (_, b) = _unit(one), _unit(other)
    length = jnp.sqrt(_inner(a, a) * _inner(b, b))
    return _inner(a, b) / jnp.where(length > 0, length, 1)


def _inner(one: Any, other: Any) -> jax.Array:
    """The inner product of two trees, by plain sums: the threads of a CPU may split a product's."""
    return optax.tree.sum(jax.tree.map(lambda a, b: (a * b).sum(), one, other))


def _unit(tree: Any) -> tuple[jax.Array, Any]:
    """The largest magnitude of a tree, and the tree over it."""
    size = jnp.max(jnp.stack([jnp.abs(leaf).max() for leaf in jax.tree.leaves(tree)]))
    return size, jax.tree.map(lambda leaf: leaf / jnp.where(size > 0, size, 1), tree)


def optimizer(
    name: str, perp: Any, lr: Any, weight_decay: Any, beta2: Any, eps: Any, momentum: Any
) -> optax.GradientTransformation:
    """AdamW or SGD with momentum, on the gradient or on its perpendicular part.

    Weight decay is decoupled, w <- w (1 - lr weight_decay), of SGD too.
    """
    scale = scale_by_root_adam(beta2, eps) if name == "adamw" else optax.trace(momentum)
    return optax.chain(
        perpendicular(perp),
        scale,
        optax.add_decayed_weights(weight_decay),
        optax.scale_by_learning_rate(lr),
    )
