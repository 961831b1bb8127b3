"""V1 and V2: a continuous value that is encoded linearly, of models of the study `cities`."""

from __future__ import annotations

import xarray as xr

from superpos_jax.statements.checks import POSITIVE, SHARE, Statement
from superpos_jax.studies.bows.statements.statistics import mean, ratio

CITIES, LONG = "bows/cities", "bows/cities_long"
AT = {"emb_dim": 50}
TRAINED = "validation_accuracy"


def _ordered(cells: xr.Dataset) -> float:
    """Share of seeds with more right answers as trained than with the plane, than without."""
    trained, keep, remove = (cells[name] for name in (TRAINED, "keep_accuracy", "remove_accuracy"))
    return float(((trained > keep) & (keep > remove)).where(trained.notnull()).mean())


_IN_BOTH = tuple(
    statement
    for key in (CITIES, LONG)
    for statement in (
        Statement(key, "V1: 50 dimensions: R^2 of the probe on held-out cities", "0.98", (0.9, 1),
                  mean("probe_r2"), AT, limits=SHARE),
        Statement(key, "V2: 50 dimensions: share of seeds ordered trained, kept, removed", "so",
                  (1, 1), _ordered, AT, limits=SHARE),
        Statement(key, "V2: 50 dimensions: accuracy with the probe's plane alone, of the trained",
                  "0.95", (0.9, 1), ratio("keep_accuracy", TRAINED), AT, limits=SHARE),
        Statement(key, "V2: 50 dimensions: accuracy without the probe's plane", "0.224", (0, 0.4),
                  mean("remove_accuracy"), AT),
        Statement(key, "V2: 50 dimensions: accuracy without a random plane, of the trained",
                  "not told; ours: most is left", (0.9, 1),
                  ratio("remove_random_accuracy", TRAINED), AT, limits=SHARE),
    )
)  # fmt: skip
_OF_THE_TABLE = tuple(
    Statement(LONG, f"V2: 50 dimensions: validation {text}", expected, within, mean(name), AT,
              limits=SHARE if "accuracy" in text else POSITIVE)
    for text, expected, within, name in (
        ("accuracy as trained", "0.9794", (0.96, 1), TRAINED),
        ("accuracy with the probe's plane alone", "0.9316", (0.88, 0.98), "keep_accuracy"),
        ("accuracy without the probe's plane", "0.2243", (0.15, 0.3), "remove_accuracy"),
        ("loss as trained", "0.0536", (0.036, 0.08), "validation_loss"),
        ("loss with the probe's plane alone", "0.2879", (0.19, 0.43), "keep_loss"),
        ("loss without the probe's plane", "6.394", (4.3, 9.6), "remove_loss"),
    )
)  # fmt: skip
STATEMENTS: tuple[Statement, ...] = (*_IN_BOTH, *_OF_THE_TABLE)
