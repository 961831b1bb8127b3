"""What is reported of a trained model of words, beside its geometry."""

from __future__ import annotations

import warnings

import numpy as np

from superpos_jax.engine.study import Variable
from superpos_jax.studies.bows import reconstruction
from superpos_jax.studies.bows.features import Features
from superpos_jax.studies.bows.geometry import (
    off_diagonal,
    plane_points,
    ring_level,
    ring_score,
    unit_columns,
)
from superpos_jax.studies.bows.reconstruction import Autoencoder

LINEAR = 0.5
"""A word is reconstructed from an R^2 of that on."""


def of_words(model: Autoencoder, features: Features) -> dict[str, Variable]:
    """Per word, (feature,): R^2 in context, alone and by a linear decoder, on held-out samples."""
    test = features.validation
    values = {
        "r2": (reconstruction.r2(model, test), "R^2 in context"),
        "one_hot_r2": (reconstruction.one_hot_r2(model), "R^2 of the word alone"),
        "linear_r2": (
            reconstruction.linear_decoder_r2(model.W, features.train, test),
            "R^2 of a linear decoder",
        ),
        "frequency": (features.train.mean(axis=0, dtype=float), "share of bags with the word"),
    }
    return {
        name: Variable(("feature",), value.astype(np.float32), {"long_name": text})
        for name, (value, text) in values.items()
    }


def of_model(model: Autoencoder, features: Features) -> dict[str, float]:
    """Scalars: mean R^2, the share of active words better than alone, norms of word groups.

    `months_off_diagonal` is the Frobenius norm of the off-diagonal of the group's W^T W,
    `months_relative` the same relative to the diagonal's, `days_ring_score` of a second ring.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # no word that varies
        mean_r2 = float(np.nanmean(reconstruction.r2(model, features.validation)))
    scalars = {
        "mean_r2": mean_r2,
        "better_in_context": reconstruction.share_better(model, features.validation),
    }
    for group, members in features.groups.items():
        own = model.W[:, list(members)]
        raw, relative = off_diagonal(own)
        scalars |= {f"{group}_off_diagonal": raw, f"{group}_relative": relative}
        if group == "days":
            points = plane_points(unit_columns(own))
            scalars |= {
                "days_ring_score": ring_score(points),
                "days_ring_level": ring_level(points),
            }
    return scalars
