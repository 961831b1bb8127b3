"""The optimizers by name, and what weights cost."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import optax

from superpos_jax.studies.large_lr.cell import Numbers
from superpos_jax.studies.large_lr.network import Params


def optimizer(name: str, cell: Numbers) -> optax.GradientTransformation:
    """SGD with momentum or AdamW at a constant learning rate; biases pay no penalty.

    The L1 penalty is added to the gradient; weight decay too for sgd, decoupled for adamw.

    Args:
        name: "sgd" or "adamw", static.
        cell: of traced numbers.
    """
    if name == "sgd":
        parts = [penalties(cell.l1, cell.weight_decay), optax.trace(cell.momentum)]
    else:
        decay = optax.add_decayed_weights(cell.weight_decay, _only_weights)
        parts = [penalties(cell.l1, 0.0), optax.scale_by_adam(), decay]
    return optax.chain(*parts, optax.scale_by_learning_rate(cell.lr))


def penalties(l1: Any, weight_decay: Any) -> optax.GradientTransformation:
    """Add the gradient of l1 |w|_1 + weight_decay |w|^2 / 2 to that of the weights."""

    def add(grads: Params, params: Params | None) -> Params:
        assert params is not None
        added = (
            g + weight_decay * w + l1 * jnp.sign(w)
            for g, w in zip(grads.weights, params.weights, strict=True)
        )
        return Params(tuple(added), grads.biases)

    return optax.stateless(add)


def _only_weights(params: Params) -> Params:
    return Params((True,) * len(params.weights), (False,) * len(params.biases))
