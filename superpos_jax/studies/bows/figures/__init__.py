"""The figures of the study: each reads a result and returns a matplotlib Figure.

Example:
    gram(result).savefig("gram.png")
"""

from superpos_jax.drawing.spec import FigureSpec
from superpos_jax.studies.bows.figures.clusters import CLUSTERS, clusters, clusters_table
from superpos_jax.studies.bows.figures.decay import DECAY, decay, decay_table
from superpos_jax.studies.bows.figures.gram import GRAM, gram, gram_table
from superpos_jax.studies.bows.figures.groups import GROUPS, groups, groups_table
from superpos_jax.studies.bows.figures.measures import MEASURES, measures, measures_table
from superpos_jax.studies.bows.figures.mechanism import MECHANISM, mechanism, mechanism_table
from superpos_jax.studies.bows.figures.months import (
    DAYS,
    MONTHS,
    days,
    days_table,
    months,
    months_table,
)
from superpos_jax.studies.bows.figures.regimes import REGIMES, regimes, regimes_table
from superpos_jax.studies.bows.figures.seasons import SEASONS, seasons, seasons_table
from superpos_jax.studies.bows.figures.settings import SETTINGS, settings, settings_table

__all__ = [
    "FIGURES",
    "clusters",
    "clusters_table",
    "days",
    "days_table",
    "decay",
    "decay_table",
    "gram",
    "gram_table",
    "groups",
    "groups_table",
    "measures",
    "measures_table",
    "mechanism",
    "mechanism_table",
    "months",
    "months_table",
    "regimes",
    "regimes_table",
    "seasons",
    "seasons_table",
    "settings",
    "settings_table",
]

FIGURES: dict[str, FigureSpec] = {
    spec.name: spec
    for spec in (
        GRAM,
        MEASURES,
        SETTINGS,
        DECAY,
        MONTHS,
        DAYS,
        SEASONS,
        GROUPS,
        CLUSTERS,
        REGIMES,
        MECHANISM,
    )
}
