"""What the study calls its numbers."""

from __future__ import annotations

from superpos_jax.text import Labels

LABELS = Labels(
    axes={"eps": "ε"},
    values={
        "reduction": {"sum": 0.0, "mean": 1.0},
        "loss": {"absolute": 1, "squared": 2, "fourth": 4},
    },
    phrases={
        "reduction": {0.0: "sum loss", 1.0: "mean loss"},
        "online": {1: "T new samples at every step"},
    },
)
SEEDS = ("seed", "data_seed", "init_seed")
"""Axes that repeat an experiment."""

describe = LABELS.describe
"""`lr = 0.003, S = 0.99`: values as a reader would write them."""
