"""Checkpoints of a run, through orbax: written whole or not at all, the previous one kept.

The cells that are trained together have a folder of their own in `checkpoint/`, named after them.
Work that was interrupted stays there while other cells are trained, until its cells are finished.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import shutil
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

import numpy as np
import orbax.checkpoint as ocp

from superpos_jax.engine.collective import Message
from superpos_jax.engine.layout import by_layout
from superpos_jax.engine.program import choose
from superpos_jax.engine.study import Study
from superpos_jax.results.cells import rows_of
from superpos_jax.text import first_line
from superpos_jax.training.folder import CHECKPOINT
from superpos_jax.training.provenance import Machine

SECONDS, SHARE = 30.0, 0.02
"""Least time between two checkpoints, and the largest share of a run's time they may take."""

ARRAYS, ABOUT = "arrays", "about"
"""The items of a checkpoint: numbers of its cells' training, and whose it is, as JSON."""

CHECKSUMS = "crc32"

Arrays = Mapping[str, np.ndarray]
logger = logging.getLogger(__name__)


class About(NamedTuple):
    """Whose a checkpoint is, and who trained it; stored as JSON."""

    study: str
    """Its name, options and the names of a cell's numbers."""
    platform: str
    layouts: str
    """A hash of how the state is laid out: which cells share arrays, and their shapes."""
    cells: list[list[float]]
    """The numbers of each cell."""
    machines: list[Machine]
    """Those that trained it so far."""


class Saved(NamedTuple):
    """The newest readable checkpoint of some cells."""

    path: Path
    cells: list[Any]
    platform: str
    machines: list[Machine]
    """Those that trained it so far."""
    arrays: Arrays

    def part(self, study: Study, wanted: Sequence[Any]) -> Arrays:
        """What the checkpoint would hold had only some of its cells been trained."""
        places = {cell: row for row, cell in enumerate(self.cells)}
        rows = [places[cell] for cell in wanted]
        state = choose(under("state.", self.arrays), study, self.platform, self.cells, wanted)
        measured = under("measured.", self.arrays)
        return (
            {"step": self.arrays["step"], "steps": self.arrays["steps"]}
            | {f"measured.{name}": values[:, rows] for name, values in measured.items()}
            | {f"state.{name}": leaf for name, leaf in state.items()}
        )


class Checkpoints:
    """The checkpoints of cells that are trained together.

    Args:
        folder: the result folder; they lie in its `checkpoint/`.
        cells: whose they are.
        every: seconds between two checkpoints, at least. By default `SECONDS`, and more where
            they would take more than 2 % of the time.
    """

    def __init__(
        self, folder: str | Path, cells: Sequence[Any], every: float | None = None
    ) -> None:
        numbers = np.array(rows_of(cells), np.float64)
        name = hashlib.sha256(numbers.tobytes()).hexdigest()[:16]
        self._path = Path(folder).resolve() / CHECKPOINT / name
        self._every, self._cost, self._last = every, 0.0, time.monotonic()
        self.spent = 0.0
        """Seconds that saving has taken so far."""
        self._manager = _manager(self._path)

    def due(self) -> bool:
        """Whether it is time for another one."""
        every = max(SECONDS, self._cost / SHARE) if self._every is None else self._every
        return time.monotonic() - self._last >= every

    @contextlib.contextmanager
    def timed(self) -> Iterator[None]:
        """The time spent in here is the cost of a checkpoint, from which `due` counts on."""
        begin = time.monotonic()
        yield
        self._last = time.monotonic()
        self._cost = self._last - begin
        self.spent += self._cost

    def save(self, step: int, arrays: Arrays, about: About) -> bool:
        """Write one, which counts only once it is whole; whether it is."""
        items = {
            ARRAYS: ocp.args.StandardSave(dict(arrays)),
            ABOUT: ocp.args.JsonSave(about._asdict() | {CHECKSUMS: _checksums(about, arrays)}),
        }
        try:
            if step in self._manager.all_steps():  # it could not be read
                self._manager.delete(step)
            self._manager.save(step, args=ocp.args.Composite(**items), force=True)
            self._manager.wait_until_finished()
        except Exception as error:  # whatever a full disk makes a writer say
            logger.warning(
                "no checkpoint of step %d, training goes on: %s", step, first_line(error)
            )
            return False
        return True

    def discard(self) -> None:
        """Remove them: the cells are finished and stored."""
        self._manager.close()
        shutil.rmtree(self._path, ignore_errors=True)
        with contextlib.suppress(OSError):
            self._path.parent.rmdir()  # unless other cells have some


def find(folder: Path, study: Study) -> list[Saved]:
    """The newest readable checkpoint of each set of cells of a study, the furthest one first."""
    checkpoints = []
    for path in _places(folder):
        newest = _newest(path)
        if newest is None:
            continue
        about, arrays = newest
        if about.study != _name(study):
            logger.warning("%s: a checkpoint of another study or other options, left alone", path)
            continue
        cells = cells_from(study, about.cells)
        if about.layouts != _layouts(study, cells, about.platform):
            logger.warning("%s: a checkpoint of a version with other layouts, left alone", path)
            continue
        checkpoints.append(Saved(path, cells, about.platform, about.machines, arrays))
    return sorted(checkpoints, key=lambda saved: -int(saved.arrays["step"]))


def packed(checkpoints: Sequence[Saved]) -> Message:
    """Checkpoints as one process tells them to another."""
    said = [
        [str(saved.path), rows_of(saved.cells), saved.platform, saved.machines]
        for saved in checkpoints
    ]
    arrays = [saved.arrays.items() for saved in checkpoints]
    return said, {f"{i} {name}": v for i, each in enumerate(arrays) for name, v in each}


def unpacked(message: Message, study: Study) -> list[Saved]:
    """The checkpoints of a message."""
    said, arrays = message
    return [
        Saved(Path(path), cells_from(study, cells), platform, machines, under(f"{i} ", arrays))
        for i, (path, cells, platform, machines) in enumerate(said)
    ]


def drop_finished(folder: Path, trained: set[Any], study: Study) -> None:
    """Remove the checkpoints all of whose cells are trained to their end."""
    for path in _places(folder):
        newest = _newest(path, (ABOUT,))
        if newest is None or newest[0].study != _name(study):
            continue
        if trained.issuperset(cells_from(study, newest[0].cells)):
            shutil.rmtree(path, ignore_errors=True)
    root = folder / CHECKPOINT
    for path in [*root.glob("*"), root]:
        with contextlib.suppress(OSError):  # it is not there, or holds something
            path.rmdir()


def about(study: Study, cells: Sequence[Any], platform: str, machines: Sequence[Machine]) -> About:
    """What is said of a checkpoint of some cells."""
    numbers = [list(row) for row in rows_of(cells)]
    layouts = _layouts(study, cells, platform)
    return About(_name(study), platform, layouts, numbers, list(machines))


def under(prefix: str, arrays: Arrays) -> dict[str, np.ndarray]:
    """The arrays whose names begin with a prefix, by their names without it."""
    return {key.removeprefix(prefix): v for key, v in arrays.items() if key.startswith(prefix)}


def _places(folder: Path) -> list[Path]:
    """The folders of a result folder that may hold checkpoints, one for each set of cells."""
    root = folder.resolve() / CHECKPOINT
    return [path for path in sorted(root.iterdir()) if path.is_dir()] if root.is_dir() else []


def _manager(path: Path) -> ocp.CheckpointManager:
    path.mkdir(parents=True, exist_ok=True)
    alone = ocp.options.MultiprocessingOptions(primary_host=0, active_processes={0})
    options = ocp.CheckpointManagerOptions(
        max_to_keep=2,
        create=False,
        enable_async_checkpointing=False,
        multiprocessing_options=alone,
    )
    return ocp.CheckpointManager(path, options=options)


def _newest(
    path: Path, items: Sequence[str] = (ARRAYS, ABOUT)
) -> tuple[About, dict[str, np.ndarray]] | None:
    """Items of the newest readable checkpoint of a folder; None where there is none."""
    readers = {ARRAYS: ocp.args.StandardRestore(), ABOUT: ocp.args.JsonRestore()}
    wanted = ocp.args.Composite(**{item: readers[item] for item in items})
    damaged = False
    with contextlib.closing(_manager(path)) as manager:
        for step in sorted(manager.all_steps(), reverse=True):
            if not (path / str(step) / ABOUT).exists():
                logger.warning("%s: a checkpoint of another version, left alone", path / str(step))
                continue
            try:
                read = manager.restore(step, args=wanted)
                arrays = read[ARRAYS] if ARRAYS in items else {}
                arrays = {name: np.asarray(value) for name, value in arrays.items()}
                expected = read[ABOUT].pop(CHECKSUMS, None)  # version 0.1 had none
                about = About(**read[ABOUT])
                own = _checksums(about, arrays)
                if expected is not None and any(own[item] != expected[item] for item in items):
                    raise ValueError("its checksum differs")
                return about, arrays
            except Exception as error:  # whatever a damaged file makes a reader say
                logger.warning("%s: checkpoint %d is damaged: %s", path, step, first_line(error))
                damaged = True
    if damaged:
        logger.warning("%s: no readable checkpoint; its cells start from step 0", path)
    return None


def _checksums(about: About, arrays: Arrays) -> dict[str, int]:
    """A number for each item of a checkpoint, bytes, names and shapes of all its arrays."""
    total = 0
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        total = zlib.crc32(f"{name} {array.dtype.str} {array.shape}".encode(), total)
        total = zlib.crc32(array.tobytes(), total)
    said = json.dumps(about._asdict(), sort_keys=True)
    return {ARRAYS: total, ABOUT: zlib.crc32(said.encode())}


def cells_from(study: Study, numbers: Sequence[Sequence[float]]) -> list[Any]:
    """The cells of some numbers, as JSON has them; each has the type of its field."""
    hints = get_type_hints(study.Cell)
    kinds = [hints[name] for name in study.cell_fields()]
    return [
        study.Cell(*(kind(value) for kind, value in zip(kinds, own, strict=True)))
        for own in numbers
    ]


def _name(study: Study) -> str:
    return f"{study.name()} {study.options.model_dump_json()} {' '.join(study.cell_fields())}"


def _layouts(study: Study, cells: Sequence[Any], platform: str) -> str:
    """How the state of the cells is laid out: which of them share arrays, and their shapes."""
    groups = by_layout(study, cells, platform)
    text = ", ".join(f"({layout.text()}, {members})" for layout, members in groups.items())
    return hashlib.sha256(text.encode()).hexdigest()
