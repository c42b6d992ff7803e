"""Types of the arrays that scores take, and a division that leaves 0 / 0 undefined."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
Float32Array = NDArray[np.float32]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
TimeArray = NDArray[np.datetime64]
IndexArray = NDArray[np.integer[Any]]


def ratio(numerator: ArrayLike, denominator: ArrayLike) -> FloatArray:
    """Divide; NaN where the denominator is not above 0."""
    numerator, denominator = np.asarray(numerator, dtype=float), np.asarray(denominator, dtype=float)
    undefined = np.full(np.broadcast_shapes(numerator.shape, denominator.shape), np.nan)
    return np.asarray(np.divide(numerator, denominator, out=undefined, where=denominator > 0))


def rounded(value: float, digits: int = 3) -> float | None:
    """Round for JSON; None where there is no finite value."""
    return round(float(value), digits) if np.isfinite(value) else None
