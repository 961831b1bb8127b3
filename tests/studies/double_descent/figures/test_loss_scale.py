"""The axis of losses."""

import numpy as np
from matplotlib.figure import Figure

from superpos_jax.studies.double_descent.figures.loss_scale import loss_axis


def test_the_loss_axis_holds_its_losses_and_1():
    panels = Figure().subplots(1, 2)
    loss_axis(panels, np.array([1.3, 5.0]))
    for axes in panels:
        low, high = axes.get_ylim()
        assert low < 1 < 5 < high
        assert {1.0, 5.0} <= set(axes.get_yticks())
        (zero,) = [line for line in axes.lines if line.get_gid() == "zero-predictor"]
        assert set(zero.get_ydata()) == {1.0}
