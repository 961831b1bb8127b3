"""A cell that becomes non-finite dies at that update, and keeps what it was before.

The weight of every cell doubles at each update, so that all it does is known: from 2^-k the loss
w^2 is first infinite at w = 2^64, after 64 + k updates.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from programs import build

from superpos_jax.engine.one_cell import UNCHECKED
from superpos_jax.engine.study import DataSet, Study
from superpos_jax.engine.verdicts import ALIVE


@dataclass(frozen=True)
class Numbers:
    steps: int
    first: float
    """The weight at step 0."""


class Doubling(Study):
    """loss = w^2, and by gradient ascent w <- w + w."""

    Cell = Numbers

    def datasets(self, cell) -> Mapping[str, DataSet]:
        return {"train": DataSet("ones", 1)}

    def load(self, dataset):
        return np.ones((1, 1), np.float32)

    def shapes(self, cell, platform):
        return replace(super().shapes(cell, platform), beside=1)

    def init(self, cell, shapes):
        return jnp.asarray(cell.first, jnp.float32)

    def loss(self, cell, shapes, view, batch, weight):
        return (weight * view**2).sum()

    def optimizer(self, cell, shapes):
        return optax.sgd(-0.5)


class InCompany(Doubling):
    """Four cells at once."""

    def shapes(self, cell, platform):
        return replace(super().shapes(cell, platform), beside=4)


LATER = [0, 1, 5, 11, 12, UNCHECKED, 20, 30]
END = 200


@pytest.mark.unoptimized
@pytest.mark.parametrize("study", [Doubling, InCompany])
@pytest.mark.parametrize("stops", [(END,), (50, 64, 65, 79, END)], ids=["at once", "in parts"])
def test_a_cell_dies_at_the_update_that_kills_it(study, stops):
    cells = [Numbers(END, 2.0**-later) for later in LATER]
    cells += [Numbers(steps, 1.0) for steps in (3, 64, 65)]
    program = build(study(Study.Options()), cells)
    state = program.init()
    for stop in stops:
        state = program.advance(state, stop)
    measured, params = program.finish(state), program.params(state)
    deaths = [64 + later for later in LATER]
    assert measured["died_at"].tolist() == [*deaths, ALIVE, ALIVE, 64]
    assert measured["updates"].tolist() == [*deaths, 3, 64, 64]
    for cell, updates, w in zip(cells, measured["updates"], params, strict=True):
        assert w == cell.first * 2.0**updates
