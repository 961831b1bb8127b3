"""What a run tells on its way: rate and time left, losses, and that cores lie idle."""

import io
import logging

import pytest
from rich.console import Console

from superpos_jax.training import launch, progress
from superpos_jax.training.progress import Progress, Rate


def test_rate_and_time_left_are_those_of_the_program_that_trains():
    """Two programs of 100 steps, the second ten times as slow."""
    rate = Rate()

    def of(done, step, clock):
        return rate.of(Progress(done, "", step, 100), clock)

    assert of(0.0, 0, 0.0) is None
    assert of(0.005, 1, 5.0) is None  # compiling is no training
    assert of(0.255, 51, 10.0) == pytest.approx((10, 14.9))
    assert of(0.5, 100, 15.0) == pytest.approx((9.9, 10.1), rel=0.01)
    assert of(0.5, 0, 20.0) is None
    assert of(0.505, 1, 25.0) is None
    assert of(0.555, 11, 35.0) == pytest.approx((1, 89))


def test_a_continued_program_is_timed_from_where_it_goes_on():
    rate = Rate()
    assert rate.of(Progress(0.6, "", 600, 1000), 0.0) is None
    assert rate.of(Progress(0.7, "", 700, 1000), 50.0) == pytest.approx((2, 150))


@pytest.mark.parametrize(
    ("terminal", "wanted", "leads"),
    [(True, True, True), (False, True, True), (True, False, True), (True, True, False)],
)
def test_a_bar_is_drawn_where_somebody_may_look(monkeypatch, terminal, wanted, leads):
    written = io.StringIO()
    console = Console(file=written, force_terminal=terminal, width=100)
    monkeypatch.setattr(progress, "Console", lambda **_: console)
    with progress.shown(wanted, leads) as report:
        report(Progress(0.5, "training", 50, 100, cells=7))
    assert ("7 cells, training" in written.getvalue()) is (terminal and wanted and leads)


def test_idle_cores_are_told_once(monkeypatch, caplog):
    launch.use_all_cores.cache_clear()
    monkeypatch.setattr(launch, "cores", lambda: [0, 1, 2, 3])
    with caplog.at_level(logging.WARNING):
        launch.use_all_cores()
        launch.use_all_cores()
    assert [r.getMessage().partition(";")[0] for r in caplog.records] == [
        "JAX was started before, with 2 CPU devices: training uses 2 of 4 cores"
    ]
