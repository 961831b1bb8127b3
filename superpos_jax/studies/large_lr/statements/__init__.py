"""What the paper's abstract claims, in numbers of our tasks, and the words around the page."""

from __future__ import annotations

from superpos_jax.statements.pages import Page
from superpos_jax.studies.large_lr.statements.claims import STATEMENTS

__all__ = ["PAGE", "STATEMENTS"]

ORDER = (
    "boolean",
    "grid",
    "protocols",
    "tandem",
    "batch",
    "trends",
    "tasks",
    "colored",
    "double",
    "cues",
)
"""Sweeps as the page has them."""


def place(key: str) -> tuple[int, str]:
    """Where a sweep stands on the page.

    >>> sorted(["large_lr/cues", "large_lr/boolean", "large_lr/tandem"], key=place)
    ['large_lr/boolean', 'large_lr/tandem', 'large_lr/cues']
    """
    stem = key.partition("/")[2]
    return (ORDER.index(stem) if stem in ORDER else len(ORDER)), stem


PAGE = Page(
    title="Large learning rates: robustness and compressibility",
    source="the abstract on large learning rates",
    reference="a direction that the paper's abstract claims; no number of the paper was known",
    folders=("large_lr",),
    place=place,
    folder="large_lr",
    preface=(
        "The paper is Barsbey, Prieto, Zafeiriou and Birdal, ICCV 2025 (arXiv 2507.17748). No code"
        " of it is public, and its body could not be read: what is checked are the claims of its"
        " abstract, in tasks of our own. Where a number is asked for, it is ours.",
        "A sample is aligned where its cue speaks for its label, conflicting where it speaks for"
        " another one; in training the first has probability ρ, in unbiased data the cue says"
        " nothing of the label. φ is the share of the train loss that lies in conflicting samples;"
        " first fitted is the first look, every 10 updates, with a train accuracy of ρ.",
        "Training stops at a train loss below 0.01 with all answers right, or at 3,000 updates; a"
        " look that sees a train loss above 20 log K ends it as diverged. Such cells are in no"
        " number.",
    ),
)
