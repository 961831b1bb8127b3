"""What a study reports of cells that are trained to their end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from superpos_jax.engine import collective
from superpos_jax.engine.study import Study, Trained, Variable, end_verdicts
from superpos_jax.engine.verdicts import ALIVE, DIVERGED, FINISHED, NON_FINITE, NOT_ENDED
from superpos_jax.errors import UserError
from superpos_jax.results import rows
from superpos_jax.training.loop import Training

Report = Mapping[str, Variable]


def finished_rows(training: Training, run: int) -> xr.Dataset:
    """The rows of a program's cells, which are trained to their end.

    Several processes report of a part of the cells each, and all have the rows of all.

    Args:
        training: of the program.
        run: which of the runs in the provenance trained them.

    Raises:
        UserError: the study breaks its contract.
    """
    training.finish()
    program, measured = training.program, training.measured
    study, trained = program.study, program.plan.cells
    params, memos = program.params(training.state), program.memos(training.state)
    histories = rows.histories(study, trained, measured)
    updates = measured.outcome("updates")
    is_dead, ended = measured.died_at() != ALIVE, measured.outcome("ended")
    ends = [
        _end(study, cell, history, bool(dead), int(rule))
        for cell, history, dead, rule in zip(trained, histories, is_dead, ended, strict=True)
    ]

    def report(index: int) -> Report:
        reason, verdict = ends[index]
        own = params[index], histories[index], memos[index]
        return study.report(trained[index], Trained(*own, verdict, reason, int(updates[index])))

    with np.errstate(all="ignore"):  # a dead cell's weights may be huge; they are blanked
        reports = collective.divided(report, len(trained), packed, unpacked)
    verdicts = np.array([verdict for _, verdict in ends])
    return rows.make_table(study, trained, measured, run, verdicts, reports)


def _end(
    study: Study, cell: Any, history: Mapping[str, np.ndarray], dead: bool, rule: int
) -> tuple[str, int]:
    """Why a cell ended, "" at its last step, and its verdict."""
    if dead:
        return "", NON_FINITE
    if rule >= len(study.ends):
        raise UserError(
            f"study {type(study).__name__}: look ended a cell with {rule}; allowed:"
            " end(reason), or NOT_ENDED"
        )
    if rule != NOT_ENDED:
        return [*zip(study.ends, end_verdicts(study), strict=True)][rule]
    why = study.diverged(cell, history)
    return why, DIVERGED if why else FINISHED


def packed(report: Report) -> collective.Message:
    """A report as JSON and arrays of numbers; arrays of words are JSON."""
    said, arrays = {}, {}
    for name, variable in report.items():
        values = np.asarray(variable.values)
        words = None
        if values.dtype.kind in "biufc":
            arrays[name] = values
        else:
            words = values.dtype.str, values.tolist()
        said[name] = variable.dims, dict(variable.attrs), variable.of_dead, words
    return said, arrays


def unpacked(message: collective.Message) -> Report:
    """The report of a message.

    >>> report = {"norm": Variable((), np.float32(2), {"units": "1"})}
    >>> unpacked(packed(report))["norm"]
    Variable(dims=(), values=array(2., dtype=float32), attrs={'units': '1'}, of_dead=False)
    >>> unpacked(packed({"words": Variable(("word",), ["a", "bc"], {})}))["words"].values
    array(['a', 'bc'], dtype='<U2')
    """
    said, arrays = message
    report = {}
    for name, (dims, attrs, of_dead, words) in said.items():
        values = arrays[name] if words is None else np.array(words[1], dtype=words[0])
        report[name] = Variable(tuple(dims), values, attrs, of_dead)
    return report
