"""Results made up for the figures: every number that is plotted is known beforehand."""

import json
from types import SimpleNamespace

import numpy as np
import xarray as xr

N = 30
DEFAULTS = {
    "T": 100,
    "m": 2,
    "seed": 0,
    "lr": 0.001,
    "weight_decay": 0.01,
    "eps": 1e-8,
    "reduction": 0.0,
    "S": 0.9,
    "steps": 2000,
}


class Made:
    """A result whose test loss is a bump of known height at T = 50 m, memorizing on its left."""

    name = "made"

    def __init__(self, bump=0.3, dead=(), unfinished=(), n=N, cell=(), **axes):
        self.axes, self.n = axes, n
        shape = tuple(len(values) for values in axes.values())
        ones = np.ones(shape)
        at = dict(zip(axes, np.meshgrid(*axes.values(), indexing="ij"), strict=True))
        at = {axis: at.get(axis, DEFAULTS[axis] * ones) for axis in DEFAULTS}
        self.T, self.m = at["T"].astype(int), at["m"].astype(int)
        place = np.log(self.T / (50 * self.m))
        wobble = 1 + 0.05 * at["seed"] ** 2
        test = 1 + bump * wobble * np.exp(-(place**2)) - 0.012 / (1 + np.exp(-3 * place))
        test = test + (at["lr"] - 0.001)
        train = 1 / (1 + np.exp(-3 * place))
        verdict = np.zeros(shape, np.int8)
        for index in dead:
            verdict[index] = 1
        test[verdict == 1] = train[verdict == 1] = np.nan
        for index in unfinished:
            verdict[index] = 3
        regime = np.where(place < -1, 0, np.where(place < 1, 1, 2))
        self.regime = np.where(verdict == 0, regime, -1).astype(np.int8)
        samples = int(self.T.max())
        feature = np.full((*shape, n), np.nan)
        sample = np.full((*shape, samples), np.nan)
        for index in np.ndindex(shape):
            feature[index] = self.m[index] / n
            if self.regime[index] == 2:
                feature[index] = 1e-7
                feature[index][:5] = 0.25
            sample[index][: self.T[index]] = self.m[index] / self.T[index]
        dims = tuple(axes)
        variables = {
            "train_loss": (dims, train),
            "test_loss": (dims, test),
            "verdict": (dims, verdict),
            "died_at": (dims, np.where(verdict == 1, 1234, -1).astype(np.int32)),
            "regime": (dims, self.regime),
            "W_norm": (dims, np.where(verdict, np.nan, 2.0 + wobble * np.exp(-(place**2)))),
            "b_norm": (dims, np.where(verdict, np.nan, 0.3 * wobble)),
            "W": ((*dims, "hidden", "feature"), np.zeros((*shape, self.m.max(), 1))),
            "feature_dimensionality": ((*dims, "feature_index"), feature),
            "sample_dimensionality": ((*dims, "sample"), sample),
        }
        shared = {axis: value for axis, value in DEFAULTS.items() if axis not in axes} | dict(cell)
        attrs = {
            "study": "double_descent",
            "cell": json.dumps(shared),
            "options": json.dumps({"n": n}),
        }
        self.dataset = xr.Dataset(variables, coords=dict(axes), attrs=attrs)
        self.calls = []

    def cell(self, **values):
        assert set(values) == set(self.axes)
        self.calls.append(values)
        index = tuple(list(self.axes[axis]).index(value) for axis, value in values.items())
        T, m = self.T[index], self.m[index]
        rng = np.random.default_rng(int(T))

        def gon(k, radius):
            turn = 2 * np.pi * np.arange(k) / k
            return radius * np.stack([np.cos(turn), np.sin(turn)], axis=1)

        W, H = 0.02 * rng.normal(size=(self.n, m)), rng.normal(size=(T, m))
        if self.regime[index] == 2:
            W[:5] = gon(5, 1.0)
        elif self.regime[index] == 0:
            W, H = rng.normal(size=(self.n, m)), gon(T, 3.0)
        return SimpleNamespace(W=W.T, H=H, X=None, b=np.zeros(self.n))


SIZES = [10, 20, 50, 100, 200, 500, 1000]


def grid(**options):
    return Made(T=SIZES, m=[2, 4, 8], seed=[0, 1, 2], **options)


def gid(figure, name):
    return figure.findobj(lambda artist: artist.get_gid() == name)


def texts(figure):
    found = figure.findobj(lambda artist: hasattr(artist, "get_text"))
    return [" ".join(text.get_text().split()) for text in found]
