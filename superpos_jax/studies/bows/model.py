"""The tied autoencoder and its optimizer, in JAX.

    h = W f,    z = W^T h + b,    f_hat = relu(z), or z        W: (m, d), b: (d,)

Rows of W beyond the cell's m are zero, and stay so: their gradient is zero.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike


class Params(NamedTuple):
    """W: (hidden, d), zero beyond the cell's m; b: (d,)."""

    W: Any
    b: Any


class Map(NamedTuple):
    """The same of few features as samples read it, z = G f + b: G = W^T W (d, d), b (d,)."""

    G: Any
    b: Any


def multiplied(params: Params) -> Map:
    """W^T W once a step, where features are about as few as hidden dimensions."""
    return Map(params.W.T @ params.W, params.b)


def initial(seed: ArrayLike, m: ArrayLike, hidden: int, d: int, bound: float) -> Params:
    """W_ij ~ U(-bound, bound) in the first m of `hidden` rows, b = 0.

    Each row has a key of its own, so cells of one seed share the rows that they both have.
    """
    key = jax.random.key(seed)
    rows = jnp.arange(hidden)
    keys = jax.vmap(lambda row: jax.random.fold_in(key, row))(rows)
    unit = jax.vmap(lambda key: jax.random.uniform(key, (d,), minval=-1.0, maxval=1.0))(keys)
    return Params(jnp.where(rows[:, None] < m, bound * unit, 0), jnp.zeros(d))


def squared_errors(view: Params | Map, batch: jax.Array, relu: ArrayLike) -> jax.Array:
    """Squared error of each sample, mean over features: (rows,).

    Args:
        view: the parameters, or what `multiplied` makes of them.
        batch: (rows, d) binary features.
        relu: 1 rectifies the output.
    """
    x = batch.astype(jnp.float32)
    z = (x @ view.G if isinstance(view, Map) else x @ view.W.T @ view.W) + view.b
    output = jnp.where(jnp.asarray(relu) > 0, jnp.maximum(z, 0), z)
    return jnp.mean((x - output) ** 2, axis=1)


def adamw(
    lr: ArrayLike,
    weight_decay: ArrayLike,
    l2: ArrayLike,
    clip: ArrayLike,
    steps: ArrayLike,
    hold: ArrayLike,
) -> optax.GradientTransformation:
    """AdamW on W and b under a cosine to 0, of a gradient that may have an L2 term and a limit.

    Args:
        lr: at step 0.
        weight_decay: decoupled, theta <- (1 - lr weight_decay) theta - ...
        l2: the gradient of l2 |theta|^2 / 2 is added to that of the error.
        clip: largest norm of that sum; 0: no limit.
        steps: at which the cosine ends.
        hold: updates for which the learning rate stays the same; an epoch of them, or 1.
    """

    def schedule(count: jax.Array) -> jax.Array:
        return jnp.asarray(lr * (1 + jnp.cos(jnp.pi * (count // hold * hold) / steps)) / 2)

    return optax.chain(
        optax.add_decayed_weights(l2),
        optax.clip_by_global_norm(jnp.where(jnp.asarray(clip) > 0, clip, jnp.inf)),
        optax.adamw(schedule, weight_decay=weight_decay),
    )
