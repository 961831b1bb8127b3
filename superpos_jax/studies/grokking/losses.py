"""The loss of each sample from its logits z, (rows, classes), and its label y, (rows,).

All but the squared error are a cross-entropy, written so that nothing cancels. With j the largest
logit and r = sum over k != j of exp(z_k - z_j), the softmax sum is 1 + r and

    l = (z_j - z_y) + log(1 + r)

A softmax of t bits rounds 1 + r. If r <= 2^-t the sum is 1: the loss of a sample with j = y is 0,
and so is its gradient at j. That is softmax collapse (Prieto et al., 2025, definition 3).
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

LOSSES = ("ce", "exact", "stablemax", "mse")
"""In the order of their numbers."""
CE, EXACT, STABLEMAX, MSE = range(4)
UNLIMITED = float("inf")
"""Bits of a softmax sum that is not rounded."""
MANTISSA = 2.0**23
"""From there on float32 holds whole numbers only."""


def largest(z: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The largest logit of each row, (rows,), and its class, (rows,): the first of equal ones.

    Where a logit is NaN, so is the largest, and its class is none: the number of classes.
    By a plain maximum and minimum, which take less time than `argmax` on a CPU.

    >>> [x.tolist() for x in largest(jnp.array([[0.0, 60.0, 60.0]]))]
    [[60.0], [1]]
    """
    value = z.max(axis=1)
    classes = jnp.where(z == value[:, None], _classes(z), z.shape[1])
    return value, classes.min(axis=1)


def second_largest(z: jax.Array) -> jax.Array:
    """The second largest logit of each row, (rows,); the largest again where two are.

    >>> second_largest(jnp.array([[0.0, 60.0, 20.0], [1.0, 3.0, 3.0]])).tolist()
    [20.0, 3.0]
    """
    _, j = largest(z)
    return jnp.where(_classes(z) == j[:, None], -jnp.inf, z).max(axis=1)


def rest(z: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The softmax sum without its largest term, which is 1.

    Returns:
        r: (rows,) the sum of the terms.
        terms: (rows, classes) exp(z_k - z_j), 0 at k = j.

    >>> r, terms = rest(jnp.array([[0.0, 60.0, 20.0]]))
    >>> float(r[0] / jnp.exp(-40.0)), terms[0, 1].tolist()
    (1.0, 0.0)
    """
    value, j = largest(z)
    terms = jnp.where(_classes(z) == j[:, None], 0, jnp.exp(z - value[:, None]))
    return terms.sum(axis=1), terms


def _classes(z: jax.Array) -> jax.Array:
    """The class of each logit."""
    return jax.lax.broadcasted_iota(jnp.int32, z.shape, 1)


def rounded(r: jax.Array, t: Any) -> jax.Array:
    """What is left of r, below 1, once 1 + r was rounded to t bits; ties to even, as in floats.

        r_t = 2^(1-t) round(r 2^(t-1))

    From 1 on, and where float32 is coarser, r stays as it is. The whole sum is rounded once. True
    float types round after each term, and so collapse at a gap that is smaller by about 1.

    >>> rounded(jnp.array([1e-3, 1e-4]), 11).tolist(), rounded(jnp.array([1e-30]), UNLIMITED)
    ([0.0009765625, 0.0], Array([1.e-30], dtype=float32))
    """
    scale = jnp.exp2(jnp.asarray(t, r.dtype) - 1)
    scaled = r * scale
    return jnp.where((r < 1) & (scaled < MANTISSA), jnp.round(scaled) / scale, r)


@jax.custom_vjp
def cross_entropy(z: jax.Array, y: jax.Array, t: Any) -> jax.Array:
    """Cross-entropy of each sample, (rows,), the softmax sum rounded to t bits.

    With t = `UNLIMITED` it is exact to float32 for gaps up to 87, far beyond what float64 can add
    to 1. The gradient is a rule of its own:

        dl/dz_k = exp(z_k - z_j) / (1 + r) - [k = y]    for k != j
        dl/dz_j = -r_t / (1 + r_t)  if j = y,  else  1 / (1 + r)

    Only the entry of the largest logit is rounded: it is the one that loses its digits.

    >>> z, y = jnp.array([[80.0, 0.0, 0.0]]), jnp.array([0])
    >>> [f"{cross_entropy(z, y, t)[0]:.5g}" for t in (24, UNLIMITED)]
    ['0', '3.6097e-35']
    """
    return _with_gradient(z, y, t)[0]


def _with_gradient(z: jax.Array, y: jax.Array, t: Any) -> tuple[jax.Array, jax.Array]:
    """The losses, and the gradient by the logits."""
    (value, j), (r, terms), classes = largest(z), rest(z), _classes(z)
    lost = rounded(r, t)
    of_label = jnp.take_along_axis(z, y[:, None], axis=1)[:, 0]
    losses = (value - of_label) + jnp.log1p(lost)
    others = terms / (1 + r)[:, None] - (classes == y[:, None])
    at_top = jnp.where(j == y, -lost / (1 + lost), 1 / (1 + r))
    return losses, jnp.where(classes == j[:, None], at_top[:, None], others)


def _pull_back(gradient: jax.Array, upstream: jax.Array) -> tuple[jax.Array, None, None]:
    return upstream[:, None] * gradient, None, None


cross_entropy.defvjp(_with_gradient, _pull_back)


def stretched(z: jax.Array) -> jax.Array:
    """u = sign(z) log(1 + |z|): StableMax is the softmax of it (Prieto et al., proposition 1).

    Its derivative is 1 / (1 + |z|), at 0 too.

    >>> stretched(jnp.array([-1.0, 0.0, 1.0])).tolist(), float(jax.grad(stretched)(0.0))
    ([-0.6931471824645996, 0.0, 0.6931471824645996], 1.0)
    """
    positive = z >= 0
    return jnp.where(
        positive, jnp.log1p(jnp.where(positive, z, 0)), -jnp.log1p(jnp.where(positive, 0, -z))
    )


def squared_error(z: jax.Array, y: jax.Array) -> jax.Array:
    """Mean over the classes of (z - one-hot label)^2, (rows,)."""
    return ((z - jax.nn.one_hot(y, z.shape[1], dtype=z.dtype)) ** 2).mean(axis=1)


def sample_losses(loss: Any, z: jax.Array, y: jax.Array, t: Any) -> jax.Array:
    """The loss of each sample, (rows,), by its number in `LOSSES`; t counts in "ce" only."""
    branches = (
        cross_entropy,
        lambda z, y, t: cross_entropy(z, y, UNLIMITED),
        lambda z, y, t: cross_entropy(stretched(z), y, UNLIMITED),
        lambda z, y, t: squared_error(z, y),
    )
    return jax.lax.switch(loss, branches, z, y, jnp.float32(t))


def collapsed(loss: Any, z: jax.Array, t: Any) -> jax.Array:
    """Whether the softmax sum of the loss itself has become 1, (rows,); never for "mse".

    That of "exact" and of "stablemax" does so only where r underflows.
    """
    alone = partial(_sum_is_one, t=UNLIMITED)
    branches = (
        lambda z: _sum_is_one(z, t),
        alone,
        lambda z: alone(stretched(z)),
        lambda z: jnp.zeros(len(z), bool),
    )
    return jax.lax.switch(loss, branches, z)


def _sum_is_one(z: jax.Array, t: Any) -> jax.Array:
    return rest(z)[0] <= jnp.exp2(-jnp.asarray(t, z.dtype))
