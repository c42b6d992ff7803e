"""Places time-stamped samples on a regular grid; gaps become NaN."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seismag.domain import DataError

GRID_LIMIT = 5_000_000  # samples; 5.8 days at 10 Hz. One wrong stamp must not fill the memory.


@dataclass(frozen=True)
class GriddedSamples:
    """Samples on a regular grid: ``values`` (k, n), NaN where the file has no sample."""

    start_ms: int
    step_ms: int
    values: NDArray[np.float64]

    @property
    def start_utc(self) -> np.datetime64:
        """Time of the first sample."""
        return np.datetime64(self.start_ms, "ms")

    @property
    def rate_hz(self) -> float:
        """Samples per second."""
        return 1000.0 / self.step_ms


def place_on_grid(
    times_ms: NDArray[np.int64],
    values: NDArray[np.float64],
    declared_step_ms: int | None,
    where: str,
    warnings: list[str],
) -> GriddedSamples:
    """Place samples by their time stamps on the grid from the first one on.

    The step is the declared one where the smallest or the commonest step of the stamps confirms it;
    otherwise the commonest step. All stamps must lie on the grid.

    Args:
        times_ms: (m,) milliseconds since 1970, in file order.
        values: (k, m), NaN marks a missing sample.
        declared_step_ms: step in the header, or None.
        warnings: sentences are appended: disorder, doubled stamps, gaps, a wrong header.

    Raises:
        DataError: ``irregular_sampling``, ``contradicting_samples`` (one time, two values), or
            ``no_data``.
    """
    if times_ms.size == 0:
        raise DataError(f"{where}: the file contains no sample.", "no_data")
    times_ms, values = _sorted_once(times_ms, values, where, warnings)
    steps = np.diff(times_ms)
    step_ms = _step(steps, declared_step_ms, where, warnings)
    if np.all(steps == step_ms):
        return GriddedSamples(int(times_ms[0]), step_ms, np.ascontiguousarray(values))
    slots, off_grid = np.divmod(times_ms - times_ms[0], step_ms)
    if np.any(off_grid):
        first = np.datetime64(int(times_ms[np.flatnonzero(off_grid)[0]]), "ms")
        raise DataError(
            f"{where}: irregular sampling, {first} UTC does not lie on the grid of {step_ms / 1000:g} s "
            f"from {np.datetime64(int(times_ms[0]), 'ms')}. Resample the file first.",
            "irregular_sampling",
        )
    length = int(slots[-1]) + 1
    if length > GRID_LIMIT:
        raise DataError(
            f"{where}: the {times_ms.size} time stamps span {length} samples, {GRID_LIMIT} is the limit. "
            "A time stamp may be wrong; otherwise split the file.",
            "irregular_sampling",
        )
    placed = np.full((values.shape[0], length), np.nan)
    placed[:, slots] = values
    warnings.append(f"{length - times_ms.size} of {length} time stamps are missing; their samples are NaN.")
    return GriddedSamples(int(times_ms[0]), step_ms, placed)


def _sorted_once(
    times_ms: NDArray[np.int64], values: NDArray[np.float64], where: str, warnings: list[str]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    steps = np.diff(times_ms)
    if np.all(steps > 0):
        return times_ms, values
    if np.any(steps < 0):
        warnings.append(f"Time goes backwards {np.count_nonzero(steps < 0)} times; samples were placed by their time.")
    order = np.argsort(times_ms, kind="stable")
    times_ms, values = times_ms[order], values[:, order]
    again = np.flatnonzero(np.diff(times_ms) == 0) + 1
    same = (values[:, again] == values[:, again - 1]) | (np.isnan(values[:, again]) & np.isnan(values[:, again - 1]))
    if not np.all(same):
        first = np.datetime64(int(times_ms[again[~same.all(axis=0)][0]]), "ms")
        raise DataError(
            f"{where}: {first} UTC occurs twice with different values. Keep the one you trust, or leave the file out.",
            "contradicting_samples",
        )
    if again.size:
        warnings.append(f"{again.size} samples are doubled with identical values; one of each was kept.")
    return np.delete(times_ms, again), np.delete(values, again, axis=1)


def _step(steps: NDArray[np.int64], declared_ms: int | None, where: str, warnings: list[str]) -> int:
    if steps.size == 0:
        if declared_ms is None:
            raise DataError(f"{where}: the sampling rate of a single sample is unknown.", "irregular_sampling")
        return declared_ms
    sizes, counts = np.unique(steps, return_counts=True)
    commonest = int(sizes[np.argmax(counts)])
    if declared_ms is None or declared_ms == commonest:
        return commonest
    if declared_ms == sizes[0]:
        return declared_ms
    warnings.append(
        f"One sample in {declared_ms / 1000:g} s in the header, one in {commonest / 1000:g} s by the time stamps; "
        f"the time stamps count."
    )
    return commonest
