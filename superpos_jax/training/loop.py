"""The training of one plan: in chunks, measured on the way, from the start or a checkpoint.

Of several processes each trains its part of the plan, by a program of its own. What is measured of
the parts is put together here, on all of them.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import jax
import numpy as np

from superpos_jax.engine import collective, compilation
from superpos_jax.engine.once import Once
from superpos_jax.engine.one_cell import State
from superpos_jax.engine.plan import Plan
from superpos_jax.engine.program import Program, choose, merged, scattered
from superpos_jax.engine.study import Study
from superpos_jax.errors import Interrupted, UserError
from superpos_jax.results.cells import Columns, stack
from superpos_jax.results.reported import placed
from superpos_jax.results.rows import Measured
from superpos_jax.text import counted
from superpos_jax.training.checkpoint import Arrays, under
from superpos_jax.training.progress import Progress

T = TypeVar("T")
CHUNK_SECONDS = 0.5


class Training:
    """Where the training of a plan stands: step, state of its cells, what was measured of all.

    Args:
        program: trains the part of this process.
        saved: what `arrays` gave at an earlier step; by default training starts at step 0.
        plan: of the cells of all processes; by default of the program's own.
    """

    def __init__(
        self, program: Program, saved: Arrays | None = None, plan: Plan | None = None
    ) -> None:
        begin = time.perf_counter()
        self.program, self.plan = program, plan or program.plan
        self.places = self.plan.places(jax.process_index())
        """Which of all cells this process trains, ascending."""
        self.step, self.measured = int(saved["step"]) if saved else 0, Measured()
        self._last: dict[str, np.ndarray] = {}  # what was measured of all cells last
        with compilation.quick():
            self.state = collective.everywhere(functools.partial(self._begun, saved))
            if saved is None:
                self.record()
            else:
                measured = under("measured.", saved)
                for i, step in enumerate(saved["steps"].tolist()):
                    self.measured.add(step, {name: values[i] for name, values in measured.items()})
            self.state = program.advance(self.state, self.step)
        self.compile_seconds = time.perf_counter() - begin

    def advance(self, count: int) -> None:
        """Do so many updates."""
        self.step += count
        self.state = jax.block_until_ready(self.program.advance(self.state, self.step))

    def record(self) -> None:
        """Measure the cells that are at this step, and trace what the study traces."""
        now = self._measured_of_all(
            lambda: self.program.evaluate(self.state, self.step) | self._traced()
        )
        self._last = {name: now[name] for name in now if name not in self.program.study.traces}
        self.measured.add(self.step, now)

    def losses(self) -> dict[str, np.ndarray]:
        """The losses of each cell, (cells,), if this step is recorded; NaN where a cell's is not.

        Of several processes each has the losses of all cells.
        """
        if self.measured.steps[-1] != self.step:
            return {}
        values = self.measured.values[-1]
        return {name: values[name] for name in values if name.endswith("_loss")}

    def finish(self) -> None:
        """Measure all cells at their end, which some may have come to between recorded steps."""
        last = self._last
        if not (self.plan.ends_as_it_goes and last and (last["updates"] == self.step).all()):
            last = self._measured_of_all(lambda: self.program.finish(self.state))
        self.measured.final = last

    def _begun(self, saved: Arrays | None) -> list[State]:
        """The cells of this process where training begins, at step 0 or as they were saved."""
        program, study = self.program, self.program.study
        program.compile()
        if saved is None:
            return program.init()
        state, cells = under("state.", saved), self.plan.cells
        if self.plan.processes > 1:
            state = choose(state, study, program.platform, cells, program.plan.cells)
        return program.from_host(state)

    def of_all(self, own: Callable[[], Columns]) -> Columns:
        """Columns of all cells on every process, of those that each has of its own cells.

        Raises:
            UserError: `own` raised an error on another process.
        """
        if self.plan.processes == 1:
            return own()
        parts = collective.together(own, packed, unpacked)
        return placed(self._with_places(parts), len(self.plan.cells))

    def _measured_of_all(self, own: Callable[[], Arrays]) -> dict[str, np.ndarray]:
        """What each process measures of its cells, (cells, ...) by name, of the cells of all."""
        if self.plan.processes == 1:
            return {**own()}
        parts = collective.together(own, _as_message, _of_message)
        return scattered(self._with_places(parts), len(self.plan.cells))

    def _with_places(self, parts: Sequence[T]) -> list[tuple[np.ndarray, T]]:
        """What each process has of its cells, with the places of these among all."""
        places = map(self.plan.places, range(self.plan.processes))
        return [*zip(places, parts, strict=True)]

    def _traced(self) -> dict[str, np.ndarray]:
        """What the study traces of each cell now, (cells, ...).

        Raises:
            UserError: it traces something else than it says.
        """
        study, cells = self.program.study, self.program.plan.cells
        if not study.traces or not cells:
            return {}
        pairs = zip(cells, self.program.params(self.state), strict=True)
        with np.errstate(all="ignore"):  # a dead cell's weights may be huge
            traces = [_as_said(study, study.trace(cell, params)) for cell, params in pairs]
        return {name: stack([trace[name] for trace in traces]) for name in study.traces}

    def arrays(self) -> Arrays:
        """All of it as arrays, from which a later `Training` goes on.

        Of several processes process 0 has the state of all cells, and the others of none.
        """
        states = collective.together(
            lambda: self.program.to_host(self.state), _as_message, _of_message, by_all=False
        )
        state = merged(self.plan, states) if states else {}
        values = self.measured.values
        measured = {name: stack([value[name] for value in values]) for name in values[0]}
        return (
            {"step": np.asarray(self.step), "steps": np.asarray(self.measured.steps)}
            | {f"measured.{name}": value for name, value in measured.items()}
            | {f"state.{name}": leaf for name, leaf in state.items()}
        )


def packed(columns: Columns) -> collective.Message:
    """Columns as JSON and arrays, for the other processes."""
    said = {name: (dims, dict(attrs)) for name, (dims, _, attrs) in columns.items()}
    return said, {name: values for name, (_, values, _) in columns.items()}


def unpacked(message: collective.Message) -> Columns:
    """The columns of a message.

    >>> unpacked(packed({"norm": ((), np.float32([2, 3]), {"units": "1"})}))
    {'norm': ((), array([2., 3.], dtype=float32), {'units': '1'})}
    """
    said, arrays = message
    return {name: (tuple(dims), arrays[name], attrs) for name, (dims, attrs) in said.items()}


def _as_message(arrays: Arrays) -> collective.Message:
    return None, arrays


def _of_message(message: collective.Message) -> Arrays:
    return message[1]


def _as_said(study: Study, trace: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """What a study traces of a cell, of the names and dimensions that its `traces` has."""
    wrong = f"study {type(study).__name__}: trace: "
    if not isinstance(trace, Mapping) or not {*trace} >= {*study.traces}:
        said = ", ".join(map(str, trace)) if isinstance(trace, Mapping) else type(trace).__name__
        raise UserError(f"{wrong}{said or 'nothing'}; allowed: {', '.join(study.traces)}")
    arrays = {name: np.asarray(trace[name], np.float32) for name in study.traces}
    for name, dims in study.traces.items():
        if isinstance(dims, str) or arrays[name].ndim != len(dims):
            raise UserError(
                f"{wrong}{name} is an array of {counted(arrays[name].ndim, 'dimension')}, and"
                f" traces says {dims!r}; allowed: a tuple, a name for each"
            )
    return arrays


def advance(
    training: Training,
    is_due: Callable[[], bool],
    save: Callable[[], bool],
    asked_to_stop: Callable[[], bool],
    progress: Callable[[Progress], None],
) -> None:
    """Train a program's cells to their end; save and stop on the way when it is time to.

    Args:
        training: of the program.
        is_due: whether it is time to save.
        save: saves where training stands; whether that worked.
        asked_to_stop: whether a user wants training to stop.
        progress: called between chunks.

    Raises:
        Interrupted: someone asked to stop.
    """
    plan, study = training.plan, training.program.study
    recorded = {step for own in {*map(Once(study.recorded), plan.cells)} for step in own}
    stops = sorted(recorded | {int(plan.updates.max())})
    chunk, saved = 1, training.step
    while training.step < stops[-1]:
        stop = next(stop for stop in stops if stop > training.step)
        count, due, halt = collective.agreed(
            min(chunk, stop - training.step), is_due(), asked_to_stop()
        )
        if (due or halt) and training.step > saved and save():
            saved = training.step
        if halt:
            raise Interrupted(
                f"interrupted at step {training.step:,} of {stops[-1]:,}",
                "there" if saved == training.step else f"step {saved:,}",
            )
        begin = time.perf_counter()
        training.advance(count)
        seconds = (time.perf_counter() - begin) / count
        chunk = max(1, min(2 * count, int(CHUNK_SECONDS / seconds)))
        if training.step == stop:
            training.record()
        done, losses = plan.share(training.step), training.losses()
        progress(Progress(done, "training", training.step, stops[-1], 0, losses, plan.cells))
