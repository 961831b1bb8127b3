"""Features of unequal importance, as in "Toy Models of Superposition": I_i = decay^i."""

from dataclasses import dataclass
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np
from pydantic import Field

from superpos_jax.engine.study import Study, Variable
from superpos_jax.studies.double_descent import data
from superpos_jax.studies.double_descent.cell import Cell
from superpos_jax.studies.double_descent.study import DoubleDescent


@dataclass(frozen=True)
class Numbers(Cell):
    decay: Annotated[float, Field(gt=0, le=1, description="feature i counts decay^i")] = 0.9


class Importance(DoubleDescent):
    """L = (1/T) sum_x sum_i decay^i (x_i - x'_i)^2, x' = ReLU(W^T W x + b)."""

    Cell = Numbers
    loss_and_grad = Study.loss_and_grad  # not the sparse kernel: differentiate `loss`

    def prepare(self, cell, shapes, params):
        return params

    def loss(self, cell, shapes, params, batch, weight):
        n = self.options.n  # arrays may be padded beyond n and m with zeros
        x = jnp.zeros((len(weight), n)).at[batch.row, batch.col].add(batch.val)
        W, b = params.W[:, :n], params.b[:n]
        error = x - jax.nn.relu(x @ W.T @ W + b)
        return jnp.sum(weight * (error**2 @ cell.decay ** jnp.arange(n)))

    def given(self, cell):  # what predicting zero scores: figures show losses in units of it
        n, test = self.options.n, self.datasets(cell)["test"]
        x = data.draw(test.key, test.samples).dense(n)
        score = np.mean(x**2 @ cell.decay ** np.arange(n))
        return {"zero_test_loss": Variable((), np.float32(score), {})}
