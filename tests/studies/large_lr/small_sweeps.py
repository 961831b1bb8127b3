"""The numbers of two sweeps of small networks: of one shape, so that both are compiled once."""

CELL = {"N": 40, "steps": 40, "width": 12, "depth": 2, "protocol": "fixed"}
CELL |= {"stop_loss": 1e-9}  # no cell converges, so that none is left out of a figure's scale
DATA = {"rho": [0.9, 0.95], "seed": [0, 1, 2]}
KNOBS = {
    "base": {"lr": 0.1},
    "a": {"lr": 1.0},
    "b": {"lr": 2.0},
    "c": {"l1": 1e-3, "momentum": 0.5, "weight_decay": 1e-2, "lr": 0.2},
}
