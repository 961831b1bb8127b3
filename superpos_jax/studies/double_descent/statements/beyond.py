"""H1, C1 and A1: other losses and architectures, real images, and the optimum."""

from __future__ import annotations

from superpos_jax.statements.checks import ANY, Statement
from superpos_jax.studies.double_descent.statements.statistics import (
    INF,
    generalizes_at_best,
    generalizes_usually,
    inner_height,
    odd_one,
    quotient,
)

WHY_NO_MAXIMUM = (
    "under the absolute error models store few samples, so that there is little to unlearn: the "
    "train loss is far above 0 at small T already (`superpos show` of its archive)."
)

STATEMENTS: tuple[Statement, ...] = (
    *(
        Statement(
            "paper/H1",
            f"{name}, {'ReLU' if relu else 'linear'}, {'untied' if untied else 'tied'}: "
            "inner maximum of the test loss above both ends, T >= n/10",
            "above 0", (0.01, INF), inner_height, limits=ANY,
            where={"loss": power, "relu": relu, "untied": untied},
            reason=WHY_NO_MAXIMUM if power == 1 else "",
        )
        for power, name in ((1, "absolute"), (2, "squared"), (4, "fourth"))
        for relu in (0, 1)
        for untied in (0, 1)
    ),
    *(
        Statement(
            "paper/C1", f"m = {m}: largest D*_X over the median image's", "many times", (5, INF),
            odd_one, where={"m": m}, reads={"maximal_dimensionality": 0},
            reason="the images are 64 pixels and few, T/m is 47; MNIST has 60,000 of 784.",
        )
        for m in (32, 64, 128)
    ),
    Statement(
        "paper/A1", "T from which on the lowest training loss found generalizes, over T from which "
        "on training usually does (a lower bound)",
        "far above 1", (1.5, INF), quotient(generalizes_at_best, generalizes_usually),
        reason="the lowest loss of 48 trainings only bounds the optimum from above, and solutions "
        "that do not generalize are the harder ones to find.",
    ),
)  # fmt: skip
