"""B1 to B10: bags of words."""

from __future__ import annotations

import xarray as xr

from superpos_jax.statements.checks import SHARE, SIGNED, Statement
from superpos_jax.studies.bows.measured import RECONSTRUCTED
from superpos_jax.studies.bows.statements.statistics import (
    above,
    later,
    less,
    mean,
    peak,
    ratio,
    rising,
)

TEXT, STRUCTURE, WINDOW = "bows/text", "bows/structure", "bows/window"
PLANTED = "bows/planted"
INF = float("inf")
RARE = (
    "months are rare words here, and at this m a linear decoder reconstructs only the most frequent"
    " ones; the paper's m is 1,000."
)
ALL_ALIKE = (
    "in these texts Christmas is in more bags with nearly every month than by chance: its"
    " correlations with eleven of the twelve are 0 or above, up to 0.11 with December."
)
STRONG = (
    "the data's ring is strong here (0.91), and PCA of this m has it, too (0.90); without decay it"
    " is lost at m = 250, in one of the seeds."
)
SHORT = (
    "a sample of the Brown corpus has about 1,000 content words, so that most give one bag, and the"
    " data have no ring at that length either."
)


def _at(m: int, wd: float) -> dict[str, float]:
    return {"m": m, "weight_decay": wd}


def only_relu(cells: xr.Dataset) -> float:
    """Words that only the ReLU reconstructs, over those that a linear decoder does."""
    linear = cells["linear_r2"] >= RECONSTRUCTED
    others = (cells["r2"] >= RECONSTRUCTED) & ~linear
    return float(others.sum() / linear.sum())


def _lengths(least: int, most: int) -> dict[str, object]:
    windows = [window for window in (50, 200, 500, 1000) if least <= window <= most]
    return {"window": windows, "weight_decay": 4}


STATEMENTS: tuple[Statement, ...] = (
    Statement(PLANTED, "Planted text: m = 12, wd 1: share of seeds whose months are a ring",
              "a ring", (1, 1), above("ring_score", "ring_level"), _at(12, 1), limits=SHARE,
              control=True),
    Statement(TEXT, "B1: ring score of months in the data less its level", "a ring", (0, 1),
              less("data_ring_score", "data_ring_level"), _at(120, 4), limits=SIGNED),
    *(
        Statement(TEXT, f"B1: m = {m}, wd {wd}: share of seeds whose months are a ring", expected,
                  within, above("ring_score", "ring_level"), _at(m, wd),
                  reason="" if wd else STRONG, limits=SHARE)
        for m, wd, expected, within in (
            (60, 4, "a ring", (1, 1)), (120, 4, "a ring", (1, 1)), (250, 4, "a ring", (1, 1)),
            (120, 0, "no ring without decay", (0, 0.5)),
        )
    ),
    Statement(TEXT, "B2: m = 120, wd 4: R^2 of months by a linear decoder over that of the ReLU",
              "about 1 (0.98 alone)", (0.9, INF), ratio("months_linear_r2", "months_r2"),
              _at(120, 4), reason=RARE),
    Statement(TEXT, "B1: m = 120, wd 4: share of seeds whose days are a ring", "a ring", (1, 1),
              above("days_ring_score", "days_ring_level"), _at(120, 4), limits=SHARE),
    Statement(TEXT, "B2: m = 120, wd 4: mean cosine of a month with its nearest", "not orthogonal",
              (0.3, 1), mean("months_nearest_cosine"), _at(120, 4), limits=SIGNED),
    Statement(TEXT, "B3: m = 120, wd 4: share of seasonal words nearer to their months",
              "most of them", (2 / 3, 1), mean("seasonal_share"), _at(120, 4)),
    *(
        Statement(TEXT, f"B4: m = {m}: share of steps in weight decay at which geometry follows"
                  " data more", "1", (1, 1), rising("geometry_follows_data", "weight_decay"),
                  {"m": m}, limits=SHARE)
        for m in (60, 120, 250)
    ),
    Statement(TEXT, "B4: wd 0: share of steps in m at which geometry follows data less", "1",
              (1, 1), rising("geometry_follows_data", "m", -1), {"weight_decay": 0}, limits=SHARE),
    Statement(STRUCTURE, "B5: wd 1: m at which the overlap of months is largest",
              "a peak, then a fall", (5, 400), peak("months_off_diagonal"), {"weight_decay": 1}),
    Statement(STRUCTURE, "B5: wd 1: the same of number words over that of months",
              "another one", (1.01, INF), later("numbers_off_diagonal", "months_off_diagonal"),
              {"weight_decay": 1}),
    *(
        Statement(TEXT, f"B6: m = {m}, wd 1: share of linear words in the most frequent tenth less"
                  " that in the rarest", "above 0", (1e-3, 1),
                  less("linear_frequent", "linear_rare"), _at(m, 1), limits=SIGNED)
        for m in (120, 250)
    ),
    *(
        Statement(TEXT, f"B6: m = {m}, wd 1: words that only the ReLU reconstructs (R^2 of 0.5),"
                  " over linear words", "7.8 (4,073 over 522)", (1, INF), only_relu, _at(m, 1),
                  {"r2": 0, "linear_r2": 0})
        for m in (120, 250)
    ),
    Statement(TEXT, "B7: m = 120, wd 1: share of active words closer to 1 than alone",
              "0.81 of one word", (0.5, 1), mean("better_in_context"), _at(120, 1), limits=SHARE),
    Statement(TEXT, "B8: m = 120, wd 1: share of context-supported words whose towers stand so",
              "three examples", (0.9, 1), mean("blocked"), _at(120, 1), limits=SHARE),
    Statement(TEXT, "B9: m = 120, wd 1: sum of what all months add to Christmas, of its parts",
              "they cancel", (0, 0.5), mean("cancelled"), _at(120, 1), reason=ALL_ALIKE),
    Statement(TEXT, "B10: m = 120, wd 1: median of R^2 in context less alone, words with context",
              "above 0", (1e-3, 1), mean("context_gain"), _at(120, 1), limits=SIGNED),
    Statement(WINDOW, "Window: 50 to 500 words: share of steps at which the data's months are more"
              " of a ring", "more with length", (1, 1), rising("data_ring_score", "window"),
              _lengths(50, 500), limits=SHARE),
    *(
        Statement(WINDOW, f"Window: {words:,} words, wd 4: share of seeds whose months are a ring",
                  "a ring", (1, 1), above("ring_score", "ring_level"), _lengths(words, words),
                  reason=SHORT if words == 1000 else "", limits=SHARE)
        for words in (50, 200, 500, 1000)
    ),
)  # fmt: skip
