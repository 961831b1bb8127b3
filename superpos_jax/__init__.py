"""Train whole planes of toy models at once.

    import superpos_jax as sp
    result = sp.run("quickstart")
    result.dataset                        # xarray.Dataset, one dimension per swept axis
    sp.plots.plane(result)                # matplotlib Figure

Names are loaded on first use, so that importing the package starts neither JAX nor matplotlib.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from superpos_jax import plots
    from superpos_jax.errors import Interrupted, UserError
    from superpos_jax.result import Result, load
    from superpos_jax.study import Study
    from superpos_jax.sweep import Sweep, load_sweep
    from superpos_jax.train import run

__all__ = [
    "Interrupted", "Result", "Study", "Sweep", "UserError", "load", "load_sweep", "plots", "run",
]  # fmt: skip

_HOME = {
    "Interrupted": "errors",
    "Result": "result",
    "Study": "study",
    "Sweep": "sweep",
    "UserError": "errors",
    "load": "result",
    "load_sweep": "sweep",
    "run": "train",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        found = getattr(importlib.import_module(f"superpos_jax.{_HOME[name]}"), name)
    elif name == "plots":
        found = importlib.import_module("superpos_jax.plots")
    else:
        raise AttributeError(f"module 'superpos_jax' has no attribute {name!r}")
    globals()[name] = found  # a submodule of the same name must not take its place
    return found
