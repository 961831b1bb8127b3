"""How the training of a cell ended: the values of `verdict` and `died_at` in a result."""

from __future__ import annotations

VERDICTS = ("finished", "non-finite", "diverged", "unfinished")
FINISHED, NON_FINITE, DIVERGED, UNFINISHED = range(4)
FAILED = NON_FINITE, DIVERGED
"""Cells that are in no mean."""

ALIVE = -1
"""`died_at` of a cell whose numbers are all finite; else the step at which they ceased to be."""
NOT_ENDED = -1
"""`ended` of a cell that no stop rule ended; else the number of the reason in `Study.ends`."""
