"""P2 and P8: few samples, stored as polygons, and trainings that fail to."""

from __future__ import annotations

from superpos_jax.statements.checks import SHARE, Statement
from superpos_jax.studies.double_descent.statements.sources import (
    BY_MANY_SEEDS,
    D_X,
    FEW,
    READ_OFF,
)
from superpos_jax.studies.double_descent.statements.statistics import (
    INF,
    average,
    failed,
    fair_share,
    middle,
    solved,
    two_radii,
    unsolved,
)

STATEMENTS: tuple[Statement, ...] = (
    *(
        Statement(
            key, f"samples share the space evenly where T = {T} is solved: D_X T/m", "1",
            (0.95, 1.05), solved(fair_share), where={"T": T}, reads=D_X,
        )
        for key in ("paper/P2", "reference/P2", "reference/P2_sum")
        for T in (5, 8)
    ),
    *(
        Statement(
            FEW, f"test loss at T = {T}, mean over 32 seeds", f"{READ_OFF[T]:g}",
            (READ_OFF[T] - 5e-4, READ_OFF[T] + 5e-4), average("test_loss"), where={"T": T},
            form=".5g", of=4,
        )
        for T in BY_MANY_SEEDS
    ),
    Statement(
        FEW, "test loss at T = 10, mean over 32 seeds", "above 1.025", (1.025, INF),
        average("test_loss"), where={"T": 10}, form=".5g",
    ),
    Statement(
        "reference/P8", "median test loss of seeds that fail at T = 8",
        "1.072, if one of four did: their mean is 1.018", (1.07, 1.074),
        unsolved(middle("test_loss")), where={"T": 8}, form=".5g",
    ),
    *(
        Statement(
            key, "share of seeds that end above a training loss of 0.01 at T = 5", "few", (0, 0.25),
            failed, where={"T": 5}, limits=SHARE,
        )
        for key in ("paper/P8", "reference/P8", "reference/P8_sum")
    ),
    *(
        Statement(
            key, "share of solved seeds that put samples on a second radius", "occasionally",
            (0.01, 0.5), two_radii, reads={"H": 0}, limits=SHARE,
        )
        for key in ("paper/P8", "reference/P8", "reference/P8_sum")
    ),
)  # fmt: skip
