"""What a page tells of one cell, whichever way its numbers are swept."""

from types import SimpleNamespace

import numpy as np
import xarray as xr

from superpos_jax.studies.double_descent.figures.story import dimensions_story


def test_an_even_share_is_that_of_the_cell_where_its_numbers_are_those_of_an_arm():
    arrays = {"sample_dimensionality": (("arm", "sample"), np.full((2, 3), 0.5))}
    dataset = xr.Dataset(arrays, {"arm": ["few", "many"]}, {"cell": "{}", "options": "{}"})
    cells = {"few": SimpleNamespace(m=3, T=2), "many": SimpleNamespace(m=3, T=30)}
    result = SimpleNamespace(dataset=dataset, trained_cell=lambda arm: cells[arm])
    shares = [next(dimensions_story(result, {"arm": arm})).guides for arm in cells]
    assert shares == [{"even share m/T": 1.0}, {"even share m/T": 0.1}]
