"""Whether two results have the same bits."""

import xarray as xr


def assert_same_bits(one: xr.Dataset, other: xr.Dataset) -> None:
    """Every variable, its attributes and coordinates.

    `run` is not among them: it tells who trained a cell, and a run that goes on after a change of
    the checkout, which may be one of a file beside the code, is another.
    """
    plain = (dataset.drop_vars("run").drop_attrs(deep=False) for dataset in (one, other))
    xr.testing.assert_identical(*plain)
