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
    "context_gain": "median of R^2 in context less R^2 alone, of context-supported words",
    "better_in_context": "share of active words closer to 1 than alone",
    "linear_frequent": "share of the most frequent tenth that a linear decoder reconstructs",
    "linear_rare": "share of the rarest tenth that a linear decoder reconstructs",
    "seasonal_share": "share of seasonal words nearer to their own months",
    "blocked": "share of context-supported words whose towers stand as in the paper",
    "cancelled": "sum of what all months add to Christmas, relative to its parts",
}
"""What the measures mean."""
OF_GROUPS = {
    "off_diagonal": "off-diagonal norm of W^T W",
    "relative": "off-diagonal norm relative to the diagonal's",
    "nearest_cosine": "mean cosine with the nearest of them",
    "r2": "mean R^2 in context",
    "linear_r2": "mean R^2 of a linear decoder",
    "ring_score": "ring score",
    "ring_level": "level that 95 % of random orders stay below",
}
"""What the measures of a group of words mean, after its name: `months_r2`."""
PER_WORD = {
    "r2": "R^2 in context",
    "one_hot_r2": "R^2 of the word alone",
    "linear_r2": "R^2 of a linear decoder",
    "frequency": "share of bags with the word",
}


def long_name(measure: str) -> str:
    """What a measure is called in words.

    >>> long_name("days_r2")
    'days: mean R^2 in context'
    """
    group, _, own = measure.partition("_")
    return LONG_NAMES.get(measure) or f"{group}: {OF_GROUPS[own]}"
