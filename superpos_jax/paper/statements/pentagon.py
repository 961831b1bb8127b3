"""P1: five features on a pentagon, with infinite data."""

from __future__ import annotations

from superpos_jax.paper.checks import Statement
from superpos_jax.paper.statements.sources import D_F, FIVE, SHARE, WHY_MORE_EACH
from superpos_jax.paper.statistics import (
    features,
    long_ones,
    middle,
    of_five,
    pentagon,
)

WHY_NO_PENTAGON = (
    "too few steps, most likely: under the sum, too, features share directions (reference/P1_sum), "
    "so that it is not eps. At n = 1,000 they do so early and drop out one after another until "
    "five are left (P1_steps), later with fewer samples a step (P1_batch) or a larger eps (P1_eps)."
)

STATEMENTS: tuple[Statement, ...] = (
    *(
        statement
        for key in ("paper/P1", "reference/P1", "reference/P1_sum")
        for statement in (
            Statement(
                key, f"{FIVE} (D_f > 0.1)", "5", (5, 5), features, reads=D_F,
                reason=WHY_NO_PENTAGON,
            ),
            Statement(
                key, "their D_f", SHARE, (0.2, 0.3), of_five, reads=D_F,
                reason=WHY_MORE_EACH if key == "paper/P1" else WHY_NO_PENTAGON,
            ),
            Statement(
                key, "features whose vectors are longer than half of the longest", "5", (5, 5),
                long_ones, reads={"W": 0}, reason=WHY_NO_PENTAGON,
            ),
            Statement(
                key, "degrees by which angles between the five differ from 72, at most",
                "0 (a regular pentagon)", (0, 5), pentagon, reads={"W": 0}, reason=WHY_NO_PENTAGON,
            ),
        )
    ),
    Statement(
        "paper/P1_batch", f"{FIVE}, with 500 new samples a step and more", "5", (5, 5), features,
        where={"T": [500, 1000, 2000]}, reads=D_F,
    ),
    *(
        Statement(
            "paper/P1_steps", f"after {steps:,} steps: features whose vectors are longer than half "
            "of the longest", "5", (5, 5), long_ones, where={"steps": steps}, reads={"W": 0},
            reason="features share directions early and drop out one after another.",
        )
        for steps in (1000, 2000, 5000, 10_000, 20_000)
    ),
    Statement(
        "paper/P1_eps", "eps = 1e-6: features whose vectors are longer than half of the longest, "
        "with 500 new samples a step and more", "5", (5, 5), long_ones,
        where={"T": [500, 1000, 2000]}, reads={"W": 0},
        reason="with a larger eps features drop out later; at n = 10,000 that is not why they "
        "share directions, since they do so under the sum too (reference/P1_sum).",
    ),
    Statement(
        "reference/P1", "test loss", "0.9986 to 0.9989", (0.9981, 0.9994), middle("test_loss"),
        form=".5g", reason=WHY_NO_PENTAGON,
    ),
)  # fmt: skip
