"""What a study reports of cells that are trained to their end."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from superpos_jax.engine import collective
from superpos_jax.engine.study import PyTree, Study, Trained, Variable, end_verdicts
from superpos_jax.engine.verdicts import ALIVE, DIVERGED, FINISHED, NON_FINITE, NOT_ENDED
from superpos_jax.errors import UserError
from superpos_jax.results import rows
from superpos_jax.results.cells import Columns
from superpos_jax.results.reported import placed, reported
from superpos_jax.text import first_line
from superpos_jax.training.loop import Training

logger = logging.getLogger(__name__)

TOGETHER = 4096
"""Cells whose reports are held at once; they become columns before the next ones are made."""
UNABLE = "report fails on a cell that has done no update, as it will on one that dies of its first"
TRIED = "superpos tried report before training, on a cell that has done no update"
ENDS = ""
"""The column of verdicts; those of reports have names."""


def finished_rows(training: Training, run: int) -> xr.Dataset:
    """The rows of a program's cells, which are trained to their end.

    Several processes report of their own cells each, and all have the rows of all.

    Args:
        training: of the program.
        run: which of the runs in the provenance trained them.

    Raises:
        UserError: the study breaks its contract.
    """
    training.finish()
    program, measured = training.program, training.measured
    study, trained = program.study, training.plan.cells
    is_dead, report = measured.died_at() != ALIVE, _reporter(study, trained, measured)

    def own_columns() -> Columns:
        params, memos = program.params(training.state), program.memos(training.state)
        places = training.places

        def columns(some: range) -> Columns:
            both = (report(places[i], params[i], memos[i]) for i in some)
            verdicts, reports = zip(*both, strict=True)
            said = reported(study, reports, is_dead[places[some.start : some.stop]])
            return {**said, ENDS: ((), np.array(verdicts), {})}

        count = len(places)
        few = (range(i, min(i + TOGETHER, count)) for i in range(0, count, TOGETHER))
        return placed([(some, columns(some)) for some in few], count)

    with np.errstate(all="ignore"):  # a dead cell's weights may be huge; they are blanked
        reports = training.of_all(own_columns)
    _, verdicts, _ = reports.pop(ENDS)
    return rows.make_table(study, trained, measured, run, verdicts, reports)


def try_report(training: Training) -> None:
    """Report of one cell before its training, so that a mistake in a report costs no training.

    The cell has learned nothing, and its history is one point: so it is with one that dies of its
    first update. A report that cannot do with that is warned of.

    Raises:
        UserError: the study breaks its contract; or what the report raises.
    """
    program, measured = training.program, training.measured
    if training.step or (cell := program.smallest(training.state)) is None:
        return
    study, (own, *stored) = program.study, cell
    try:
        with np.errstate(all="ignore"):
            _, said = _reporter(study, training.plan.cells, measured)(training.places[own], *stored)
    except (ArithmeticError, IndexError, ValueError) as error:
        if collective.leads():
            logger.warning("%s (%s: %s)", UNABLE, type(error).__name__, first_line(error))
        return
    except Exception as error:
        error.add_note(TRIED)
        raise
    rows.refuse_names(study, reported(study, [said], np.array([False])), measured)
    given = reported(study, [study.given(program.plan.cells[own])], np.array([False]), "given")
    rows.refuse_names(study, given, measured, "given")


def _reporter(
    study: Study, cells: Sequence[Any], measured: rows.Measured
) -> Callable[[int, PyTree, PyTree], tuple[int, Mapping[str, Variable]]]:
    """Verdict and report of a cell, by its number, parameters and what looks remembered."""
    history_of = rows.histories(study, cells, measured)
    updates = measured.outcome("updates")
    is_dead, ended = measured.died_at() != ALIVE, measured.outcome("ended")

    def report(index: int, params: PyTree, memo: PyTree) -> tuple[int, Mapping[str, Variable]]:
        cell, history = cells[index], history_of(index)
        reason, verdict = _end(study, cell, history, bool(is_dead[index]), int(ended[index]))
        own = params, history, memo
        return verdict, study.report(cell, Trained(*own, verdict, reason, int(updates[index])))

    return report


def _end(
    study: Study, cell: Any, history: Mapping[str, np.ndarray], dead: bool, rule: int
) -> tuple[str, int]:
    """Why a cell ended, "" at its last step, and its verdict."""
    if dead:
        return "", NON_FINITE
    if not NOT_ENDED <= rule < len(study.ends):
        raise UserError(
            f"study {type(study).__name__}: look ended a cell with {rule}; allowed:"
            " end(reason), or NOT_ENDED"
        )
    if rule != NOT_ENDED:
        return [*zip(study.ends, end_verdicts(study), strict=True)][rule]
    why = study.diverged(cell, history)
    return why, DIVERGED if why else FINISHED
