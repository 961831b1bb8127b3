"""What can be swept and what is fixed: the numbers of a cell, the static options of the study."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from superpos_jax.engine.study import NotNegative, Positive, Seed
from superpos_jax.studies.cities.places import FEWEST, Table
from superpos_jax.text import Labels


@dataclass(frozen=True)
class Numbers:
    """One network: every number that can be swept.

    emb_dim: dimensions of a place's vector, at least the two of the plane that is probed. width:
    hidden units. T: training pairs. seed: of the initial weights, the minibatches and the random
    plane; vectors of fewer dimensions start as the first entries of longer ones. data_seed: of the
    training pairs and of which places are held out from the probe; validation pairs are those of
    data_seed + 1. lr: Adam's, constant. weight_decay: decoupled. epochs: passes over all T pairs.
    """

    emb_dim: Annotated[int, Field(ge=2, le=1024, description="dimensions of a vector")] = 50
    seed: Seed = 0
    data_seed: Seed = 42
    T: Annotated[int, Field(ge=1, le=10_000_000, description="training pairs")] = 100_000
    width: Annotated[int, Field(ge=1, le=4096, description="hidden units")] = 128
    lr: Positive = 1e-3
    weight_decay: NotNegative = 0.0
    batch: Annotated[int, Field(ge=1, le=1_000_000, description="pairs of an update")] = 1024
    epochs: Annotated[int, Field(ge=1, le=100_000, description="passes over the pairs")] = 8


class Choices(BaseModel):
    """Static choices: the same for every cell of a sweep."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    places: Annotated[
        Literal["geonames", "cap", "ring"], Field(description="cities, or made places")
    ] = "geonames"
    country: Annotated[str, Field(description="of the cities, by its two letters")] = "US"
    population: Annotated[int, Field(ge=0, description="cities are larger")] = 50_000
    made: Annotated[int, Field(ge=FEWEST, le=10_000, description="made places")] = 200
    validation_pairs: Annotated[int, Field(ge=1, le=10_000_000)] = 25_000

    @property
    def table(self) -> Table:
        """Which places."""
        return Table(self.places, self.country, self.population, self.made)


LABELS = Labels(
    axes={
        "emb_dim": "embedding dimensions",
        "lr": "learning rate",
        "T": "training pairs",
        "width": "hidden units",
        "made": "made places",
    }
)
INTERVENTIONS = {
    "keep": "only the probe's plane kept",
    "remove": "the probe's plane removed",
    "rescale": "the same, at the old norms",
    "keep_random": "only a random plane kept",
    "remove_random": "a random plane removed",
}
"""What is done to the vectors of both places of a pair."""
LONG_NAMES = {
    "probe_r2": "R2 of the probe on held-out places",
    "probe_train_r2": "R2 of the probe on its own places",
    "chance": "share of the most frequent direction",
} | {
    f"{name}_{quantity}": f"validation {quantity}, {words}"
    for name, words in INTERVENTIONS.items()
    for quantity in ("accuracy", "loss")
}
SHOWN = ("probe_r2", "validation_accuracy", "keep_accuracy", "remove_accuracy", "validation_loss")
"""The numbers that figures show first."""
