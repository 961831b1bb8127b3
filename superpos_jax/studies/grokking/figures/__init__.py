"""The figures of the study: each reads a result and returns a matplotlib Figure."""

from superpos_jax.drawing.spec import FigureSpec
from superpos_jax.studies.grokking.figures.accuracy import ACCURACY, accuracy, accuracy_table
from superpos_jax.studies.grokking.figures.alignment import ALIGNMENT, alignment, alignment_table
from superpos_jax.studies.grokking.figures.collapse import COLLAPSE, collapse, collapse_table
from superpos_jax.studies.grokking.figures.decay_map import DECAY_MAP, decay_map, decay_map_table
from superpos_jax.studies.grokking.figures.first_times import (
    FIRST_TIMES,
    first_times,
    first_times_table,
)

__all__ = [
    "FIGURES",
    "accuracy",
    "accuracy_table",
    "alignment",
    "alignment_table",
    "collapse",
    "collapse_table",
    "decay_map",
    "decay_map_table",
    "first_times",
    "first_times_table",
]

FIGURES: dict[str, FigureSpec] = {
    spec.name: spec for spec in (ACCURACY, COLLAPSE, ALIGNMENT, FIRST_TIMES, DECAY_MAP)
}
