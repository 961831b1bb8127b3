"""Rows of a table for cells that train or are trained: from what the engine measures of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from superpos_jax.engine.once import Once
from superpos_jax.engine.study import Study
from superpos_jax.engine.terms import STEP
from superpos_jax.engine.verdicts import ALIVE, UNFINISHED
from superpos_jax.errors import UserError
from superpos_jax.results.cells import (
    HISTORY,
    OUTCOME,
    RETRY,
    Columns,
    labelled,
    missing,
    stack,
)
from superpos_jax.results.reported import reported, signed


@dataclass
class Measured:
    """What was measured of some cells along their training, as the engine gives it.

    Attributes:
        steps: at which was measured, ascending; the last one is the present.
        values: one entry per step: name -> (cells,), or (cells, ...) of what the study traces; NaN
            of a cell that is not at that step. `died_at`, `ended` and `updates` are of every cell.
        final: the same of all cells at their end, once they have come to it.
    """

    steps: list[int] = field(default_factory=list)
    values: list[dict[str, np.ndarray]] = field(default_factory=list)
    final: dict[str, np.ndarray] | None = None

    def add(self, step: int, values: dict[str, np.ndarray]) -> None:
        """Add what was measured at a step."""
        self.steps.append(step)
        self.values.append(values)

    def outcome(self, name: str) -> np.ndarray:
        """(cells,) `died_at`, `ended` or `updates` of each cell now."""
        return (self.final or self.values[-1])[name]

    def now(self) -> dict[str, np.ndarray]:
        """(cells,) by name: the quantities of each cell at its end, else at its latest step."""
        if self.final is not None:
            return {name: self.final[name] for name in self.final if name not in STATE}
        latest = np.searchsorted(self.steps, self.outcome("updates"), side="right") - 1
        single = (name for name, v in self.values[0].items() if name not in STATE and v.ndim == 1)
        rows = np.arange(len(latest))
        return {name: np.array([v[name] for v in self.values])[latest, rows] for name in single}

    def died_at(self) -> np.ndarray:
        """(cells,) step of death. A loss that is not finite now is a death in the last update."""
        died_at = self.outcome("died_at")
        losses = [values for name, values in self.now().items() if name.endswith("_loss")]
        infinite = ~np.isfinite(losses).all(axis=0) & (died_at == ALIVE)
        return np.where(infinite, self.outcome("updates"), died_at)


STATE = "died_at", "ended", "updates"
"""What the engine gives besides metrics: how far each cell is."""


def make_table(
    study: Study,
    cells: Sequence[Any],
    measured: Measured,
    run: int,
    verdicts: np.ndarray | None = None,
    reports: Columns | None = None,
) -> xr.Dataset:
    """The table of cells that were trained together.

    Args:
        study: of these cells.
        cells: as they were trained.
        measured: at the steps so far.
        run: which of the runs in the provenance trains them.
        verdicts: (cells,) how their training ended; by default they are still training.
        reports: what the study reports of them, as `reported` gives it; by default nothing.

    Raises:
        UserError: the study reports something under the name of a number of its cells.
    """
    died_at = measured.died_at()
    dead = died_at != ALIVE
    if verdicts is None:
        verdicts = np.full(len(cells), UNFINISHED)
    outcome = {"verdict": verdicts, "died_at": died_at, "run": np.full(len(cells), run)}
    columns: Columns = {
        name: ((), outcome[name].astype(kind), attrs) for name, (kind, _, attrs) in OUTCOME.items()
    }
    now = measured.now()
    given = [*map(Once(study.given), cells)]
    of_data, reports = reported(study, given, np.zeros_like(dead), "given"), reports or {}
    refuse_names(study, [*of_data, *reports], measured)
    columns |= of_data
    is_past = _past(study, cells, measured)
    is_kept = _recorded(study, cells, measured.steps).any(axis=0)

    def history(name: str) -> np.ndarray:
        values = stack([np.asarray(values[name], np.float32) for values in measured.values])
        values = np.moveaxis(values, 0, 1).copy()
        values[~is_past] = np.nan
        return values[:, is_kept]

    for name, values in now.items():
        attrs = {"long_name": name.replace("_", " ")}
        columns[name] = (), _blanked(signed(np.array(values)), dead), attrs
        if name in measured.values[0]:
            columns[f"{HISTORY}{name}"] = (STEP,), history(name), attrs
    for name, dims in study.traces.items():
        attrs = {"long_name": f"{name.replace('_', ' ')} along training"}
        columns[f"{HISTORY}{name}"] = (STEP, *dims), _trimmed(history(name)), attrs
    if study.ends:
        columns |= _stopped(study, measured)
    columns |= reports
    return labelled(study, cells, columns, np.array(measured.steps)[is_kept].tolist())


def refuse_names(
    study: Study, names: Iterable[str], measured: Measured, method: str = "report"
) -> None:
    """Refuse names of what is measured, and of a report, that the engine has for its own.

    Args:
        study: whose method gave the names.
        names: of the report.
        measured: of the program.
        method: named in messages.

    Raises:
        UserError: with the first of them.
    """
    own, now = {*OUTCOME, *STATE}, measured.now()
    clash = [("", name) for name in sorted(own & {*now})]
    own |= {*now} - {*study.traces}  # what is traced has a history, and its end is reported
    for name in names:
        if name in own or name.startswith((HISTORY, RETRY)):
            clash.append((f"{method}: ", name))
    for where, name in clash:
        raise UserError(
            f"study {type(study).__name__}: {where}{name!r} is the engine's; give it another name"
        )


def _past(study: Study, cells: Sequence[Any], measured: Measured) -> np.ndarray:
    """(cells, steps) which of the steps so far a cell records and has lived to see."""
    lived = np.array(measured.steps) <= measured.outcome("updates")[:, None]
    return _recorded(study, cells, measured.steps) & lived


def histories(
    study: Study, cells: Sequence[Any], measured: Measured
) -> Callable[[int], dict[str, np.ndarray]]:
    """A function that gives the history of the i-th cell as its study sees it.

    A history is `step`, and each quantity at these steps. Its last entry is the end of training,
    even if that is not a recorded step.
    """
    steps, updates = np.array(measured.steps), measured.outcome("updates")
    now = measured.now()
    names = [name for name in now if name in measured.values[0]]
    values = {name: np.array([v[name] for v in measured.values]) for name in names}
    is_past = _past(study, cells, measured)

    def of(i: int) -> dict[str, np.ndarray]:
        own = is_past[i]
        history = {STEP: steps[own]} | {name: values[name][own, i] for name in names}
        if updates[i] not in history[STEP]:
            history = {
                name: np.append(column, updates[i] if name == STEP else now[name][i])
                for name, column in history.items()
            }
        return history

    return of


def _recorded(study: Study, cells: Sequence[Any], steps: Sequence[int]) -> np.ndarray:
    """(cells, steps) at which steps each cell records its history."""
    rows: dict[tuple[int, ...], np.ndarray] = {}
    own = [*map(Once(study.recorded), cells)]
    for recorded in own:
        if recorded not in rows:
            rows[recorded] = np.isin(steps, recorded)
    return np.array([rows[recorded] for recorded in own])


def _stopped(study: Study, measured: Measured) -> Columns:
    """Which rule of the study stopped a cell, and how many updates it has done."""
    words = " ".join(reason.replace(" ", "_") for reason in study.ends)
    reasons = {
        "long_name": "rule that stopped it; -1: none",
        "flag_values": list(range(len(study.ends))),
        "flag_meanings": words,
    }
    return {
        "ended": ((), measured.outcome("ended").astype(np.int8), reasons),
        "updates": (
            (),
            measured.outcome("updates").astype(np.int32),
            {"long_name": "updates done"},
        ),
    }


def _blanked(values: np.ndarray, dead: np.ndarray) -> np.ndarray:
    """(cells,) values that are missing for dead cells."""
    return np.where(dead, np.asarray(missing(values.dtype), values.dtype), values)


def _trimmed(values: np.ndarray) -> np.ndarray:
    """Histories (cells, steps, ...) without the padding behind them, which other cells needed."""
    is_there = np.isfinite(values)
    lengths = [
        int(
            np.flatnonzero(is_there.any(axis=tuple({*range(values.ndim)} - {axis}))).max(initial=-1)
        )
        for axis in range(2, values.ndim)
    ]
    return values[(slice(None), slice(None), *(slice(length + 1) for length in lengths))]
