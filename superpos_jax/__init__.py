"""Train whole planes of toy models at once.

    import superpos_jax as sp
    result = sp.run("quickstart")
    result.dataset                        # xarray.Dataset, one dimension per swept axis
    sp.plots.plane(result)                # matplotlib Figure

Names are loaded on first use, so that importing the package starts neither JAX nor matplotlib.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from superpos_jax import plots
    from superpos_jax.engine.study import Study
    from superpos_jax.errors import Interrupted, UserError
    from superpos_jax.results.result import Result, load
    from superpos_jax.results.sweep import Sweep, load_sweep
    from superpos_jax.training.job import run
    from superpos_jax.training.measure import measure
    from superpos_jax.training.merge import merge

__all__ = [
    "Interrupted", "Result", "Study", "Sweep", "UserError", "__version__", "load", "load_sweep",
    "measure", "merge", "plots", "run",
]  # fmt: skip

__version__: str

_HOME = {
    "Interrupted": "errors",
    "Result": "results.result",
    "Study": "engine.study",
    "Sweep": "results.sweep",
    "UserError": "errors",
    "load": "results.result",
    "load_sweep": "results.sweep",
    "measure": "training.measure",
    "merge": "training.merge",
    "run": "training.job",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(importlib.import_module(f"superpos_jax.{_HOME[name]}"), name)
    elif name == "plots":
        value = importlib.import_module("superpos_jax.plots")
    elif name == "__version__":
        value = importlib.metadata.version("superpos_jax")
    else:
        raise AttributeError(f"module 'superpos_jax' has no attribute {name!r}")
    globals()[name] = value  # a submodule of the same name must not take its place
    return value


def __dir__() -> list[str]:
    return __all__
