"""A study that changes one thing of another, as the documentation has it: importance of features."""

import sys
from pathlib import Path

import numpy as np
import pytest

import superpos_jax as sp

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


def test_predicting_zero_scores_less_where_features_count_less(result):
    assert result.dataset.zero_test_loss.sel(decay=1.0) == pytest.approx(1)
    assert result.dataset.zero_test_loss.sel(decay=0.5) < 0.3


def test_the_most_important_features_are_stored(result):
    """Two hidden dimensions go to features 0 and 1, in superposition where all count alike."""
    lengths = np.linalg.norm(result.cell(decay=0.5).W, axis=0)
    assert {*np.argsort(lengths)[-2:].tolist()} == {0, 1}
