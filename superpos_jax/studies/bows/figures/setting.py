"""The line above a figure: which features, how trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from superpos_jax.drawing import select
from superpos_jax.drawing.panels import constants
from superpos_jax.studies.bows.cell import DATA, TEXT
from superpos_jax.studies.bows.labels import LABELS

SYNTHETIC, WORDS = ("s", "beta", "noise"), ("vocabulary", "window")
TRAINING = ("m", "activation", "weight_decay", "lr", "steps")


def tidy(result: select.Result, frame: pd.DataFrame, taken: Mapping[str, Any]) -> pd.DataFrame:
    """`drawing.select.tidy`, with the setting that this study names."""
    dataset = result.dataset
    structure = taken.get("structure", constants(dataset, "structure").get("structure"))
    text = DATA.index(TEXT) in (structure, LABELS.number("structure", structure))
    names = ("structure", *(WORDS if text else SYNTHETIC), *TRAINING)
    named = {key: LABELS.shown(key, value) if LABELS.names(key) else value
             for key, value in constants(dataset, *names).items()}  # fmt: skip
    return select.tidy(result, frame, taken, named)
