"""Types of the arrays that scores take, and a division and a mean that leave 0 / 0 undefined."""

from __future__ import annotations

from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seismag.domain import DataError
from seismag.limits import LABELS, require_file
from seismag.machine import raise_if_of_machine

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


def mean_known(values: FloatArray, axis: int) -> FloatArray:
    """Mean of the finite values along an axis; NaN where there is none."""
    known = np.isfinite(values)
    count = known.sum(axis=axis)
    total = np.where(known, values, 0).sum(axis=axis)
    return np.divide(total, count, out=np.full(total.shape, np.nan, dtype=total.dtype), where=count > 0)


def read_array(path: Path) -> NDArray[Any]:
    """Read a NumPy file (.npy) of numbers, of no more than the bytes that it has.

    Raises:
        DataError: it cannot be read, is too large, or is damaged.
    """
    require_file(path, LABELS)
    try:
        return np.array(np.lib.format.open_memmap(path, mode="r"))
    except (OSError, ValueError, SyntaxError, EOFError, TokenError) as error:
        raise_if_of_machine(error, path)
        raise DataError(
            f"{path}: not an array of numbers ({error}). Make it again with the command that wrote it."
        ) from error


def rounded(value: float, digits: int = 3) -> float | None:
    """Round for JSON; None where there is no finite value."""
    return round(float(value), digits) if np.isfinite(value) else None
