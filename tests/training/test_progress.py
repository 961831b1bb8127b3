"""What the progress bar tells of rate and time."""

import pytest

from superpos_jax.training.progress import Pace, Progress


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
