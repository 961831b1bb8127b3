"""The figures of the study: each reads a result and returns a matplotlib Figure.

Example:
    city_map(result).savefig("map.png")
"""

from superpos_jax.drawing.spec import FigureSpec
from superpos_jax.studies.cities.figures.city_map import MAP, city_map, city_map_table
from superpos_jax.studies.cities.figures.interventions import (
    INTERVENTIONS,
    interventions,
    interventions_table,
)

__all__ = [
    "FIGURES",
    "city_map",
    "city_map_table",
    "interventions",
    "interventions_table",
]

FIGURES: dict[str, FigureSpec] = {spec.name: spec for spec in (MAP, INTERVENTIONS)}
