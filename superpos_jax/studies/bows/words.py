"""Words: what a content word is, and groups of words that belong together."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

GROUPS: dict[str, tuple[str, ...]] = {
    "months": (
        "January", "February", "March", "April", "May", "June", "July", "August", "September",
        "October", "November", "December",
    ),
    "days": (
        "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday",
    ),
    "numbers": ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
}  # fmt: skip
"""Groups in their order; that of months and that of days is a ring."""
SEASONAL: dict[str, tuple[int, ...]] = {
    "Christmas": (11, 0), "snow": (11, 0, 1), "winter": (11, 0, 1), "Easter": (2, 3),
    "spring": (2, 3, 4), "summer": (5, 6, 7), "autumn": (8, 9, 10), "fall": (8, 9, 10),
}  # fmt: skip
"""Words of a season, and their months, counted from January as 0."""
_LITTLE = """
a about above after again against all also am an and any are aren as at be because been before
being below between both but by can could couldn d did didn do does doesn doing don down during
each etc even ever every few for from further get had hadn has hasn have haven having he her
here hers herself him himself his how however i if in into is isn it its itself just ll m ma
many may me might mightn more most much must mustn my myself needn no nor not now o of off on
once only or other our ours ourselves out over own per re s said same shall shan she should
shouldn so some such t than that the their theirs them themselves then there therefore these
they this those through thus to too under until up upon us ve very via was wasn we were weren
what when where which while who whom why will with within without won would wouldn y yet you
your yours yourself yourselves
"""
STOP = frozenset(_LITTLE.split())
"""Words that carry little content, lower case."""
WORD = re.compile(r"[^\W\d_]+")


def expand(forced: Iterable[str]) -> tuple[str, ...]:
    """Words and names of groups as words, sorted.

    >>> expand(["days", "snow"])[:3]
    ('Friday', 'Monday', 'Saturday')
    """
    return tuple(sorted({word for name in forced for word in GROUPS.get(name, (name,))}))


def content(text: str, kept: frozenset[str]) -> Iterator[str]:
    """The content words of a text: runs of letters, case kept, stop words of any case left out.

    Args:
        text: any.
        kept: words that stay even where their lower case is a stop word: the month "May".

    >>> list(content("The snow in May 1961 may melt.", frozenset({"May"})))
    ['snow', 'May', 'melt']
    """
    for word in WORD.findall(text):
        if word in kept or word.lower() not in STOP:
            yield word
