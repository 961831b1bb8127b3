"""A1 to A5: twelve features on a circle, three settings of their numbers."""

from __future__ import annotations

from functools import cache

import xarray as xr

from superpos_jax.statements.checks import SHARE, SIGNED, Statement
from superpos_jax.studies.bows import features, pca, reconstruction
from superpos_jax.studies.bows.cell import Cell
from superpos_jax.studies.bows.statements.statistics import difference, mean, quotient, ratio
from superpos_jax.studies.bows.synthetic import Source

SETS, DECAY, STRUCTURES = "bows/sets", "bows/decay", "bows/structures"
MAIN, PAIRS = "S-fun", {"S-fun": 0.6, "S-sparse": 0.9, "S-cli": 0.6}
"""The main setting, and the least share of features with an antipode that counts as pairs."""
CYCLIC, ANTIPODES, NORM = "cyclic_correlation", "antipodality", "W_norm2"
NO_PAIRS = (
    "half of the features are on at once here (beta = 0), and a ReLU gains little from pairs;"
    " bows/settings has pairs wherever beta is below -1."
)

NOTHING_GAINED = (
    "the error is 4e-5 here, though some overlaps are near -1: of features that are seldom on"
    " together, whose ReLU cuts them at next to no cost."
)


def _at(arm: str, m: int | list[int], wd: float, activation: str) -> dict[str, object]:
    return {"arm": arm, "m": m, "weight_decay": wd, "activation": activation}


def _relative_error(cells: xr.Dataset) -> float:
    """Validation error of ReLU relative to that of linear models."""
    loss = cells["validation_loss"].mean("seed")
    return float(loss.sel(activation="relu") / loss.sel(activation="linear"))


@cache
def second_moment_loss(m: int) -> float:
    """Validation error, in the main setting, of the projector on second moments, the best bias.

    W: the first m eigenvectors of E[f f^T], which is not centred.
    """
    usual = Cell()
    samples = features.synthetic_features(
        Source("circular", usual.s, usual.beta, usual.noise, usual.data_seed, 12)
    )
    mean, covariance = pca.moments(samples.train)
    vectors = pca.components(covariance + mean[:, None] * mean)[1]
    W, b = pca.solution(mean, vectors, m)
    return reconstruction.mse(reconstruction.Autoencoder(W, b, relu=False), samples.validation)


def _over_second_moments(cells: xr.Dataset) -> float:
    """Validation error over that of the projector on second moments, m = 2."""
    return float(cells["validation_loss"].mean()) / second_moment_loss(2)


CENTRED: tuple[Statement, ...] = (
    Statement(SETS, f"Covariance or second moments: {MAIN}, m = 2, wd 0: error of linear models"
              " over that of PCA of the covariance", "1, by our reckoning", (0.98, 1.02),
              ratio("validation_loss", "pca_validation_loss"), _at(MAIN, 2, 0, "linear")),
    Statement(SETS, f"Covariance or second moments: {MAIN}, m = 2, wd 0: the same over that of PCA"
              " of second moments", "below 1, by our reckoning", (0, 0.98), _over_second_moments,
              _at(MAIN, 2, 0, "linear")),
)  # fmt: skip
OF_SETS: tuple[Statement, ...] = tuple(
    statement
    for arm, least in PAIRS.items()
    for statement in (
        Statement(SETS, f"A1: {arm}, m = 2: correlation of ReLU's W^T W with the ring", "the ring",
                  (0.95, 1), mean(CYCLIC), _at(arm, 2, 1, "relu"), limits=SIGNED),
        Statement(SETS, f"A2: {arm}, m = 6, wd 1: share of features with an antipode, ReLU",
                  "pairs", (least, 1), mean(ANTIPODES), _at(arm, 6, 1, "relu"),
                  reason=NO_PAIRS if arm == "S-cli" else "", limits=SHARE),
        Statement(SETS, f"A2: {arm}, m = 6, wd 1: the same of linear models", "no pairs", (0, 0.1),
                  mean(ANTIPODES), _at(arm, 6, 1, "linear")),
        Statement(SETS, f"A2: {arm}, m = 6, wd 1: error of ReLU over that of linear models",
                  "at most a half", (0, 0.5), _relative_error,
                  {"arm": arm, "m": 6, "weight_decay": 1},
                  reason=NO_PAIRS if arm == "S-cli" else ""),
        Statement(SETS, f"A3: {arm}, m = 12, wd 1: largest overlap relative to the squared norms",
                  "the identity", (0, 0.1), mean("identity_gap"), _at(arm, 12, 1, "relu"),
                  reason=NOTHING_GAINED if arm == "S-sparse" else ""),
        *(
            Statement(SETS, f"A4: {arm}, m = {m}, wd 6: correlation of ReLU's W^T W with the ring",
                      "the ring is back", (0.95, 1), mean(CYCLIC), _at(arm, m, 6, "relu"),
                      limits=SIGNED)
            for m in (6, 8, 10)
        ),
        Statement(SETS, f"A4: {arm}, m = 6: error at wd 6 over that at wd 1, ReLU",
                  "not told; ours: 10 or more", (10, 1000), quotient("validation_loss", 6, 1),
                  {"arm": arm, "m": 6, "activation": "relu"},
                  reason=NO_PAIRS if arm == "S-cli" else ""),
        Statement(SETS, f"A5: {arm}, m = 6, wd 1: |W|^2 of ReLU", "about d = 12", (10.8, 13.2),
                  mean(NORM), _at(arm, 6, 1, "relu"),
                  reason=NO_PAIRS if arm == "S-cli" else ""),
        Statement(SETS, f"A5: {arm}, m = 6, wd 1: |W|^2 of linear models", "about m = 6",
                  (5.4, 6.6), mean(NORM), _at(arm, 6, 1, "linear")),
    )
)  # fmt: skip
OF_DECAY: tuple[Statement, ...] = tuple(
    Statement(DECAY, f"Decay or an L2 term: m = 6, {called}: correlation of ReLU's W^T W with the"
              " ring", "the ring is back", (0.95, 1), mean(CYCLIC), {"arm": arm, "m": 6},
              limits=SIGNED, control=True)
    for arm, called in (("decoupled-6", "decay 6"), ("L2-5e-2", "L2 term 0.05"))
)  # fmt: skip
OF_STRUCTURES: tuple[Statement, ...] = tuple(
    Statement(STRUCTURES, f"{structure}, m = 4: correlation of cosines with the data's at wd 6 less"
              " that at wd 0, ReLU", "above 0", (1e-3, 2),
              difference("geometry_follows_data", 6, 0),
              {"structure": structure, "m": 4, "activation": "relu", "weight_decay": [0, 6]},
              limits=(-2, 2))
    for structure in ("circular", "figure8", "sphere")
)  # fmt: skip
STATEMENTS = (*OF_STRUCTURES, *OF_SETS, *CENTRED, *OF_DECAY)
