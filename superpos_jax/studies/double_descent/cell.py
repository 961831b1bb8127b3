"""What can be swept and what is fixed: the numbers of a cell, the static options of a study."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from superpos_jax.engine.study import HISTORY_POINTS, NotNegative, Positive, Seed, Steps


def _where(condition: Any, one: Any, other: Any) -> Any:
    """One where the condition holds, else the other: of host numbers and of traced ones."""
    return other + condition * (one - other)


@dataclass(frozen=True)
class Cell:
    """One autoencoder: every number that can be swept.

    T: training samples. m: hidden dimension. seed: seeds data and initial weights, unless
    data_seed or init_seed is given. lr: peak learning rate. weight_decay: decoupled, on W and b.
    eps: Adam's. reduction: the loss that is minimised is divided by n^reduction; "sum" is 0,
    "mean" (over features, as a framework's MSE) is 1. S: probability of a zero. steps: updates, of
    which the first, where warm-up begins, has a learning rate of 0.

    repeated, repeats: the first `repeated` of the T samples are there `repeats` times each, at the
    beginning of X, which then has T + repeated (repeats - 1) rows. loss: the power p of
    |x - x'|^p; "absolute" is 1, "squared" 2, "fourth" 4. untied: 1 gives the decoder weights V of
    its own. relu: 1 puts a ReLU between the layers, h = ReLU(W x). online: 1 trains on T new
    samples at every step, the limit of infinite data; the training set is only evaluated. Which
    samples are new depends on the blocks that a platform works in.
    """

    T: Annotated[int, Field(ge=1, le=100_000_000, description="samples to train on")] = 1000
    m: Annotated[int, Field(ge=1, le=4096, description="hidden dimensions")] = 2
    seed: Seed = 0
    data_seed: Seed = -1
    init_seed: Seed = -1
    lr: Positive = 1e-3
    weight_decay: NotNegative = 1e-2
    eps: Positive = 1e-8
    reduction: Annotated[float, Field(ge=0, le=1, description="'sum' is 0, 'mean' is 1")] = 1.0
    S: Annotated[
        float, Field(ge=0, lt=1, description="a probability of zeros; 1 leaves nothing")
    ] = 0.999
    steps: Steps = 50_000
    repeated: Annotated[int, Field(ge=0, le=1_000_000, description="samples to repeat")] = 0
    repeats: Annotated[int, Field(ge=1, le=1_000_000, description="times they are there")] = 1
    loss: Annotated[int, Field(ge=1, le=8, description="the power p of |x - x'|^p")] = 2
    untied: Annotated[int, Field(ge=0, le=1, description="1: a decoder of its own")] = 0
    relu: Annotated[int, Field(ge=0, le=1, description="1: h = ReLU(W x)")] = 0
    online: Annotated[int, Field(ge=0, le=1, description="1: T new samples at every step")] = 0

    @property
    def rows(self) -> Any:
        """Rows of X: T samples, and the repetitions of the first ones."""
        repeated = _where(self.repeated < self.T, self.repeated, self.T)
        return self.T + repeated * (self.repeats - 1)

    @property
    def data_key(self) -> Any:
        """The data seed: `data_seed`, or `seed` where none is given."""
        return _where(self.data_seed < 0, self.seed, self.data_seed)

    @property
    def init_key(self) -> Any:
        """The seed of the initial weights: `init_seed`, or `seed` where none is given."""
        return _where(self.init_seed < 0, self.seed, self.init_seed)


class Options(BaseModel):
    """Static choices: they fix shapes, so they are the same for every cell of a sweep."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    n: Annotated[int, Field(ge=1, le=1_000_000, description="features")] = 10_000
    test_samples: Annotated[int, Field(ge=1, le=1_000_000, description="held-out samples")] = 2_000
    test_draws: Annotated[
        int,
        Field(ge=1, le=1_000, description="draws of held-out samples that measure the final loss"),
    ] = 1
    report_samples: Annotated[
        int, Field(ge=1, description="sample dimensionalities stored per cell: the first ones")
    ] = 1_000
    save_weights: Annotated[bool, Field(description="store the final W and b")] = True
    save_hidden: Annotated[bool, Field(description="store hidden vectors of the first samples")] = (
        False
    )
    history_points: Annotated[
        int, Field(ge=2, le=10_000, description="log-spaced steps at which history is kept")
    ] = HISTORY_POINTS
    trace_dimensions: Annotated[bool, Field(description="keep D_f and D_X along the history")] = (
        False
    )
    trace_weights: Annotated[bool, Field(description="keep W along the history")] = False
