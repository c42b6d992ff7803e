"""Scaling of spectrograms in dB to the input of the network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from seismag.arrays import Float32Array, IntArray
from seismag.domain import COMPONENTS, DataError, SeismagError
from seismag.text import shortened

MIN_STD_DB = 1e-3  # float16 near 10 dB resolves 0.008 dB: a frequency bin that varies less is constant


@dataclass(frozen=True)
class Scaling:
    """Level and spread of each component and frequency bin: one for all windows, or one for each.

    Mean and standard deviation over the training set, (3, F), or median and 1.4826 times the median absolute deviation
    before each window, (n, 3, F); in dB re 1 nT^2/Hz and dB.
    """

    mean_db: Float32Array
    std_db: Float32Array  # positive

    def of(self, rows: IntArray) -> Scaling:
        """Return the scaling of some windows: their own, or the one for all."""
        return self if self.mean_db.ndim == 2 else Scaling(self.mean_db[rows], self.std_db[rows])

    def apply(self, power_db: NDArray[Any]) -> Float32Array:
        """Scale spectrograms to zero mean and unit deviation in each frequency bin; then masked bins become 0.

        0 is the mean of the training set, neither quiet nor disturbed. It does not replace a measurement: the store
        keeps the NaN, no score is computed from it, and a window with more than ``data.max_masked_fraction`` of its
        time frames masked is not in the store.

        Args:
            power_db: (..., 3, F, T) dB re 1 nT^2/Hz, NaN masked; for a scaling of each window (n, 3, F, T).

        Returns:
            (..., 3, F, T) float32, without NaN.

        Raises:
            SeismagError: components or frequency bins are not those of the scaling.
            DataError: a value is infinite.
        """
        if power_db.ndim < 3 or power_db.shape[-3:-1] != self.mean_db.shape[-2:]:
            raise SeismagError(
                f"spectrogram of shape {power_db.shape}, but the model was trained on {self.mean_db.shape[-2]} "
                f"components and {self.mean_db.shape[-1]} frequency bins. Prepare the data as in the model card."
            )
        scaled: Float32Array = np.subtract(power_db, self.mean_db[..., None], dtype=np.float32)
        if np.isinf(scaled).any():
            raise DataError(_INFINITE)
        scaled /= self.std_db[..., None]
        np.nan_to_num(scaled, copy=False, nan=0.0)
        return scaled

    def to_tensors(self) -> dict[str, torch.Tensor]:
        """Return the content for a checkpoint."""
        return {"mean_db": torch.from_numpy(self.mean_db.copy()), "std_db": torch.from_numpy(self.std_db.copy())}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, torch.Tensor], path: Path) -> Scaling:
        """Restore the content of ``to_tensors``.

        Raises:
            DataError: no levels and positive deviations of the components; ``path`` names the checkpoint.
        """
        absent = torch.zeros(0)
        mean, std = (tensors.get(name, absent) for name in ("mean_db", "std_db"))
        is_plain = mean.dtype == std.dtype == torch.float32 and mean.shape == std.shape and mean.ndim == 2
        if not is_plain or mean.shape[0] != len(COMPONENTS):
            shapes = {name: (tuple(tensor.shape), str(tensor.dtype)) for name, tensor in tensors.items()}
            raise DataError(
                f"{path}: its scaling is {shortened(shapes)}, expected are mean_db and std_db of {len(COMPONENTS)} "
                "components by frequency bins. Copy both files again from where they were made."
            )
        if not bool((std > 0).all()):
            raise DataError(f"{path}: a deviation of its scaling is not above 0. Copy both files again.")
        return cls(mean.numpy(), std.numpy())


_INFINITE = (
    "a spectrogram contains an infinite power (in dB), which no recording has. "
    "Prepare the store again; windows without any variation belong into rejected.csv."
)


def fit_scaling(chunks: Iterable[NDArray[Any]]) -> Scaling:
    """Estimate the scaling in one pass over the training set, without NaN.

    The deviation of a frequency bin that does not vary is set to 1, so that it scales to 0 everywhere.

    Args:
        chunks: arrays (n, 3, F, T) in dB.

    Raises:
        DataError: a value is infinite, or a frequency bin has no value at all.

    Source: merging of means and squared deviations, Chan, Golub & LeVeque (1983), doi:10.1080/00031305.1983.10483115.
    """
    count = mean = squares = None
    for chunk in chunks:
        values = np.asarray(chunk, dtype=np.float64)
        if np.isinf(values).any():
            raise DataError(_INFINITE)
        valid = np.isfinite(values)
        n = valid.sum(axis=(0, 3))  # (3, F)
        chunk_mean = np.where(valid, values, 0.0).sum(axis=(0, 3)) / np.maximum(n, 1)
        deviations = np.where(valid, values - chunk_mean[:, :, None], 0.0)
        chunk_squares = np.square(deviations).sum(axis=(0, 3))
        if count is None or mean is None or squares is None:
            count, mean, squares = n, chunk_mean, chunk_squares
            continue
        total = np.maximum(count + n, 1)
        shift = chunk_mean - mean
        squares = squares + chunk_squares + np.square(shift) * count * n / total
        mean = mean + shift * n / total
        count = count + n
    if count is None or mean is None or squares is None:
        raise ValueError("a scaling needs at least one spectrogram")
    if (count == 0).any():
        component, frequency_bin = np.argwhere(count == 0)[0]
        raise DataError(
            f"component {COMPONENTS[component]}, frequency bin {frequency_bin}: no value in the whole training set. "
            "Prepare the store again with fewer bins (data.n_bins, data.n_log_rows)."
        )
    std = np.sqrt(squares / count)
    return Scaling(mean.astype(np.float32), np.where(std < MIN_STD_DB, 1.0, std).astype(np.float32))
