"""The documentation's study that changes one thing of another: importance of features."""

import sys
from pathlib import Path

import numpy as np
import pytest

import superpos_jax as sp
from superpos_jax.studies.double_descent.study import DoubleDescent

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"

pytestmark = pytest.mark.unoptimized


@pytest.fixture(scope="module")
def result():
    sys.path.insert(0, str(EXAMPLES))
    try:
        sweep = sp.Sweep(
            study="importance:Importance",
            axes={"decay": [1.0, 0.5]},
            cell={"T": 40, "m": 2, "S": 0.9, "steps": 60, "lr": 0.02, "reduction": "sum"},
            options={"n": 20, "test_samples": 30},
        )
        return sp.run(sweep)
    finally:
        sys.path.remove(str(EXAMPLES))


@pytest.mark.parametrize("decay", [1.0, 0.5])
def test_the_loss_is_the_formula(result, decay):
    cell = result.cell(decay=decay)
    error = cell.X - np.maximum(cell.H @ cell.W + cell.b, 0)
    loss = np.mean(error**2 @ decay ** np.arange(20))
    np.testing.assert_allclose(result.dataset.train_loss.sel(decay=decay), loss, rtol=1e-4)


def test_losses_are_in_units_of_predicting_zero_with_importance(result):
    study, cell = result.grid.study, result.trained_cell(decay=1.0)
    scores = result.dataset.zero_test_loss
    assert scores.sel(decay=1.0) == DoubleDescent.given(study, cell)["zero_test_loss"].values
    assert scores.sel(decay=0.5) < scores.sel(decay=1.0) / 3


def test_the_most_important_features_are_stored(result):
    """Two hidden dimensions go to features 0 and 1, in superposition where all count alike."""
    lengths = np.linalg.norm(result.cell(decay=0.5).W, axis=0)
    assert {*np.argsort(lengths)[-2:].tolist()} == {0, 1}
