"""How much of the hidden space a vector has to itself."""

from __future__ import annotations

import numpy as np


def dimensionality(V: np.ndarray) -> np.ndarray:
    """Dimensionality of each row of V among all rows: D_i = |v_i|^2 / sum_j (v_i_hat . v_j)^2.

    Feature dimensionality D_f takes the columns of W, V = W^T; sample dimensionality D_X the
    hidden vectors, V = H (paper, section "Feature dimensionality"; Toy Models of Superposition).
    The sum over j is v_i_hat^T (V^T V) v_i_hat, so nothing of size rows x rows is built.

    Args:
        V: (rows, m), vectors.

    Returns:
        (rows,) float64 in [0, 1]; 0 for a zero vector.

    >>> angles = 2 * np.pi * np.arange(5) / 5
    >>> dimensionality(np.stack([np.cos(angles), np.sin(angles)], axis=1)).round(3)
    array([0.4, 0.4, 0.4, 0.4, 0.4])
    """
    V = np.asarray(V, np.float64)
    # Dimensionality does not change with the scale of all vectors; without the rescaling the
    # fourth power of a norm of 1e-100 underflows.
    V = V / max(np.abs(V).max(initial=0.0), np.finfo(float).tiny)
    norm2 = (V**2).sum(axis=1)
    shared = np.einsum("ia,ab,ib->i", V, V.T @ V, V)
    return np.divide(norm2**2, shared, out=np.zeros_like(norm2), where=shared > 0)


def maximal_dimensionality(H: np.ndarray) -> np.ndarray:
    """Maximal data dimensionality D*_i = sup_v (v . h_i)^2 / sum_j (v . h_j)^2.

    It is the leverage score h_i^T (H^T H)^+ h_i, so it sums to rank(H) (paper, section on
    maximal data dimensionality).

    Args:
        H: (T, m), hidden vectors.

    Returns:
        (T,) float64 in [0, 1].

    >>> maximal_dimensionality(np.array([[1.0, 0.0], [0.0, 2.0], [0.0, 2.0]])).round(3)
    array([1. , 0.5, 0.5])
    """
    U, s, _ = np.linalg.svd(np.asarray(H, np.float64), full_matrices=False)
    keep = s > s.max(initial=0.0) * max(H.shape) * np.finfo(np.float64).eps
    return (U[:, keep] ** 2).sum(axis=1)
