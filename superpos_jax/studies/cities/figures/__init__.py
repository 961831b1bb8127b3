"""The figures of the study."""

from superpos_jax.drawing.spec import FigureSpec

FIGURES: dict[str, FigureSpec] = {}
