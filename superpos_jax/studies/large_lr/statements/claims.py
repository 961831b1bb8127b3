"""The claims C1 to C9 of the abstract, each as numbers of our own tasks.

The directions are the paper's, the sizes that count as such are ours.
"""

from __future__ import annotations

from typing import Any

from superpos_jax.statements.checks import SHARE, SIGNED, Statement
from superpos_jax.studies.large_lr.statements.statistics import (
    across,
    below_best,
    gain,
    joint_share,
    more_gain,
    rank_of,
    ratio,
    trend,
)

BOOLEAN, COLORED, CUES = "large_lr/boolean", "large_lr/colored", "large_lr/cues"
PROTOCOLS, TANDEM = "large_lr/protocols", "large_lr/tandem"
TRENDS, TASKS, BATCH = "large_lr/trends", "large_lr/tasks", "large_lr/batch"
INF = float("inf")
STABLE = [0.03, 0.1, 0.3, 1, 2]
"""Up to the peak of the boolean task."""
MAIN: dict[str, Any] = {"rho": 0.95}
WHY_PEAK = (
    "robustness peaks before training diverges, while compressibility and sparsity still rise: a"
    " monotone claim holds up to that peak."
)
WHY_UNITS = (
    "pruning is counted relative to the unpruned accuracy. At low rates this is low, since small"
    " units hold what was memorized, and pruning raises it."
)
WHY_KNOB = (
    "penalties on the weights solve the boolean task outright where they are strong enough, L1 even"
    " with a cue that is right in 98 % of the samples: the core is two of 19 inputs."
)

ROBUST: tuple[Statement, ...] = (
    Statement(BOOLEAN, "C1: rank correlation of unbiased accuracy and learning rate, up to 2, per"
              " seed", "positive", (0.5, 1), trend("unbiased_accuracy"), {**MAIN, "lr": STABLE},
              limits=SIGNED),
    Statement(BOOLEAN, "C1: unbiased accuracy at 2 less that at 0.1", "higher", (0.1, 1),
              gain("unbiased_accuracy", 2, 0.1), MAIN, limits=SIGNED),
    Statement(BOOLEAN, "C1: worst-group accuracy at 2 less that at 0.1", "higher", (0.1, 1),
              gain("worst_group_accuracy", 2, 0.1), MAIN, limits=SIGNED),
    Statement(BOOLEAN, "C1: unbiased accuracy at 4, where seeds begin to diverge, less that at the"
              " best rate", "0, if larger were always better", (-0.02, 0),
              below_best("unbiased_accuracy", 4), MAIN, reason=WHY_PEAK, limits=SIGNED),
    Statement(COLORED, "C1: colored digits: unbiased accuracy at 0.5 less that at 0.03", "higher",
              (0.0, 1), gain("unbiased_accuracy", 0.5, 0.03), MAIN, limits=SIGNED),
    Statement(PROTOCOLS, "C1: stopped at a train loss of 0.1: unbiased accuracy at 2 less that at"
              " 0.1", "higher", (0.1, 1), gain("unbiased_accuracy", 2, 0.1),
              {"arm": "stop_at_0.1"}, limits=SIGNED),
    Statement(PROTOCOLS, "C1: after 3,000 updates: unbiased accuracy at 2 less that at 0.1",
              "higher", (0.05, 1), gain("unbiased_accuracy", 2, 0.1), {"arm": "equal_updates"},
              limits=SIGNED),
)  # fmt: skip

COMPRESSIBLE: tuple[Statement, ...] = (
    Statement(BOOLEAN, "C2: rank correlation of Comp(0.1) and learning rate, up to 2, per seed",
              "positive", (0.5, 1), trend("compressibility"), {**MAIN, "lr": STABLE},
              limits=SIGNED),
    Statement(BOOLEAN, "C2: Comp(0.1) at 2 less that at 0.1", "higher", (0.05, 1),
              gain("compressibility", 2, 0.1), MAIN, limits=SIGNED),
    Statement(BOOLEAN, "C2: accuracy kept without weak units at 2 less that at 0.1", "higher",
              (0.0, 1), gain("unit_prunability", 2, 0.1), MAIN, reason=WHY_UNITS, limits=SIGNED),
    Statement(BOOLEAN, "C2: without a spurious cue: Comp(0.1) at 2 less that at 0.1",
              "higher (it does not need the cue)", (0.05, 1), gain("compressibility", 2, 0.1),
              {"rho": 0.5}, limits=SIGNED),
    Statement(BOOLEAN, "C3: share of the rates from 0.3 to 3 with unbiased accuracy and Comp(0.1)"
              " both 0.05 above those at 0.03", "most", (0.5, 1),
              joint_share(("unbiased_accuracy", "compressibility"), 0.03),
              {**MAIN, "lr": [0.03, 0.3, 1, 2, 3]},
              reason="the gain begins near 1, so half of the top decade of rates has it.",
              limits=SHARE),
)  # fmt: skip

REPRESENTATION: tuple[Statement, ...] = (
    Statement(BOOLEAN, "C4: use of the core at 2 less that at 0.1", "higher", (0.05, 1),
              gain("core_use", 2, 0.1), MAIN, limits=SIGNED),
    Statement(BOOLEAN, "C4: use of the cue at 2 less that at 0.1", "lower", (-1, -0.02),
              gain("cue_use", 2, 0.1), MAIN, limits=SIGNED),
    Statement(BOOLEAN, "C5: class separation R²(y) at 2 less that at 0.1", "higher", (0.02, 1),
              gain("class_separation", 2, 0.1), MAIN, limits=SIGNED),
    Statement(BOOLEAN, "C5: cue separation R²(s) at 2 less that at 0.1", "not higher", (-1, 0.01),
              gain("cue_separation", 2, 0.1), MAIN, limits=SIGNED),
    Statement(BOOLEAN, "C5: zero activations at 2 less those at 0.1", "more", (0.05, 1),
              gain("zero_activations", 2, 0.1), MAIN, limits=SIGNED),
    Statement(COLORED, "C5: colored digits: R²(y) at 0.5 less that at 0.03", "higher", (0.0, 1),
              gain("class_separation", 0.5, 0.03), MAIN, limits=SIGNED),
    Statement(COLORED, "C5: colored digits: R²(s) at 0.5 less that at 0.03", "not higher",
              (-1, 0), gain("cue_separation", 0.5, 0.03), MAIN, limits=SIGNED),
    Statement(COLORED, "C5: colored digits: zero activations at 0.5 less those at 0.03", "more",
              (0.05, 1), gain("zero_activations", 0.5, 0.03), MAIN, limits=SIGNED),
)  # fmt: skip

TOGETHER: tuple[Statement, ...] = (
    *(
        Statement(TANDEM, f"C6: mean rank of the learning rate among five knobs, values chosen by"
                  f" {words}", "the best", (1, 1.5), rank_of("lr", chosen_by), reason=WHY_KNOB)
        for words, chosen_by in (
            ("unbiased accuracy", "unbiased_accuracy"),
            ("validation accuracy", "validation_accuracy"),
        )
    ),
    *(
        Statement(TRENDS, f"C7: {arm.replace('_', ' ')}: rank correlation of unbiased accuracy and"
                  " learning rate, per seed", "positive", (0.3, 1), trend("unbiased_accuracy"),
                  {"arm": arm}, limits=SIGNED)
        for arm in ("width_16", "width_64", "width_256", "2_layers", "3_layers", "momentum_0.9",
                    "adamw")
    ),
    *(
        Statement(TASKS, f"C7: {arm.replace('_', ' ')}: unbiased accuracy at {high:g} less that at"
                  " 0.03", "higher", (0.0, 1), gain("unbiased_accuracy", high, 0.03), {"arm": arm},
                  limits=SIGNED)
        for arm, high in (("moons", 1), ("double_digits", 0.3))
    ),
    *(
        Statement(BATCH, f"C7: batches of {batch}: unbiased accuracy at 1 less that at 0.1",
                  "higher", (0.02, 1), gain("unbiased_accuracy", 1, 0.1), {"batch": batch},
                  reason="large rates act through the noise of small batches, in part.",
                  limits=SIGNED)
        for batch in (8, 32, 128)
    ),
    *(
        Statement(CUES, f"C8: rare cues in {share:.0%} of the samples: gain from 0.1 to 1 where the"
                  f" cue is {wrong} less the gain where it is right", "positive", (0.005, 1),
                  more_gain(name, "aligned_accuracy", 1, 0.1), {"cue_share": share}, limits=SIGNED)
        for share in (0.1, 0.3)
        for wrong, name in (("wrong", "conflicting_accuracy"), ("absent", "no_cue_accuracy"))
    ),
    Statement(BOOLEAN, "C9: confidence on misled conflicting samples when first fitted, at 2 less"
              " that at 0.1", "higher", (0.05, 1), gain("confidence_conflicting", 2, 0.1), MAIN,
              limits=SIGNED),
    Statement(BOOLEAN, "C9: φ when first fitted, at 2 over that at 0.1", "higher", (1.2, INF),
              ratio("phi", 2, 0.1), MAIN),
    Statement(BOOLEAN, "C9: rank correlation over all cells of φ when first fitted and the unbiased"
              " accuracy in the end", "positive", (0.3, 1), across("phi", "unbiased_accuracy"),
              {**MAIN, "lr": STABLE}, limits=SIGNED),
)  # fmt: skip

STATEMENTS = (*ROBUST, *COMPRESSIBLE, *REPRESENTATION, *TOGETHER)
