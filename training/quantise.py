"""int8 weights with one scale a row, chosen to lose least.

A value is `int8 * scale`, symmetric, between -127 and 127. The largest value of a
row need not set the scale: for each row the shrinkage of it with the least squared
error is taken, which clips an outlier where that serves the other values.
"""

import numpy as np

SHRINKAGES = np.linspace(1.0, 0.7, 16)


def rows(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """matrix: [rows, columns] fp32. Returns int8 of the same shape and fp32 [rows]."""
    top = np.maximum(np.abs(matrix).max(axis=1), 1e-12)
    best_error = np.full(len(matrix), np.inf, dtype=np.float32)
    best_scale = (top / 127).astype(np.float32)
    for shrinkage in SHRINKAGES:
        scale = (top * (shrinkage / 127)).astype(np.float32)
        error = np.square(matrix - restore(*at_scale(matrix, scale))).sum(axis=1)
        better = error < best_error
        best_error = np.where(better, error, best_error)
        best_scale = np.where(better, scale, best_scale)
    return at_scale(matrix, best_scale)


def at_scale(matrix: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rounds every row to its scale."""
    values = np.clip(np.rint(matrix / scale[:, None]), -127, 127)
    return values.astype(np.int8), scale


def restore(values: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Back to fp32."""
    return values.astype(np.float32) * scale[:, None]


def is_matrix(name: str) -> bool:
    """True for what is stored in int8: the words' embeddings and the layers' dense weights."""
    if name == "embeddings.word_embeddings.weight":
        return True
    dense = name.startswith("encoder.") and name.endswith(".weight")
    return dense and "LayerNorm" not in name
