"""What the study calls its numbers."""

from __future__ import annotations

from superpos_jax.studies.bows.cell import ACTIVATIONS, DATA
from superpos_jax.text import Labels

LABELS = Labels(
    axes={"beta": "β", "l2": "L2 term", "clip": "gradient clip"},
    values={
        "structure": DATA,
        "activation": ACTIVATIONS,
        "reduction": {"sum": 0.0, "mean": 1.0},
    },
    phrases={"reduction": {0.0: "sum over features", 1.0: "mean over features"}},
)
SHOWN = (
    "validation_loss",
    "cyclic_correlation",
    "antipodality",
    "geometry_follows_data",
    "ring_score",
    "W_norm2",
)
"""The numbers that figures show first."""
LONG_NAMES = {
    "train_loss": "train loss",
    "validation_loss": "validation loss",
    "W_norm2": "squared norm of W",
    "cyclic_correlation": "correlation of W^T W with the ring, off the diagonal",
    "antipodality": "share of features with an antipode, cosine below -0.8",
    "ring_score": "ring score of the weights",
    "ring_level": "level that 95 % of random orders stay below",
    "geometry_follows_data": "correlation of cosines with the data's correlations",
    "identity_gap": "largest overlap relative to the mean squared norm",
    "mean_r2": "mean over words of R^2 in context",
    "better_in_context": "share of active words closer to 1 than alone",
    "days_ring_score": "ring score of the days",
    "days_ring_level": "level of the days that 95 % of random orders stay below",
}
"""What the measures mean."""


def long_name(measure: str) -> str:
    """What a measure is called in words."""
    group, _, norm = measure.partition("_")
    norms = {
        "off_diagonal": f"off-diagonal norm of W^T W of {group}",
        "relative": f"off-diagonal norm of {group} relative to the diagonal's",
    }
    return LONG_NAMES.get(measure) or norms[norm]
