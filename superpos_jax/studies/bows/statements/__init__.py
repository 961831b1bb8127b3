"""What the paper says, in numbers, and the words around the page."""

from __future__ import annotations

from superpos_jax.statements.pages import Page
from superpos_jax.studies.bows.statements import cities, synthetic, text

STATEMENTS = (*synthetic.STATEMENTS, *text.STATEMENTS, *cities.STATEMENTS)

ORDER = (
    "circular",
    "structures",
    "sets",
    "settings",
    "decay",
    "planted",
    "text",
    "structure",
    "window",
    "cities",
    "cities_epochs",
    "cities_long",
)
"""Of the sweeps on the page: synthetic features first, then words, then cities."""


def place(key: str) -> int:
    """Where a sweep stands on the page.

    >>> sorted(["bows/text", "bows/circular"], key=place)
    ['bows/circular', 'bows/text']
    """
    return ORDER.index(key.partition("/")[2])


PAGE = Page(
    title="From data statistics to feature geometry",
    source="the paper on bags of words",
    reference="the paper's claim, as a number",
    folders=("bows",),
    place=place,
    preface=(
        "Errors are squared errors, mean over samples and features. PCA is the best linear"
        " autoencoder in closed form: W^T W projects on the first m principal components of the"
        " centred data.",
        "Correlation with the ring: of the entries of W^T W off the diagonal with cos(2π(i - j)/d)."
        " An antipode is another feature at a cosine below -0.8; a ring of even size has them too,"
        " so that the two are read together. Geometry follows data: correlation over all pairs of"
        " features of their cosine in W with their correlation in the data.",
        "The ring score of words is |mean exp(i(a - θ))| of the angles a of their unit vectors in"
        " the plane of their first two principal components, in either direction; its level is what"
        " 95 % of random orders stay below.",
        "The paper's scale is 10,000 words and 1.6 million bags of WikiText-103; here it is 1,000"
        " words and 30 thousand bags, so that numbers of words are claims about order and sign.",
    ),
    weights="W",
    folder="bows",
)
