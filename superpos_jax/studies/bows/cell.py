"""What can be swept and what is fixed: the numbers of a cell, the static options of the study."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from superpos_jax.engine.study import NotNegative, Positive, Seed, Steps
from superpos_jax.results.ranges import listed
from superpos_jax.studies.bows.synthetic import STRUCTURES

TEXT = "text"
DATA = (*STRUCTURES, TEXT)
"""The values of `structure`."""
ACTIVATIONS = ("linear", "relu")
Words = Annotated[tuple[str, ...], BeforeValidator(listed)]


@dataclass(frozen=True)
class Cell:
    """One autoencoder: every number that can be swept.

    structure: "circular", "figure8", "sphere" and "iid" are synthetic features, "text" is bags of
    words. s, beta, noise: of synthetic features, p = sigmoid(s <u, z> + beta), and the jitter of z.
    window: content words of a bag. data_seed: makes synthetic samples, and splits documents.

    m: hidden dimensions. activation: "relu" rectifies the output, "linear" does not. seed: of the
    initial weights and the minibatches; W for m is the first rows of W for a larger m. lr: peak
    learning rate, cosine to 0. weight_decay: AdamW's, decoupled, on W and b. l2: adds
    l2 |theta|^2 / 2 to the loss instead. clip: largest norm of a gradient, 0 for no limit.
    reduction: the error that is minimised is divided by d^reduction, "mean" (1) over features or
    "sum" (0). The defaults are the main setting of the synthetic figures.
    """

    structure: Annotated[int, Field(ge=0, lt=len(DATA), description="by name")] = 0
    s: Annotated[float, Field(ge=-1e3, le=1e3, description="strength of correlation")] = 5.0
    beta: Annotated[float, Field(ge=-1e3, le=1e3, description="bias of all features")] = -2.0
    noise: Annotated[float, Field(ge=0, le=1e3, description="jitter of the latent point")] = 0.1
    window: Annotated[int, Field(ge=1, le=1_000_000, description="content words of a bag")] = 200
    data_seed: Seed = 42
    m: Annotated[int, Field(ge=1, le=4096, description="hidden dimensions")] = 6
    activation: Annotated[int, Field(ge=0, lt=2, description="by name")] = 1
    seed: Seed = 0
    lr: Positive = 1e-2
    weight_decay: NotNegative = 1.0
    l2: NotNegative = 0.0
    batch: Annotated[int, Field(ge=1, le=1_000_000, description="samples of an update")] = 256
    steps: Steps = 3200
    clip: NotNegative = 1.0
    reduction: Annotated[float, Field(ge=0, le=1, description="'sum' is 0, 'mean' is 1")] = 1.0


class Options(BaseModel):
    """Static choices: the same for every cell of a sweep."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    features: Annotated[int, Field(ge=2, le=1024, description="synthetic features")] = 12
    corpus: Annotated[
        Words, Field(description="texts to read, in order: folders, files, or names of corpora")
    ] = ()
    vocabulary: Annotated[int, Field(ge=2, le=100_000, description="words")] = 1000
    stride: Annotated[
        int, Field(ge=0, description="content words between two bags; 0: a tenth of the window")
    ] = 0
    forced: Annotated[
        Words, Field(description="words of the vocabulary beside the most frequent, or names of"
                     " groups: months, days, numbers")
    ] = ("months", "days", "numbers")  # fmt: skip
    save_weights: Annotated[bool, Field(description="store the final W and b")] = True
