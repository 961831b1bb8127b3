"""P1: five features on a pentagon, with infinite data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from superpos_jax.statements.checks import SHARE, Statement
from superpos_jax.studies.double_descent.statements.sources import (
    D_F,
    EACH_OF_FIVE,
    FIVE,
    MEAN,
    REFERENCE,
    SUM,
    WHY_MORE_EACH,
)
from superpos_jax.studies.double_descent.statements.statistics import (
    dead_outputs,
    features,
    long_ones,
    middle,
    of_five,
    pentagon,
)

WHY_SHARED = (
    "the noise of few new samples, most likely: with 20,000 a step five features are left "
    "(reference/P1_batch), with 2,000 fewer share at smaller learning rates (reference/P1_lr, "
    "reference/P1_slow). It is neither eps, since they share under the sum too (reference/P1_sum), "
    "nor the number of steps (reference/P1_steps)."
)
WHY_DEAD = (
    "most likely the noise of new samples. Biases at E[x_i] = 2.7e-4 lower the loss by 0.0007, and "
    "a step of Adam is up to 1e-3: it takes them below 0, where the ReLU lets no gradient through. "
    "At n = 1,000 E[x_i] is 2.7e-3, more than a step, and they stay above."
)
LONG = "features whose vectors are longer than half of the longest"

AT_SCALE: tuple[tuple[str, str, Mapping[str, Any]], ...] = (
    *((f"reference/P1{which}", "", {}) for which in ("", "_sum", "_batch", "_steps", "_slow")),
    *(("reference/P1_lr", f"lr {lr:g}: ", {"lr": lr}) for lr in (1e-4, 3e-4)),
)
"""Trainings on new samples at n = 10,000: sweep, which cells, and how they are told."""
STATED = ("paper/P1", "reference/P1", "reference/P1_sum")
"""Trained as the sources do it. Other batches, steps and learning rates are ours."""

STATEMENTS: tuple[Statement, ...] = (
    *(
        statement
        for key in ("paper/P1", "reference/P1", "reference/P1_sum", "reference/P1_batch")
        for statement in (
            Statement(
                key, f"{FIVE} (D_f > 0.1)", "5", (5, 5), features, reads=D_F, reason=WHY_SHARED,
                control=key not in STATED,
            ),
            Statement(
                key, "their D_f", EACH_OF_FIVE, (0.2, 0.3), of_five, reads=D_F,
                reason=WHY_MORE_EACH if key == "paper/P1" else WHY_SHARED,
                control=key not in STATED,
            ),
        )
    ),
    *(
        Statement(
            key, "degrees by which angles between the five differ from 72, at most",
            "0 (a regular pentagon)", (0, 5), pentagon, reads={"W": 0}, control=key not in STATED,
        )
        for key in ("paper/P1", "reference/P1_batch")
    ),
    *(
        Statement(
            key, f"{of}{LONG}", "5", (5, 5), long_ones, where, {"W": 0}, reason=WHY_SHARED,
            control=key not in STATED,
        )
        for key, of, where in (("paper/P1", "", {}), *AT_SCALE)
    ),
    *(
        Statement(
            key, f"{of}test loss", "0.9986 to 0.9989", (0.9981, 0.9994), middle("test_loss"), where,
            form=".5g", reason=WHY_DEAD, control=key not in STATED,
        )
        for key, of, where in AT_SCALE
    ),
    *(
        Statement(
            key, f"{of}share of biases below 0, whose outputs hardly fire",
            "few (else means of features are not predicted)", (0, 0.1), dead_outputs, where,
            {"b": 0}, reason=WHY_DEAD, limits=SHARE, control=True,
        )
        for key, of, where in (
            ("paper/P1", "", {}),
            *AT_SCALE,
            *(
                (REFERENCE, f"{word}, T = 20,000: ", {**of, "T": 20_000, "seed": [0]})
                for word, of in (("mean", MEAN), ("sum", SUM))
            ),
        )
    ),
    Statement(
        "paper/P1_batch", f"{FIVE}, with 500 new samples a step and more", "5", (5, 5), features,
        where={"T": [500, 1000, 2000]}, reads=D_F, control=True,
    ),
    *(
        Statement(
            "paper/P1_steps", f"after {steps:,} steps: {LONG}", "5", (5, 5), long_ones,
            where={"steps": steps}, reads={"W": 0},
            reason="features share directions early and drop out one after another.",
            control=True,
        )
        for steps in (1000, 2000, 5000, 10_000, 20_000)
    ),
    Statement(
        "paper/P1_eps", f"eps = 1e-6: {LONG}, with 500 new samples a step and more", "5", (5, 5),
        long_ones, where={"T": [500, 1000, 2000]}, reads={"W": 0},
        reason="with a larger eps features drop out later; at n = 10,000 that is not why they "
        "share directions, since they do so under the sum too (reference/P1_sum).",
        control=True,
    ),
)  # fmt: skip
