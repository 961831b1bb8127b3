"""The attributes of a store, checked as they are read: a stranger may have written them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from pydantic import BaseModel, ConfigDict, Json, ValidationError

from superpos_jax.engine.study import Study
from superpos_jax.engine.verdicts import VERDICTS


class Run(BaseModel):
    """An entry of the provenance."""

    model_config = ConfigDict(extra="allow")
    versions: dict[str, str] = {}
    data_sources: dict[str, str] = {}
    continued: list[Run] = []


class Provenance(Run):
    """The latest run, and those before."""

    earlier: list[Run] = []


class Attributes(BaseModel):
    """The attributes of a store; those with defaults version 0.1 did not write."""

    study: str
    name: str
    sweep: Json[dict[str, Any]]
    cell: Json[dict[str, Any]]
    options: Json[dict[str, Any]]
    provenance: Json[Provenance]
    swept: Json[list[str]] = []
    retries: Json[list[dict[str, float]]] = []

    def runs(self) -> int:
        """How many runs there were."""
        return len(self.provenance.earlier) + 1


def read(attributes: Mapping[Any, Any]) -> Attributes:
    """The attributes of a store.

    Raises:
        ValueError: one is missing or has another form; names it.
    """
    try:
        return Attributes(**attributes)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(f"attribute {where}: {first['msg']}") from None


def refuse_unknown(table: xr.Dataset, study: Study, said: Attributes) -> None:
    """Refuse a table whose cells ended in a way, or were trained by a run, that there is not.

    Raises:
        ValueError: names the array.
    """
    allowed = {"verdict": len(VERDICTS), "run": said.runs(), "ended": len(study.ends)}
    for name, count in allowed.items():
        values = table[name].values if name in table else np.zeros(0, np.int8)
        if values.dtype.kind not in "iu" or not ((values >= -1) & (values < count)).all():
            raise ValueError(f"{name}: allowed: whole numbers from -1 to {count - 1}")
