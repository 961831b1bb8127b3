"""The statements of the paper and of the comments printed beneath it, each as a number.

Sources: Henighan et al., "Superposition, Memorization, and Double Descent" (2023), whose test
losses are read off its plot to 0.0005; the comments printed beneath it: two by Adam Jermyn (a
replication; extensions) and one by Marius Hobbhahn; the code and plots of a public replication,
https://github.com/slavachalnev/double-descent, which minimises the sum over features; public
checkpoints that minimised the mean; and the note on the intermediate regime in "Circuits Updates,
July 2023".
"""

from __future__ import annotations

import re

from superpos_jax.statements.checks import Statement
from superpos_jax.statements.pages import Page
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

LETTERS = "PJHCA"
"""Of the figures: the paper's, those of comments by Jermyn, Hobbhahn and Olah, and one of ours."""


def place(key: str) -> tuple[int, int, str]:
    """Where a sweep stands on the page: in the order of the figures, reduced scale first.

    >>> sorted(["reference/P1", "paper/J1", "paper/P10", "paper/P1", "paper/P2"], key=place)
    ['paper/P1', 'reference/P1', 'paper/P2', 'paper/P10', 'paper/J1']
    """
    stem = key.partition("/")[2]
    return LETTERS.index(stem[0]), int(re.findall(r"\d+", stem)[0]), key


PAGE = Page(
    title="The paper's figures",
    source="the paper",
    reference="the paper, a comment beneath it, a public replication or checkpoint, or a sentence"
    " put as a number",
    folders=("paper", "reference"),
    place=place,
    preface=(
        "The dimensionality D of a vector v is |v|⁴ / Σ_j (v · v_j)², over all vectors of its kind:"
        " 1 with a dimension to itself, 1/k where k share one. D_f is that of a feature, a column"
        " of W; D_X that of a training sample, by its hidden vector h = W x; D*_X, of a sample, the"
        " largest share (v · h)² / Σ_j (v · h_j)² that any direction v gives it.",
        "Losses are in units of what predicting zero scores, 1. Their axes and colours are linear"
        " within 1 % of 1 and logarithmic beyond.",
        "A ridge is the largest mean test loss of a row from T = n/10 on, if it is not at an end;"
        " an inner maximum, one of a line. Where the train loss is near 0 every sample is stored."
        " Of many vectors or points the largest are drawn, and others at evenly spaced ranks; the"
        " spread of points sideways has no meaning. Up to 40 vectors are drawn as rays, if they are"
        " longer than half of the longest. Of sample dimensionalities the first 1,000 of a training"
        " set are stored, unless the sweep says otherwise.",
        "Memorizing: samples within a factor of 2 of m/T, an even share, hold half of the hidden"
        " space or more; hidden vectors lie around a circle, and feature vectors lie along them"
        " while they are few. Middle: neither memorizing nor generalizing.",
        "Generalizing has two measures. Test loss: below 1, the score of predicting zero. Regime,"
        " in tints and words above panels: features with D above 0.1 hold at least a quarter of the"
        " hidden space. The second comes later: at n = 10,000 the mean has the first at T = 5,000,"
        " the second at 7,000.",
    ),
    weights="W",
    named=("n",),
)
