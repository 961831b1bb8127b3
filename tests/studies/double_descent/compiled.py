"""Compile the kernels for GPUs of some compute capabilities, without one, as they are launched."""

import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from superpos_jax.engine.kernel import tiles_of
from superpos_jax.engine.study import DataSet
from superpos_jax.studies.double_descent import autoencoders, data, kernels
from superpos_jax.studies.double_descent.model import Form, Params

KINDS = {"float32": "*fp32", "int32": "*i32"}


def compile_only(capability, name, grid, inputs, outputs, warps, **static):
    """In place of `autoencoders.launch`."""
    function = getattr(kernels, name)
    given = [KINDS[str(np.dtype(x.dtype))] for x in (*inputs, *outputs)]
    names = function.arg_names
    signature = dict.fromkeys(names, "constexpr") | dict(zip(names, given, strict=False))
    source = ASTSource(function, signature, {(names.index(k),): v for k, v in static.items()})
    options = {"num_warps": warps, "num_stages": 1, "enable_fp_fusion": True}
    triton.compile(source, target=GPUTarget("cuda", capability, 32), options=options)
    print(name)
    return [jnp.zeros(x.shape) for x in outputs]


if __name__ == "__main__":
    n, T = 60, 20
    N = autoencoders.width(n)
    tiles = tiles_of(np.array([[0]]), np.array([[T]]), autoencoders.ROWS, 1)
    tiles = jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), tiles)
    for hidden, form, untied in ((2, Form(), False), (1, Form(1), False), (3, Form(4, True), True)):
        W, b = jnp.zeros((1, hidden, N)), jnp.zeros((1, N))
        kernel = autoencoders.Autoencoders(n, form, autoencoders.TRITON, span=1)
        stream = DataSet(data.Stream(0, n, 0.9, "train"), T)
        pool = jax.tree.map(jnp.asarray, kernel.pool([stream]))
        for capability in map(int, sys.argv[1:] if form == Form() else sys.argv[1:2]):
            autoencoders.launch = partial(compile_only, capability)
            params = Params(W, b, W if untied else None)
            kernel.loss_and_grad(params, pool, tiles, jnp.ones(1, bool))
