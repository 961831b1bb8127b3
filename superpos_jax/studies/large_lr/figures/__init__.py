"""The figures of the study: each reads a result and returns a matplotlib Figure."""

from superpos_jax.drawing.spec import FigureSpec
from superpos_jax.studies.large_lr.figures.attributions import ATTRIBUTIONS
from superpos_jax.studies.large_lr.figures.joint import JOINT
from superpos_jax.studies.large_lr.figures.mechanism import MECHANISM
from superpos_jax.studies.large_lr.figures.pruned import PRUNED
from superpos_jax.studies.large_lr.figures.tandem import TANDEM
from superpos_jax.studies.large_lr.figures.trends import (
    BUNDLE,
    GROUPS,
    PROTOCOLS,
    RARE_CUES,
    REPRESENTATION,
    TRENDS,
)

FIGURES: dict[str, FigureSpec] = {
    spec.name: spec
    for spec in (
        *(
            panels.spec()
            for panels in (BUNDLE, GROUPS, REPRESENTATION, PROTOCOLS, RARE_CUES, TRENDS)
        ),
        JOINT,
        PRUNED,
        MECHANISM,
        TANDEM,
        ATTRIBUTIONS,
    )
}
