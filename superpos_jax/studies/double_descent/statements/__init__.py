"""The statements of the paper and of the comments printed beneath it, each as a number.

Sources: Henighan et al., "Superposition, Memorization, and Double Descent" (2023), whose test
losses are read off its plot to 0.0005; the comments printed beneath it: two by Adam Jermyn (a
replication; extensions) and one by Marius Hobbhahn; the code and plots of a public replication,
https://github.com/slavachalnev/double-descent, which minimises the sum over features; public
checkpoints that minimised the mean; and the note on the intermediate regime in "Circuits Updates,
July 2023".
"""

from __future__ import annotations

from superpos_jax.statements.checks import Statement
from superpos_jax.studies.double_descent.statements import (
    beyond,
    comments,
    conventions,
    pentagon,
    plane,
    polygons,
    regimes,
)

STATEMENTS: tuple[Statement, ...] = (
    *pentagon.STATEMENTS,
    *polygons.STATEMENTS,
    *regimes.STATEMENTS,
    *plane.STATEMENTS,
    *conventions.STATEMENTS,
    *comments.STATEMENTS,
    *beyond.STATEMENTS,
)
