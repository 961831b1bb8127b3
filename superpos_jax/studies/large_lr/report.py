"""What a result holds of a trained network: all metrics, as labelled variables."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from superpos_jax.engine.study import Variable
from superpos_jax.studies.large_lr import metrics, pruning
from superpos_jax.studies.large_lr.attribution import integrated_gradients, use
from superpos_jax.studies.large_lr.network import Params, layers, outputs
from superpos_jax.studies.large_lr.samples import Batch, aligned, conflicting

ATTRIBUTED = 500
"""Samples of the unbiased test set whose attribution is averaged."""
MAPS = 4
"""Conflicting ones among them of which it is kept."""

Numbered = dict[str, tuple[float, str]]
"""Numbers by name, with what they are in words."""


def measured(
    params: Params,
    classes: int,
    parts: Mapping[str, Batch],
    masks: Mapping[str, np.ndarray],
) -> dict[str, Variable]:
    """All numbers, and the curves of pruned accuracy.

    Args:
        params: numpy, without padding.
        classes: labels.
        parts: the data sets `validation` and `test`.
        masks: inputs of the core and of the cue; empty where they are the same.
    """
    numbers = {
        **_of_predictions(params, classes, parts),
        **_of_activations(params, parts["test"]),
        **_of_weights(params),
    }
    arrays = _pruned(params, parts)
    for part, suffix in (("test", ""), ("validation", "_validation")):
        for kind in ("prunability", "unit_prunability"):
            name = "pruned" if kind == "prunability" else "unit_pruned"
            curve = arrays[f"{name}_{part}_accuracy"].values
            words = "units" if name == "unit_pruned" else "weights"
            numbers[f"{kind}{suffix}"] = (
                pruning.prunability(curve),
                f"share of the {part} accuracy that is kept without small {words}",
            )
    curve = arrays["pruned_test_accuracy"].values
    numbers["free_share"] = pruning.free_share(curve), "weights removed for 5 % of the accuracy"
    attribution = _attribution(params, parts["test"])
    for group, name in (("core", "core_use"), ("cue", "cue_use")):
        value = use(attribution, masks[group]) if masks else np.nan
        numbers[name] = value, f"share of the attribution on the inputs of the {group}"
    scalars = {
        name: Variable((), np.float32(value), {"long_name": words})
        for name, (value, words) in numbers.items()
    }
    return {**scalars, **arrays, "attribution": _maps(attribution, parts["test"])}


def _of_predictions(params: Params, classes: int, parts: Mapping[str, Batch]) -> Numbered:
    x, y, s = parts["test"]
    predicted = outputs(params, x).argmax(axis=1)
    right = predicted == y
    within = parts["validation"]
    right_within = outputs(params, within.x).argmax(axis=1) == within.y
    no_cue = s < 0
    return {
        "unbiased_accuracy": (right.mean(), "accuracy where the cue says nothing of the label"),
        "worst_group_accuracy": (
            metrics.worst_group(right, y, s, classes),
            "least accuracy of a group of label and cue",
        ),
        "aligned_accuracy": (right[aligned(y, s)].mean(), "accuracy where the cue is right"),
        "conflicting_accuracy": (
            right[conflicting(y, s)].mean(),
            "accuracy where the cue is wrong",
        ),
        "no_cue_accuracy": (
            right[no_cue].mean() if no_cue.any() else np.nan,
            "accuracy where there is no cue",
        ),
        "bias_following": (
            metrics.bias_following(predicted, y, s),
            "of conflicting samples that are wrong, the share that follows the cue",
        ),
        "cue_reliance": (
            right_within.mean() - right.mean(),
            "accuracy as in training minus accuracy where the cue says nothing",
        ),
    }


def _of_activations(params: Params, test: Batch) -> Numbered:
    z = layers(params, test.x)[-1]
    return {
        "class_separation": (metrics.separation(z, test.y), "R2(y) of the last hidden layer"),
        "cue_separation": (metrics.separation(z, test.s), "R2(s) of the last hidden layer"),
        "zero_activations": (metrics.zero_activations(z), "share of zeros in the last layer"),
        "dead_units": (metrics.dead_units(z), "share of units of the last layer never active"),
        "pq_index_activations": (
            float(np.nanmean(metrics.pq_index(z[z.any(axis=1)]))),
            "PQ index of the last layer, mean over samples",
        ),
    }


def _of_weights(params: Params) -> Numbered:
    flat = np.concatenate([W.ravel() for W in params.weights])
    return {
        "compressibility": (metrics.compressibility(flat), "Comp(0.1) of all weights"),
        "compressibility_first": (
            metrics.compressibility(params.weights[0]),
            "Comp(0.1) of the first layer",
        ),
        "pq_index": (float(metrics.pq_index(flat)), "PQ index of all weights"),
    }


def _pruned(params: Params, parts: Mapping[str, Batch]) -> dict[str, Variable]:
    """Accuracy on both data sets over the removed share, by weight and by unit."""
    arrays = {}
    for name, remove, what in (
        ("pruned", pruning.without_weights, "weights"),
        ("unit_pruned", pruning.without_units, "units"),
    ):
        networks = [remove(params, share) for share in pruning.SHARES]
        for part, (x, y, _) in parts.items():
            values = pruning.curve(networks, x, y).astype(np.float32)
            words = f"{part} accuracy without the smallest {what}, at shares {pruning.SHARES}"
            arrays[f"{name}_{part}_accuracy"] = Variable(("pruned",), values, {"long_name": words})
    return arrays


def _attribution(params: Params, test: Batch) -> np.ndarray:
    x, y, _ = (array[:ATTRIBUTED] for array in test)
    return integrated_gradients(params, x, y)


def mapped(test: Batch) -> np.ndarray:
    """Numbers of the samples whose attribution is kept: the first conflicting ones."""
    first = Batch(*(array[:ATTRIBUTED] for array in test))
    return np.flatnonzero(conflicting(first.y, first.s))[:MAPS]


def _maps(attribution: np.ndarray, test: Batch) -> Variable:
    words = "integrated gradients of the true label's logit, of the first conflicting test samples"
    values = np.full((MAPS, attribution.shape[1]), np.nan, np.float32)
    chosen = attribution[mapped(test)]
    values[: len(chosen)] = chosen
    return Variable(("sample", "input"), values, {"long_name": words})
