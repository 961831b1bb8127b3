"""Results whose every number is a function of the values of the swept axes."""

import json
from types import SimpleNamespace

import numpy as np
import xarray as xr

CELL = {"T": 100, "m": 2, "lr": 1e-3, "weight_decay": 0.01, "eps": 1e-8, "reduction": 1.0}
CELL |= {"S": 0.99, "steps": 500, "seed": 0, "loss": 2, "untied": 0, "relu": 0}


def cells(axes, n=100, dead=None, training=None, **functions):
    """A result; `functions`, `dead` and `training` take the axes by name and give an array.

    Dead cells are NaN, those still training keep their numbers. `feature_dimensionality` gives
    one number a feature, in a last dimension.
    """
    mesh = np.meshgrid(*axes.values(), indexing="ij")
    shape = mesh[0].shape
    at = SimpleNamespace(**{**CELL, **dict(zip(axes, mesh, strict=True))})
    verdict = np.zeros(shape, np.int8)
    for mark, which in ((1, dead), (3, training)):
        if which is not None:
            verdict[np.broadcast_to(which(at), shape)] = mark
    variables = {"verdict": (tuple(axes), verdict)}
    for name, function in functions.items():
        values = np.array(function(at), float)
        many = name == "feature_dimensionality"
        values = np.broadcast_to(values, (*shape, n) if many else shape).copy()
        values[verdict == 1] = np.nan
        variables[name] = ((*axes, "feature") if many else tuple(axes), values)
    cell = {name: value for name, value in CELL.items() if name not in axes}
    attrs = {"study": "double_descent", "cell": json.dumps(cell), "options": json.dumps({"n": n})}
    dataset = xr.Dataset(variables, coords=dict(axes), attrs=attrs)
    return SimpleNamespace(name="cells", dataset=dataset)


def assert_on_page(figure):
    """No text or panel leaves the page, none of the page's texts lies on another or on a panel."""
    figure.draw_without_rendering()
    page = figure.bbox
    boxes = [text.get_window_extent() for text in figure.texts]
    boxes += [legend.get_window_extent() for legend in figure.legends]
    panels = [axes.get_tightbbox() for axes in figure.axes if axes.get_visible()]
    for box in boxes + panels:
        assert page.x0 - 1 <= box.x0 <= box.x1 <= page.x1 + 1
        assert page.y0 - 1 <= box.y0 <= box.y1 <= page.y1 + 1
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[i + 1 :] + panels)
    for i, box in enumerate(panels):
        assert not any(box.shrunk(0.98, 0.98).overlaps(other) for other in panels[i + 1 :])
