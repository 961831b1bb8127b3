"""The figures of the study: each reads a result and returns a matplotlib Figure.

Every figure has a table of the numbers it draws, and a `FigureSpec` that says when it applies.

Example:
    plane(result).savefig("plane.png")
    save(result, FIGURES["plane"], "figures")
"""

from superpos_jax.drawing.spec import FigureSpec, draw, save
from superpos_jax.studies.double_descent.figures.circles import CIRCLES, circles, circles_table
from superpos_jax.studies.double_descent.figures.conventions import (
    CONVENTIONS,
    conventions,
    conventions_table,
)
from superpos_jax.studies.double_descent.figures.dimensions import (
    DIMENSIONS,
    dimensions,
    dimensions_table,
)
from superpos_jax.studies.double_descent.figures.history import HISTORY, history, history_table
from superpos_jax.studies.double_descent.figures.near_misses import (
    NEAR_MISSES,
    near_misses,
    near_misses_table,
)
from superpos_jax.studies.double_descent.figures.norms import NORMS, norms, norms_table
from superpos_jax.studies.double_descent.figures.onset import ONSET, onset, onset_table
from superpos_jax.studies.double_descent.figures.optima import OPTIMA, optima, optima_table
from superpos_jax.studies.double_descent.figures.plane import PLANE, plane, plane_table
from superpos_jax.studies.double_descent.figures.regimes import REGIMES, regimes, regimes_table
from superpos_jax.studies.double_descent.figures.repeats import REPEATS, repeats, repeats_table
from superpos_jax.studies.double_descent.figures.t_sweep import T_SWEEP, t_sweep, t_sweep_table
from superpos_jax.studies.double_descent.figures.variants import VARIANTS, variants, variants_table
from superpos_jax.studies.double_descent.figures.vectors import VECTORS, vectors, vectors_table

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
