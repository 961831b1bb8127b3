"""Checkpoints of a run, through orbax: written whole or not at all, the previous one kept."""

from __future__ import annotations

import contextlib
import logging
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import orbax.checkpoint as ocp

from superpos_jax.folder import CHECKPOINT

SECONDS, SHARE = 30.0, 0.02
"""Least time between two checkpoints, and the largest share of a run's time they may take."""

Tree = Mapping[str, np.ndarray]
logger = logging.getLogger(__name__)


class Checkpoints:
    """The checkpoints in a result folder.

    Args:
        folder: the result folder; they lie in its `checkpoint/`.
        every: seconds between two checkpoints, at least. By default `SECONDS`, and more where
            they would take more than 2 % of the time.
    """

    def __init__(self, folder: str | Path, every: float | None = None) -> None:
        self._path = Path(folder).resolve() / CHECKPOINT
        self._every, self._cost, self._last = every, 0.0, time.monotonic()
        self.spent = 0.0
        """Seconds that saving has taken so far."""
        options = ocp.CheckpointManagerOptions(max_to_keep=2, enable_async_checkpointing=False)
        self._manager = ocp.CheckpointManager(self._path, options=options)

    def newest(self) -> dict[str, np.ndarray] | None:
        """The newest readable checkpoint; None where there is none."""
        for step in sorted(self._manager.all_steps(), reverse=True):
            try:
                found = self._manager.restore(step, args=ocp.args.StandardRestore())
            except Exception as error:  # whatever a damaged file makes a reader say
                reason = str(error).partition("\n")[0]
                logger.warning("checkpoint %d is damaged, using the one before: %s", step, reason)
                self._manager.delete(step)
                continue
            return {name: np.asarray(value) for name, value in found.items()}
        return None

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
        """Write one; it counts only once it is whole. Whether that went well."""
        try:
            self._manager.save(step, args=ocp.args.StandardSave(dict(tree)), force=True)
            self._manager.wait_until_finished()
        except Exception as error:  # whatever a full disk makes a writer say
            reason = str(error).partition("\n")[0]
            logger.warning("no checkpoint of step %d, training goes on: %s", step, reason)
            return False
        return True

    def discard(self) -> None:
        """Remove them all: what they hold is finished and stored."""
        for step in self._manager.all_steps():
            self._manager.delete(step)

    def close(self) -> None:
        """No more of them; an empty folder is removed."""
        steps = self._manager.all_steps()
        self._manager.close()
        if not steps:
            shutil.rmtree(self._path, ignore_errors=True)
