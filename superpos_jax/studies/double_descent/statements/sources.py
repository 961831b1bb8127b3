"""Numbers of the paper, of its comments and of replications, and what statements share."""

from __future__ import annotations

READ_OFF = {
    5: 1.000, 6: 1.000, 8: 1.018, 15: 1.022, 30: 1.0075, 100: 1.003, 200: 1.0015, 1000: 1.0007,
    2000: 1.015, 5000: 0.9995, 20_000: 0.9987,
}  # fmt: skip
"""Mean test loss of four data sets in the paper's figure, by T, read by eye."""
CHECKPOINTS = {
    (6, "W_norm"): 3.63, (100, "test_loss"): 1.0036, (100, "W_norm"): 25.0,
    (1000, "test_loss"): 1.0002, (1000, "W_norm"): 26.0, (5000, "test_loss"): 0.9993,
    (5000, "W_norm"): 4.5,
}  # fmt: skip
"""Public checkpoints that minimised the mean, one seed each."""
PLATEAU: dict[str, tuple[str, str, tuple[float, float]]] = {
    "test_loss": ("test loss", "0.9986 to 0.9989", (0.9981, 0.9994)),
    "W_norm": ("‖W‖", "2.46 to 2.48", (2.41, 2.53)),
    "b_norm": ("‖b‖", "0.15 to 0.24", (0.1, 0.29)),
}
"""Public checkpoints from T = 20,000 on."""
OF_THE_SUM = {
    "W_norm": {100: 57, 200: 81, 500: 111, 1000: 133, 2000: 156, 5000: 149},
    "b_norm": {100: 251, 200: 352, 500: 386, 1000: 369, 2000: 337, 5000: 422},
}
"""Norms of a public replication of the sum, one seed, read off its plot to 2 %."""
REFERENCE = "reference/P3"
FEW = "reference/P3_few"
"""Few samples, with 32 seeds."""
BY_MANY_SEEDS = (8, 15, 30)
"""Samples whose test loss `FEW` tells better than the four seeds of `REFERENCE`."""
MEAN, SUM = {"reduction": 1.0}, {"reduction": 0.0}
D_F = {"feature_dimensionality": 10}
D_X = {"sample_dimensionality": 0}
FIVE = "five features have a direction of their own"
EACH_OF_FIVE = "0.2 to 0.3 (n = 10,000)"
WHY_MORE_EACH = "n is 1,000 here: there are fewer other features to share the space with."
