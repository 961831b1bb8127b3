"""The cells of a sweep: their order, their coordinates, one of them by its values."""

import time
from itertools import product

import pytest
import xarray as xr
from choosy import Numbers as Cell

from superpos_jax import Sweep, UserError


@pytest.fixture(scope="module")
def grid():
    """Two arms, two pairs, a choice and a plain axis."""
    return Sweep(
        study="choosy:Choosy",
        axes={"loss": ["mse", "ce"], "seed": "range(3)"},
        zip=[{"T": [10, 20], "lr": [0.1, 0.2]}],
        arms={"wide": {"width": 20}, "deep": {"depth": 9}},
        cell={"depth": 1, "noise": 0},
    ).grid()


def test_cells_are_row_major_in_the_order_of_arms_zips_and_axes(grid):
    assert grid.shape == (2, 2, 2, 3)
    wanted = [
        Cell(width=width, depth=depth, T=T, lr=lr, loss=loss, seed=seed, noise=0.0)
        for (width, depth), (T, lr), loss, seed in product(
            [(20, 1), (24, 9)], [(10, 0.1), (20, 0.2)], [2, 0], range(3)
        )
    ]
    assert list(grid.cells) == wanted
    assert {type(value) for cell in grid.cells for value in vars(cell).values()} == {int, float}


def test_settings_say_what_each_coordinate_sets(grid):
    assert list(grid.settings) == list(grid.axes) == ["arm", "T", "loss", "seed"]
    assert grid.settings["arm"] == ({"width": 20}, {"depth": 9})
    assert grid.settings["T"] == ({"T": 10, "lr": 0.1}, {"T": 20, "lr": 0.2})
    assert grid.settings["loss"] == ({"loss": 2}, {"loss": 0})
    assert grid.swept == {"width", "depth", "T", "lr", "loss", "seed"}


def test_points_name_the_cells(grid):
    points = list(grid.points())
    assert points[0] == {"arm": "wide", "T": 10, "loss": "mse", "seed": 0}
    assert [grid.cell(**point) for point in points] == list(grid.cells)


def test_coordinates_label_a_dataset(grid):
    shape = dict(zip(grid.axes, grid.shape, strict=True))
    dataset = xr.Dataset(coords=grid.coordinates())
    assert dict(dataset.sizes) == shape
    assert dataset["arm"].values.tolist() == ["wide", "deep"]
    assert dataset["loss"].values.tolist() == ["mse", "ce"]
    assert dataset["lr"].dims == ("T",)
    assert dataset.sel(T=20)["lr"] == 0.2
    assert "width" not in dataset


def test_names_of_zipped_choices_are_coordinates():
    zips = [{"T": [1, 2], "loss": [0, "mse"]}]
    grid = Sweep(study="choosy:Choosy", zip=zips, cell={"depth": 1}).grid()
    assert grid.coordinates()["loss"][1].tolist() == ["ce", "mse"]
    assert [cell.loss for cell in grid.cells] == [0, 2]


def test_a_cell_is_called_by_names_or_numbers(grid):
    point = {"arm": "deep", "T": 20.0, "seed": 1}
    by_name = grid.cell(**point, loss="ce")
    assert by_name == grid.cell(**point, loss=0)
    assert (by_name.T, by_name.lr, by_name.depth, type(by_name.T)) == (20, 0.2, 9, int)


@pytest.mark.parametrize(
    ("point", "said"),
    [
        ({"arm": "deep", "sed": 1}, "cell: sed was not swept, T is missing, loss is missing"),
        (
            {"arm": "deep", "T": 10, "loss": 0},
            "cell: seed is missing; give one value for each of arm",
        ),
        ({"arm": "dep", "T": 10, "loss": 0, "seed": 0}, "cell: arm='dep' was not swept; allowed: "),
        ({"arm": "deep", "T": 15, "loss": 0, "seed": 0}, "cell: T=15 was not swept; allowed: [10,"),
        ({"arm": "deep", "T": 10, "loss": 1, "seed": 0}, "cell: loss=1 was not swept; allowed: ['"),
        ({"arm": "deep", "T": [1], "loss": 0, "seed": 0}, "cell: T=[1] was not swept"),
    ],
)
def test_a_cell_that_is_not_there(grid, point, said):
    with pytest.raises(UserError) as caught:
        grid.cell(**point)
    assert str(caught.value).startswith(said)


def test_one_cell_needs_no_coordinates():
    grid = Sweep(cell={"T": 3}).grid()
    assert (grid.shape, len(grid.cells), grid.cell().T) == ((), 1, 3)
    with pytest.raises(UserError, match="give nothing: it is one cell"):
        grid.cell(T=3)


def test_replacements_are_of_fields_that_are_not_swept(grid):
    assert grid.replacements({"noise": 1, "steps": 1e3}) == {"noise": 1.0, "steps": 1000}
    for swept in ("lr", "width", "loss"):
        with pytest.raises(UserError, match=f"--set {swept}: an axis of this result"):
            grid.replacements({swept: 1})


def test_a_hundred_thousand_cells_are_built_at_once():
    start = time.process_time()
    sweep = Sweep(axes={"seed": "range(1000)", "data_seed": "range(100)"}, cell={"T": 3})
    assert len(sweep.grid().cells) == 100_000
    assert time.process_time() - start < 5
