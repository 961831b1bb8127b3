"""One cell of the study: a network, its training, and the task that it is trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from superpos_jax.engine import study
from superpos_jax.text import Labels

TASKS = ("boolean", "moons", "cues", "colored_digits", "double_digits")
OPTIMIZERS = ("sgd", "adamw")
PROTOCOLS = ("match", "fixed")
BIASES = ("none", "hidden")

Share = Annotated[float, Field(ge=0, le=1, description="a share, 0 to 1")]


@dataclass(frozen=True)
class Numbers:
    """One network and its task: every number that can be swept.

    task: what is learned, see `tasks.py`. rho: how often the cue speaks for the label in training.
    noise: share of training labels that are flipped. amp, core_amp: what the inputs of the cue and
    of the core are multiplied by. k_c, k_s: bits whose product is the label, and the value of the
    cue (boolean, cues). n_n: inputs that mean nothing. cue_share: share of training samples that
    have one of the rare cues (cues). N: training samples.

    protocol: "match" stops at a train loss below `stop_loss` with all answers right, looked at
    every 10 updates; "fixed" trains for all `steps`.
    """

    lr: study.Positive = 0.1
    rho: Share = 0.95
    seed: study.Seed = 0
    task: Annotated[int, Field(ge=0, lt=len(TASKS))] = 0
    noise: Share = 0.0
    amp: study.NotNegative = 1.0
    core_amp: study.NotNegative = 1.0
    k_c: Annotated[int, Field(ge=1, le=64, description="core bits")] = 2
    k_s: Annotated[int, Field(ge=1, le=64, description="bits of the cue")] = 1
    n_n: Annotated[int, Field(ge=0, le=4096, description="inputs that mean nothing")] = 16
    cue_share: Share = 0.2
    N: Annotated[int, Field(ge=1, le=1_000_000, description="training samples")] = 500
    width: Annotated[int, Field(ge=1, le=8192, description="hidden units of a layer")] = 64
    depth: Annotated[int, Field(ge=1, le=3, description="hidden layers")] = 1
    bias: Annotated[int, Field(ge=0, lt=len(BIASES), description="which layers have one")] = 1
    optimizer: Annotated[int, Field(ge=0, lt=len(OPTIMIZERS))] = 0
    momentum: Annotated[float, Field(ge=0, lt=1, description="of sgd, 0 to below 1")] = 0.0
    batch: Annotated[int, Field(ge=1, le=65_536, description="samples of an update")] = 32
    weight_decay: study.NotNegative = 0.0
    l1: study.NotNegative = 0.0
    protocol: Annotated[int, Field(ge=0, lt=len(PROTOCOLS))] = 0
    stop_loss: study.Positive = 0.01
    steps: study.Steps = 3000

    @property
    def task_name(self) -> str:
        """The task by name."""
        return TASKS[self.task]


LABELS = Labels(
    axes={
        "lr": "learning rate",
        "rho": "ρ",
        "l1": "L1",
        "amp": "amplitude of the cue",
        "core_amp": "amplitude of the core",
        "cue_share": "samples with a cue",
        "N": "training samples",
        "stop_loss": "stop level",
        "depth": "hidden layers",
    },
    values={
        "task": TASKS,
        "optimizer": OPTIMIZERS,
        "protocol": PROTOCOLS,
        "bias": BIASES,
    },
)
