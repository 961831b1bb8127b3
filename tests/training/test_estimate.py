"""What a plan foresees."""

import superpos_jax as sp
from superpos_jax.training import estimate


def test_an_empty_place_beside_a_cell_costs_as_much_as_a_cell():
    """Cells of few numbers are computed many at once; one alone takes as long."""

    def time(count):
        axes, cell = {"seed": range(count)}, {"T": 5, "m": 2, "S": 0.95, "steps": 10**7}
        grid = sp.Sweep(axes=axes, cell=cell, options={"n": 60}).grid()
        _, minutes, unit, *_ = estimate.describe(grid, devices=1)["time"].split()
        assert unit == "min"
        return int(minutes)

    assert time(1) <= time(8) < 1.1 * time(1) < 1.8 * time(1) < time(64)
