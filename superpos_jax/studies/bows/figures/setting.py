"""What all figures read: the features of a cell; the line above a figure, how it was trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from superpos_jax.drawing import select
from superpos_jax.drawing.panels import constants
from superpos_jax.errors import UserError
from superpos_jax.results.result import Result
from superpos_jax.results.view import provenance
from superpos_jax.studies.bows.cell import DATA, TEXT, Cell
from superpos_jax.studies.bows.features import Features
from superpos_jax.studies.bows.labels import LABELS
from superpos_jax.training.provenance import changed_data

SYNTHETIC, WORDS = ("s", "beta", "noise"), ("vocabulary", "window")
TRAINING = ("m", "activation", "weight_decay", "lr", "steps")


def features_of(result: Result, cell: Cell) -> Features:
    """The features of a cell, made again.

    Raises:
        UserError: they are of another text than the one that the result was trained on.
    """
    study: Any = result.grid.study
    if changed := changed_data(provenance(result.dataset), study.data_sources(cell)):
        raise UserError(changed)
    features: Features = study.features(cell)
    return features


def tidy(result: select.Result, frame: pd.DataFrame, taken: Mapping[str, Any]) -> pd.DataFrame:
    """`drawing.select.tidy`, with the setting that this study names."""
    dataset = result.dataset
    structure = taken.get("structure", constants(dataset, "structure").get("structure"))
    text = DATA.index(TEXT) in (structure, LABELS.number("structure", structure))
    names = ("structure", *(WORDS if text else SYNTHETIC), *TRAINING)
    named = {key: LABELS.shown(key, value) if LABELS.names(key) else value
             for key, value in constants(dataset, *names).items()}  # fmt: skip
    return select.tidy(result, frame, taken, named)
