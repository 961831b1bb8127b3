"""What one network is: the numbers that can be swept, the static choices, the names of both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from superpos_jax.engine import study
from superpos_jax.studies.grokking.data import OPERATIONS
from superpos_jax.studies.grokking.losses import LOSSES
from superpos_jax.studies.grokking.optimizer import OPTIMIZERS, PERPS
from superpos_jax.text import Labels


@dataclass(frozen=True)
class Cell:
    """One network and its training: every number that can be swept.

    fraction: share of all samples that is trained on. width: hidden units, of the transformer those
    of its feed-forward layer. depth: hidden layers, 1 to 3; the transformer has one block. dropout:
    share of the transformer's activations that an update sets to 0. alpha:
    logits are multiplied by it in training, and lr divided by its square. t: bits of the softmax
    sum of the loss "ce"; 11, 24 and 53 stand for float16, float32 and float64. loss, perp,
    operation, optimizer: by name. beta2, eps: of AdamW; momentum: of SGD. weight_decay: decoupled.
    steps: updates on all training samples. seed: of the split, the codes and the initial weights.
    """

    fraction: Annotated[float, Field(gt=0, lt=1, description="share of all samples")] = 0.5
    width: Annotated[int, Field(ge=1, le=8192, description="hidden units")] = 100
    depth: Annotated[int, Field(ge=1, le=3, description="hidden layers")] = 2
    dropout: Annotated[float, Field(ge=0, lt=1, description="of a transformer")] = 0.0
    lr: study.Positive = 0.01
    weight_decay: study.NotNegative = 0.0
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.99
    eps: study.Positive = 1e-25
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.8
    alpha: study.Positive = 1.0
    t: Annotated[float, Field(ge=2, le=120, description="bits of the softmax sum")] = 24.0
    loss: int = LOSSES.index("ce")
    perp: int = PERPS.index("none")
    operation: int = OPERATIONS.index("add")
    optimizer: int = OPTIMIZERS.index("adamw")
    steps: study.Steps = 1000
    seed: study.Seed = 0


class Options(study.Options):
    """Static choices.

    p: the modulus. task: "modular", pairs of numbers; "binary", the same pairs, each number in a
    random code of `code_bits`; "parity", the sum of the first `parity_bits` of random bits, among
    `noise_bits` others. samples: of "parity", training and test. architecture: "transformer" for
    "modular" only. embedding: numbers of a token in it. biases: of the MLP. look_every: updates
    between two looks, to which first times are exact. points: of a history, log-spaced.
    """

    p: Annotated[int, Field(ge=3, le=1000)] = 47
    task: Literal["modular", "binary", "parity"] = "modular"
    code_bits: Annotated[int, Field(ge=1, le=24)] = 14
    parity_bits: Annotated[int, Field(ge=1, le=100)] = 3
    noise_bits: Annotated[int, Field(ge=0, le=1000)] = 40
    samples: Annotated[int, Field(ge=2, le=1_000_000)] = 2000
    architecture: Literal["mlp", "transformer"] = "mlp"
    embedding: Annotated[int, Field(ge=4, le=4096, multiple_of=4, description="4 heads")] = 128
    biases: bool = False
    look_every: Annotated[int, Field(ge=1)] = 10
    points: Annotated[int, Field(ge=2, le=10_000)] = 40


LABELS = Labels(
    axes={
        "t": "bits t",
        "lr": "learning rate",
        "beta2": "β₂",
        "eps": "ε",
        "alpha": "α",
        "t_fit": "step of train accuracy ≥ 0.99",
        "t_gen": "step of test accuracy ≥ 0.95",
        "t_sc": "step of half collapsed",
        "delay": "t_gen / t_fit",
        "norm": "weight norm",
    },
    values={"loss": LOSSES, "perp": PERPS, "operation": OPERATIONS, "optimizer": OPTIMIZERS},
)
