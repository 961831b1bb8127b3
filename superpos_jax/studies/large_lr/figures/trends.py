"""Panels of lines over the learning rate: the bundle, groups, representations, stop rules, cues."""

from __future__ import annotations

import pandas as pd

from superpos_jax.studies.large_lr.figures.panels import Panels
from superpos_jax.text import NBSP, written

STATISTICS = ("mean", "median", "min", "q25", "q75", "max")
NEGLIGIBLE = 0.02
"""A smaller range of a share is not stretched: two standard errors of one of 2,000 test samples."""


def normalized(table: pd.DataFrame) -> pd.DataFrame:
    """Each number between its least and its largest median over the learning rates, by panel.

    A number whose range is below 0.02 is nearly flat in the middle: that range is not stretched.
    Rates at which most seeds do not reach the stop level are scaled too, and do not set the scale:
    networks that have collapsed there are compressible and nothing else. The columns `raw_median`,
    `low` and `high` keep what it was, and the range.
    """
    by = table.attrs["by"]
    parts = []
    for _, rows in table.groupby(["quantity", *([by] if by else [])], sort=False):
        reached = rows["runs"] - rows["died"] - rows["unconverged"]
        fitted = rows["median"].where(2 * reached > rows["runs"])
        setting = fitted if fitted.nunique() > 1 else rows["median"]
        low, high = setting.min(), setting.max()
        middle, span = (low + high) / 2, max(high - low, NEGLIGIBLE)
        scaled = rows[list(STATISTICS)].sub(middle) / span + 0.5
        parts.append(
            rows.assign(**{name: scaled[name] for name in STATISTICS}).assign(
                raw_median=rows["median"], low=low, high=high
            )
        )
    changed = pd.concat(parts).sort_index()
    changed.attrs = table.attrs
    return changed


def peaks(table: pd.DataFrame) -> list[str]:
    """The unbiased accuracy at the lowest rate, and where it is largest, by panel."""
    by = table.attrs["by"]
    rows = table[(table["quantity"] == "unbiased_accuracy") & table["median"].notna()]
    words = []
    groups = rows.groupby(by, sort=False) if by else [("", rows)]
    texts = table.attrs.get("texts", [""])
    for (_, own), text in zip(groups, texts, strict=False):
        first = own.sort_values("lr").iloc[0]
        top = own.loc[own["median"].idxmax()]
        words.append(
            f"{text}{': ' if text else ''}{written(first['median'], '.3f')},"
            f" {written(top['median'], '.3f')} at {written(top['lr'])}"
        )
    if not words:
        return []
    told = f"Unbiased accuracy at the lowest rate, and its best: {'; '.join(words)}."
    return [told.replace(" = ", f"{NBSP}={NBSP}")]


BUNDLE = Panels(
    "bundle",
    "What the learning rate does, each number scaled to its own range",
    "robustness, compressibility, core use and class separation over the learning rate",
    {
        "unbiased_accuracy": "unbiased accuracy",
        "compressibility": "compressibility Comp(0.1)",
        "core_use": "use of the core (share of\nintegrated gradients)",
        "class_separation": "class separation R²(y)",
        "zero_activations": "zero activations",
    },
    ("arm", "task", "rho"),
    ylabel="share of its range",
    limits=(-0.25, 1.25),
    says=lambda table: [
        "Below each panel: the range of each number, of medians at rates at which most seeds reach"
        f" the stop level. A range below {NEGLIGIBLE:g} is not stretched.",
    ],
    change=normalized,
)
GROUPS = Panels(
    "groups",
    "Accuracy where the cue is right, wrong, and says nothing",
    "unbiased, worst-group, aligned and conflicting accuracy over the learning rate",
    {
        "unbiased_accuracy": "unbiased",
        "worst_group_accuracy": "worst group",
        "aligned_accuracy": "aligned",
        "conflicting_accuracy": "conflicting",
    },
    ("rho", "arm", "task"),
    says=peaks,
)
REPRESENTATION = Panels(
    "representation",
    "The last hidden layer and the weights against the learning rate",
    "zero activations, dead units, class and cue separation, PQ index over the learning rate",
    {
        "zero_activations": "zero activations",
        "dead_units": "dead units",
        "class_separation": "class separation R²(y)",
        "cue_separation": "cue separation R²(s)",
        "pq_index": "PQ index of weights",
    },
    ("depth", "rho", "arm"),
    panel_of=False,
    says=lambda table: ["Units that are never active count among the zeros."],
)
PROTOCOLS = Panels(
    "protocols",
    "Stopped at equal fit, or after equal updates",
    "unbiased accuracy over the learning rate, by stop rule",
    {
        "unbiased_accuracy": "unbiased accuracy",
        "compressibility": "compressibility",
        "core_use": "use of the core",
    },
    ("arm", "protocol", "stop_loss"),
    panel_of=False,
    needs_split=True,
    says=peaks,
)
RARE_CUES = Panels(
    "rare_cues",
    "Rare cues: accuracy on samples with none, a right one, a wrong one",
    "accuracy by rare cue over the learning rate, by share of samples that have one",
    {
        "no_cue_accuracy": "no cue",
        "aligned_accuracy": "right cue",
        "conflicting_accuracy": "wrong cue",
    },
    ("cue_share",),
    needs_split=True,
)


def against_limit(table: pd.DataFrame) -> pd.DataFrame:
    """The table with `lr` in units of the largest stable rate of its line, the column `stable`.

    `own_lr` is the rate itself.
    """
    changed = table.assign(
        own_lr=table["lr"], lr=table["lr"] / table["limit"], stable=table["limit"]
    )
    changed = changed[changed["limit"].notna() & (changed["lr"] <= 1.0 + 1e-9)]
    changed = changed.assign(limit=1.0)
    changed.attrs = table.attrs
    return changed


def stable_rates(table: pd.DataFrame) -> list[str]:
    """The unit of the learning rate of every line."""
    rates = table.groupby(table.attrs["by"], sort=False)["stable"].first()
    told = zip(table.attrs["texts"], rates.tolist(), strict=True)
    return [f"Largest stable rate: {'; '.join(f'{text}: {rate:.2g}' for text, rate in told)}."]


TRENDS = Panels(
    "trends",
    "The trend by width, depth and optimizer, up to the largest stable learning rate",
    "unbiased accuracy and compressibility over lr / lr_max, by width, depth, optimizer",
    {
        "unbiased_accuracy": "unbiased accuracy",
        "compressibility": "compressibility",
        "core_use": "use of the core",
    },
    ("arm", "width", "depth", "optimizer"),
    panel_of=False,
    needs_split=True,
    xlabel="learning rate / largest stable one",
    says=stable_rates,
    change=against_limit,
)
