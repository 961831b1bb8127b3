"""The kernel of double_descent by parameters, compiled: what the engine does once a step."""

import functools

import jax
import jax.numpy as jnp

from superpos_jax.studies.double_descent import model


@functools.partial(jax.jit, static_argnums=(3, 4, 5))
def block_loss_and_grad(params, block, count, rows, columns, form=model.PLAIN):
    """Loss of a block, and its gradient by the parameters, pulled back through the view."""
    weight = (jnp.arange(rows) < count).astype(jnp.float32)
    with jax.default_matmul_precision("highest"):  # as the engine does
        view, pull_back = jax.vjp(lambda params: model.view(params, columns), params)
        loss, grad = model.block_loss_and_grad(view, block, weight, form)
        return loss, *pull_back(grad)
