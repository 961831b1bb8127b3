"""Figures of the studies: each reads a result and returns a matplotlib Figure.

Every figure has a table of the numbers it draws, and a `FigureSpec` that says when it applies.

Example:
    plane(result).savefig("plane.png")
    save(result, FIGURES["plane"], "figures")
"""

from ._spec import FigureSpec, save
from .dimensions import DIMENSIONS, dimensions, dimensions_table
from .norms import NORMS, norms, norms_table
from .odd_samples import ODD_SAMPLES, odd_samples, odd_samples_table
from .plane import PLANE, plane, plane_table
from .regimes import REGIMES, regimes, regimes_table
from .t_sweep import T_SWEEP, t_sweep, t_sweep_table
from .vectors import VECTORS, vectors, vectors_table

__all__ = [
    "FIGURES",
    "FigureSpec",
    "dimensions",
    "dimensions_table",
    "norms",
    "norms_table",
    "odd_samples",
    "odd_samples_table",
    "plane",
    "plane_table",
    "regimes",
    "regimes_table",
    "save",
    "t_sweep",
    "t_sweep_table",
    "vectors",
    "vectors_table",
]

FIGURES: dict[str, FigureSpec] = {
    spec.name: spec for spec in (PLANE, T_SWEEP, VECTORS, DIMENSIONS, REGIMES, NORMS)
}

DIGITS: dict[str, FigureSpec] = {ODD_SAMPLES.name: ODD_SAMPLES}
"""The figures of the study `digits`."""
