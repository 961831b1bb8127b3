"""J1: mean, sum and Adam's eps."""

from __future__ import annotations

from superpos_jax.statements.checks import Statement
from superpos_jax.studies.double_descent.statements.sources import READ_OFF
from superpos_jax.studies.double_descent.statements.statistics import (
    INF,
    at,
    average,
    below_one,
    bump,
    height,
    middle,
    quotient,
    same_n_eps,
    steps_against,
)

WHY_T_HARDLY_MOVES = (
    "n is 1,000 and there are 10,000 steps here, instead of 10,000 and 50,000; at that scale the "
    "mean is below 1 at T = 5,000, where the sum has a test loss of hundreds (reference/P3)."
)

STATEMENTS: tuple[Statement, ...] = (
    *(
        Statement(
            "paper/J1",
            f"lr {lr:g}: mean and sum with the same effective eps are apart by (median)",
            "0 but for rounding", (0, 1e-3), same_n_eps, where={"lr": lr}, control=True,
        )
        for lr in (1e-3, 3e-3)
    ),
    *(
        Statement(
            "paper/J1",
            f"lr {lr:g}: {text}, effective eps = 1e-8 (the sum) over 1e-4 (the paper's mean)",
            expected, within,
            quotient(
                at(statistic, reduction=0.0, eps=1e-8, lr=lr),
                at(statistic, reduction=1.0, eps=1e-7, lr=lr),
            ),
            reason=reason,
        )
        for lr in (1e-3, 3e-3)
        for text, expected, within, statistic, reason in (
            ("height of the bump above 1", "far above 1", (2, INF), height, ""),
            (
                "T from which the test loss is below 1", "2 to 10", (2, 10), below_one,
                WHY_T_HARDLY_MOVES,
            ),
        )
    ),
    Statement(
        "reference/J1", "sum: how often a larger eps raises the bump", "never", (0, 0),
        steps_against("eps", bump, -1), control=True,
    ),
    Statement(
        "reference/J1", "sum: height of the bump above 1, eps = 1e-8 over 1e-4 (the paper's mean)",
        "far above 1", (2, INF), quotient(at(height, eps=1e-8), at(height, eps=1e-4)),
    ),
    *(
        Statement(
            "reference/J1", f"sum, eps = 1e-4: test loss at T = {T:,}, mean over seeds",
            f"{READ_OFF[T]:g} (the paper)", (READ_OFF[T] - 5e-4, READ_OFF[T] + 5e-4),
            average("test_loss"), where={"eps": 1e-4, "T": T}, form=".5g", of=4,
        )
        for T in (1000, 2000, 5000)
    ),
    Statement(
        "reference/J1", "sum, eps = 1e-4: ‖W‖ at T = 5,000", "4.5 (a checkpoint of the mean)",
        (0.9 * 4.5, 1.1 * 4.5), middle("W_norm"), where={"eps": 1e-4, "T": 5000}, of=1,
    ),
)  # fmt: skip
