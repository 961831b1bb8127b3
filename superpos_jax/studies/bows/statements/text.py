"""B1 to B10: bags of words."""

from __future__ import annotations

from superpos_jax.statements.checks import Statement
from superpos_jax.studies.bows.statements.statistics import (
    above,
    later,
    less,
    mean,
    peak,
    ratio,
    rising,
)

TEXT, STRUCTURE = "bows/text", "bows/structure"
INF = float("inf")


def _at(m: int, wd: float) -> dict[str, float]:
    return {"m": m, "weight_decay": wd}


STATEMENTS: tuple[Statement, ...] = (
    Statement(TEXT, "B1: ring score of months in the data less its level", "a ring", (0, 1),
              less("data_ring_score", "data_ring_level"), _at(120, 4)),
    *(
        Statement(TEXT, f"B1: m = {m}, wd {wd}: share of seeds whose months are a ring", expected,
                  within, above("ring_score", "ring_level"), _at(m, wd))
        for m, wd, expected, within in (
            (60, 4, "a ring", (1, 1)), (120, 4, "a ring", (1, 1)), (250, 4, "a ring", (1, 1)),
            (120, 0, "no ring without decay", (0, 0.5)),
        )
    ),
    Statement(TEXT, "B2: m = 120, wd 4: R^2 of months by a linear decoder over that of the ReLU",
              "about 1 (0.98 alone)", (0.9, INF), ratio("months_linear_r2", "months_r2"),
              _at(120, 4)),
    Statement(TEXT, "B2: m = 120, wd 4: mean cosine of a month with its nearest", "not orthogonal",
              (0.3, 1), mean("months_nearest_cosine"), _at(120, 4)),
    Statement(TEXT, "B3: m = 120, wd 4: share of seasonal words nearer to their months",
              "most of them", (2 / 3, 1), mean("seasonal_share"), _at(120, 4)),
    *(
        Statement(TEXT, f"B4: m = {m}: share of steps in weight decay at which geometry follows"
                  " data more", "1", (1, 1), rising("geometry_follows_data", "weight_decay"),
                  {"m": m})
        for m in (60, 120, 250)
    ),
    Statement(TEXT, "B4: wd 0: share of steps in m at which geometry follows data less", "1",
              (1, 1), rising("geometry_follows_data", "m", -1), {"weight_decay": 0}),
    Statement(STRUCTURE, "B5: wd 1: m at which the overlap of months is largest",
              "a peak, then a fall", (5, 400), peak("months_off_diagonal"), {"weight_decay": 1}),
    Statement(STRUCTURE, "B5: wd 1: the same of number words over that of months",
              "another one", (1.01, INF), later("numbers_off_diagonal", "months_off_diagonal"),
              {"weight_decay": 1}),
    *(
        Statement(TEXT, f"B6: m = {m}, wd 1: share of linear words in the most frequent tenth less"
                  " that in the rarest", "above 0", (1e-3, 1),
                  less("linear_frequent", "linear_rare"), _at(m, 1))
        for m in (120, 250)
    ),
    Statement(TEXT, "B7: m = 120, wd 1: share of active words closer to 1 than alone",
              "0.81 of one word", (0.5, 1), mean("better_in_context"), _at(120, 1)),
    Statement(TEXT, "B8: m = 120, wd 1: share of context-supported words whose towers stand so",
              "three examples", (0.9, 1), mean("blocked"), _at(120, 1)),
    Statement(TEXT, "B9: m = 120, wd 1: sum of what all months add to Christmas, of its parts",
              "they cancel", (0, 0.5), mean("cancelled"), _at(120, 1)),
    Statement(TEXT, "B10: m = 120, wd 1: median of R^2 in context less alone, words with context",
              "above 0", (1e-3, 1), mean("context_gain"), _at(120, 1)),
)  # fmt: skip
