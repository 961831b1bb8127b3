"""Figures of the studies: each reads a result and returns a matplotlib Figure.

Every figure has a table of the numbers it draws, and a `FigureSpec` that says when it applies.

Example:
    plane(result).savefig("plane.png")
    save(result, FIGURES["plane"], "figures")
"""

from ._spec import FigureSpec, draw, save
from .circles import CIRCLES, circles, circles_table
from .conventions import CONVENTIONS, conventions, conventions_table
from .dimensions import DIMENSIONS, dimensions, dimensions_table
from .history import HISTORY, history, history_table
from .near_misses import NEAR_MISSES, near_misses, near_misses_table
from .norms import NORMS, norms, norms_table
from .odd_samples import ODD_SAMPLES, odd_samples, odd_samples_table
from .onset import ONSET, onset, onset_table
from .optima import OPTIMA, optima, optima_table
from .plane import PLANE, plane, plane_table
from .regimes import REGIMES, regimes, regimes_table
from .repeats import REPEATS, repeats, repeats_table
from .t_sweep import T_SWEEP, t_sweep, t_sweep_table
from .variants import VARIANTS, variants, variants_table
from .vectors import VECTORS, vectors, vectors_table

__all__ = [
    "FIGURES",
    "FigureSpec",
    "circles",
    "circles_table",
    "conventions",
    "conventions_table",
    "dimensions",
    "dimensions_table",
    "draw",
    "history",
    "history_table",
    "near_misses",
    "near_misses_table",
    "norms",
    "norms_table",
    "odd_samples",
    "odd_samples_table",
    "onset",
    "onset_table",
    "optima",
    "optima_table",
    "plane",
    "plane_table",
    "regimes",
    "regimes_table",
    "repeats",
    "repeats_table",
    "save",
    "t_sweep",
    "t_sweep_table",
    "variants",
    "variants_table",
    "vectors",
    "vectors_table",
]

FIGURES: dict[str, FigureSpec] = {
    spec.name: spec
    for spec in (
        PLANE,
        T_SWEEP,
        VECTORS,
        DIMENSIONS,
        REGIMES,
        NORMS,
        CIRCLES,
        HISTORY,
        NEAR_MISSES,
        REPEATS,
        CONVENTIONS,
        ONSET,
        VARIANTS,
        OPTIMA,
    )
}

DIGITS: dict[str, FigureSpec] = {ODD_SAMPLES.name: ODD_SAMPLES}
"""The figures of the study `digits`."""
