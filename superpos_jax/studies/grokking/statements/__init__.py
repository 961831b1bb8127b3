"""What the paper and a replication of it say, in numbers, and the words around the page."""

from __future__ import annotations

import re

from superpos_jax.statements.pages import Page
from superpos_jax.studies.grokking.statements.claims import STATEMENTS

__all__ = ["PAGE", "STATEMENTS"]


def place(key: str) -> tuple[bool, int, str]:
    """Where a sweep stands on the page: reduced scale first, then in the order of the figures.

    >>> sorted(["grokking/F15", "grokking/F2", "grokking/F1b", "grokking/S2"], key=place)
    ['grokking/S2', 'grokking/F1b', 'grokking/F2', 'grokking/F15']
    """
    stem = key.partition("/")[2]
    return stem[0] != "S", int(re.findall(r"\d+", stem)[0]), stem


PAGE = Page(
    title="Grokking at the edge of numerical stability",
    source="the paper on grokking",
    reference="the paper (one seed), its released code, or a replication",
    folders=("grokking",),
    place=place,
    preface=(
        "First times are exact to the option `look_every`: t_fit, train accuracy of 0.99; t_gen,"
        " test accuracy of 0.95; t_sc, half of the training samples have a softmax sum of 1 at the"
        " bits of their loss. A seed that never comes to one counts as infinite.",
        "The softmax sum of cross-entropy is rounded once to t bits, 11, 24 and 53 as in float16,"
        " float32 and float64; everything else is float32. True float types round after each term,"
        " and collapse at a gap of logits smaller by about 1. *Exact* cross-entropy is not rounded:"
        " it keeps its digits until the gap is 87. StableMax is the exact cross-entropy of"
        " sign(z) log(1 + abs(z)).",
        "C13 (the perpendicular gradient descends) and C14 (StableMax is a softmax) are identities;"
        " the tests check them. C12 (MNIST) is not checked: its settings are not"
        " published.",
    ),
    named=("p",),
    folder="grokking",
)
