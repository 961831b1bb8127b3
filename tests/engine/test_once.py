"""A function of a cell is computed once for all cells that cannot differ in its value."""

import pickle
from copy import copy
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from superpos_jax.engine.once import Once
from superpos_jax.engine.plan import make_plan
from superpos_jax.studies.double_descent.cell import Cell as Autoencoder
from superpos_jax.studies.double_descent.cell import Options
from superpos_jax.studies.double_descent.study import DoubleDescent


@dataclass(frozen=True)
class Cell:
    T: int = 5
    seed: int = 0
    repeats: int = 1
    double: float = field(init=False, compare=False)

    def __post_init__(self):
        object.__setattr__(self, "double", 2 * self.T)

    @property
    def rows(self):
        return self.T * self.repeats

    @cached_property
    def key(self):
        return self.seed, "train"


CELLS = [Cell(*numbers) for numbers in product((5, 6), (0, 1), (1, 2))]
WAYS = {
    "a number": lambda cell: cell.T,
    "a property": lambda cell: cell.rows,
    "another number where it matters": lambda cell: cell.seed if cell.repeats > 1 else None,
    "what was cached": lambda cell: cell.key,
    "what is no number": lambda cell: cell.double,
    "all of them": lambda cell: sorted(vars(cell).items()),
    "as a dictionary": asdict,
    "another cell": lambda cell: replace(cell, T=1) == Cell(1, cell.seed, cell.repeats),
    "as a key": hash,
    "in words": str,
    "the cell": lambda cell: cell,
    "within": lambda cell: [cell],
    "a copy": copy,
    "stored and loaded": lambda cell: pickle.loads(pickle.dumps(cell)),
    "nothing": lambda _: 3,
}


@pytest.mark.parametrize("way", WAYS)
@given(st.lists(st.sampled_from(CELLS)))
@settings(max_examples=20, deadline=None)
def test_every_cell_has_the_value_of_the_function(way, cells):
    once = Once(WAYS[way])
    assert [once(cell) for cell in cells] == [WAYS[way](cell) for cell in cells]


def test_what_is_read_of_a_cell_later_counts():
    """The key of a data set may hold the cell and read nothing of it yet."""
    once = Once(lambda cell: partial(getattr, cell, "T"))
    assert [once(Cell(T))() for T in (5, 6)] == [5, 6]


def test_other_arguments_matter():
    once = Once(lambda cell, samples: cell.T + samples)
    assert [once(Cell(T), samples) for T in (1, 2) for samples in (0, 5)] == [1, 6, 2, 7]


def test_a_plan_asks_once_for_cells_that_differ_in_their_training_alone(monkeypatch):
    asked = []
    for name in ("shapes", "datasets"):
        plain = getattr(DoubleDescent, name)

        def counted(*arguments, name=name, plain=plain):
            asked.append(name)
            return plain(*arguments)

        monkeypatch.setattr(DoubleDescent, name, counted)
    study = DoubleDescent(Options(n=16))
    cells = [Autoencoder(lr=lr, seed=seed) for lr in (0.1, 0.2, 0.3, 0.4) for seed in (0, 1, 2)]
    make_plan(study, cells, 1, "cpu")
    assert asked.count("shapes") == 1
    assert asked.count("datasets") == 3  # one for each seed
