"""What the progress bar tells of rate and time."""

import pytest

import superpos_jax as sp
from superpos_jax.cli import terminal
from superpos_jax.cli.terminal import Pace
from superpos_jax.training.job import Progress


def test_rate_and_time_left_are_those_of_the_program_that_trains():
    """Two programs of 100 steps, the second ten times as slow."""
    pace = Pace()

    def of(done, step, clock):
        return pace.of(Progress(done, "", step, 100), clock)

    assert of(0.0, 0, 0.0) is None
    assert of(0.005, 1, 5.0) is None  # compiling is no training
    assert of(0.255, 51, 10.0) == pytest.approx((10, 14.9))
    assert of(0.5, 100, 15.0) == pytest.approx((9.9, 10.1), rel=0.01)
    assert of(0.5, 0, 20.0) is None
    assert of(0.505, 1, 25.0) is None
    assert of(0.555, 11, 35.0) == pytest.approx((1, 89))


def test_a_continued_program_is_timed_from_where_it_goes_on():
    pace = Pace()
    assert pace.of(Progress(0.6, "", 600, 1000), 0.0) is None
    assert pace.of(Progress(0.7, "", 700, 1000), 50.0) == pytest.approx((2, 150))


@pytest.mark.unoptimized
def test_a_large_table_is_a_part_that_fits_its_range_and_where_the_rest_is(
    superpos, monkeypatch, tmp_path
):
    axes = {"T": [3, 4, 5, 6, 7], "lr": [1e-2, 1e-1, 1e30, 1e31]}
    result = sp.run(sp.Sweep(study="ridge:Ridge", axes=axes, cell={"steps": 3}), out=tmp_path)
    whole = superpos("show", tmp_path)[1]
    assert "in Python" not in whole
    monkeypatch.setattr(terminal, "MOST_ROWS", 3)
    monkeypatch.setattr(terminal, "MOST_COLUMNS", 2)
    shown = superpos("show", tmp_path)[1]
    assert "3 of 5 T x 2 of 4 lr" in shown
    loss = result.dataset["test_loss"].where(result.dataset["verdict"] == 0)
    assert f"smallest {loss.min().item():.4f} at T = " in shown
    assert f"largest {loss.max().item():.4f} at T = " in shown
    assert "10 dead cells" in shown
    assert "and 7 more: in Python result.dead() has all" in shown
    assert shown.count("\n") < whole.count("\n")
