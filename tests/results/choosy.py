"""Ridge regression with a choice, a value that has a name, and a number that must be given."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from ridge import Ridge

from superpos_jax.text import Labels


@dataclass(frozen=True)
class Numbers:
    """One regression; `depth` has no default."""

    depth: Annotated[int, Field(ge=1)]
    T: Annotated[int, Field(ge=1)] = 20
    width: Annotated[int, Field(ge=1, le=24)] = 24
    noise: float = 0.5
    loss: int = 0
    lr: Annotated[float, Field(gt=0)] = 0.1
    steps: Annotated[int, Field(ge=1)] = 100
    seed: Annotated[int, Field(ge=0)] = 0


class Choosy(Ridge):
    """Losses are a choice, the largest width has a name."""

    Cell = Numbers
    labels = Labels(values={"loss": ("ce", "stablemax", "mse"), "width": {"all": 24}})
