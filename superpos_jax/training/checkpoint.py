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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

import numpy as np
import orbax.checkpoint as ocp

from superpos_jax.engine.plan import by_layout
from superpos_jax.engine.program import choose
from superpos_jax.engine.study import Study
from superpos_jax.training.folder import CHECKPOINT
from superpos_jax.training.provenance import Machine

SECONDS, SHARE = 30.0, 0.02
"""Least time between two checkpoints, and the largest share of a run's time they may take."""

OWNERS = "study", "platform", "layouts", "machines"
"""What a checkpoint says in words, beside the numbers of its cells."""

Tree = Mapping[str, np.ndarray]
logger = logging.getLogger(__name__)


class Saved(NamedTuple):
    """The newest readable checkpoint of some cells."""

    path: Path
    cells: list[Any]
    platform: str
    machines: list[Machine]
    """Those that trained it so far."""
    tree: Tree

    def part(self, study: Study, wanted: Sequence[Any]) -> Tree:
        """What the checkpoint would hold had only some of its cells been trained."""
        places = {cell: row for row, cell in enumerate(self.cells)}
        rows = [places[cell] for cell in wanted]
        state = choose(under("state.", self.tree), study, self.platform, self.cells, wanted)
        measured = under("measured.", self.tree)
        return (
            {"step": self.tree["step"], "steps": self.tree["steps"]}
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
        name = hashlib.sha256(_numbers(cells).tobytes()).hexdigest()[:16]
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
    def pause(self) -> Iterator[None]:
        """What is done in here to save the run counts as the cost of a checkpoint."""
        begin = time.monotonic()
        yield
        self._last = time.monotonic()
        self._cost = self._last - begin
        self.spent += self._cost

    def save(self, step: int, tree: Tree) -> bool:
        """Write one, which counts only once it is whole; whether it is."""
        try:
            if step in self._manager.all_steps():  # it could not be read
                self._manager.delete(step)
            self._manager.save(step, args=ocp.args.StandardSave(dict(tree)), force=True)
            self._manager.wait_until_finished()
        except Exception as error:  # whatever a full disk makes a writer say
            reason = str(error).partition("\n")[0]
            logger.warning("no checkpoint of step %d, training goes on: %s", step, reason)
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
    root = folder.resolve() / CHECKPOINT
    found = []
    for path in sorted(root.iterdir()) if root.is_dir() else []:
        tree = _newest(path) if path.is_dir() else None
        if tree is None:
            continue
        owner = {name: _text(tree[name]) for name in OWNERS if name in tree}
        if set(owner) != set(OWNERS) or owner["study"] != _name(study):
            logger.warning("%s: a checkpoint of something else, left alone", path)
            continue
        cells = [_cell(study, row) for row in tree["cells"].tolist()]
        if owner["layouts"] != _layouts(study, cells, owner["platform"]):
            logger.warning("%s: a checkpoint of a version with other layouts, left alone", path)
            continue
        found.append(Saved(path, cells, owner["platform"], json.loads(owner["machines"]), tree))
    return sorted(found, key=lambda one: -int(one.tree["step"]))


def drop_finished(folder: Path, trained: set[Any], study: Study) -> None:
    """Remove the checkpoints all of whose cells are trained to their end."""
    root = folder / CHECKPOINT
    if not root.is_dir():
        return
    for saved in find(folder, study):
        if trained.issuperset(saved.cells):
            shutil.rmtree(saved.path, ignore_errors=True)
    with contextlib.suppress(OSError):
        for path in root.iterdir():
            path.rmdir()  # an empty one, of cells that finished before its first checkpoint
        root.rmdir()


def owners(
    study: Study, cells: Sequence[Any], platform: str, machines: Sequence[Machine]
) -> dict[str, np.ndarray]:
    """Whose a checkpoint is, and who trained it: to be stored in it."""
    texts = (_name(study), platform, _layouts(study, cells, platform), json.dumps(machines))
    return {"cells": _numbers(cells)} | {
        name: np.frombuffer(text.encode(), np.uint8)
        for name, text in zip(OWNERS, texts, strict=True)
    }


def under(prefix: str, tree: Tree) -> dict[str, np.ndarray]:
    """The part of a tree whose names begin with a prefix, without it."""
    return {key.removeprefix(prefix): v for key, v in tree.items() if key.startswith(prefix)}


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


def _newest(path: Path) -> dict[str, np.ndarray] | None:
    """The newest readable checkpoint of a folder; None where there is none."""
    with contextlib.closing(_manager(path)) as manager:
        for step in sorted(manager.all_steps(), reverse=True):
            try:
                found = manager.restore(step, args=ocp.args.StandardRestore())
                return {name: np.asarray(value) for name, value in found.items()}
            except Exception as error:  # whatever a damaged file makes a reader say
                reason = str(error).partition("\n")[0]
                logger.warning("checkpoint %d is damaged, using the one before: %s", step, reason)
    return None


def _numbers(cells: Sequence[Any]) -> np.ndarray:
    return np.array([astuple(cell) for cell in cells], np.float64)


def _cell(study: Study, row: Sequence[float]) -> Any:
    """A cell from its numbers, each of the type that its field has."""
    hints = get_type_hints(study.Cell)
    kinds = [hints[name] for name in study.cell_fields()]
    return study.Cell(*(kind(value) for kind, value in zip(kinds, row, strict=True)))


def _name(study: Study) -> str:
    return f"{study.name()} {study.options.model_dump_json()} {' '.join(study.cell_fields())}"


def _layouts(study: Study, cells: Sequence[Any], platform: str) -> str:
    """How the state of the cells is laid out: which of them share arrays, and their shapes."""
    groups = by_layout(study, cells, platform)
    text = repr(list(groups.items()))
    return hashlib.sha256(text.encode()).hexdigest()


def _text(array: np.ndarray) -> str:
    return array.tobytes().decode()
