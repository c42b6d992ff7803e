"""Which bins of one spectrogram a forecast depends on: the change of P(event) where small parts are replaced."""

from __future__ import annotations

import numpy as np

from seismag.arrays import FloatArray
from seismag.explain.replacement import ALL_COMPONENTS, Windows, predict_windows
from seismag.training.checkpoint import LoadedModel

PART_ROWS, PART_COLUMNS = 4, 6  # of a replaced part
_CLIP = 1e-6


def occlusion_map(loaded: LoadedModel, window: Windows, others: Windows) -> FloatArray:
    """Measure the fall of the log-odds of an event where a part of all three components is replaced.

    Each part is replaced by that of every other window in turn; parts overlap by half, and a bin gets the mean over the
    parts that contain it.

    Args:
        loaded: the model. window: one window. others: windows of the same station, without an event.

    Returns:
        (F, T) mean fall of the log-odds, nat; negative where the replacement makes an event likelier.

    Source: Zeiler & Fergus (2014), arXiv:1311.2901, section 4.2, with measured values instead of a grey square.
    """
    n_rows, n_columns = window.power_db.shape[2:]
    parts = []
    for row in range(-PART_ROWS // 2, n_rows, PART_ROWS // 2):
        for column in range(-PART_COLUMNS // 2, n_columns, PART_COLUMNS // 2):
            part = np.zeros((n_rows, n_columns), dtype=bool)
            part[max(row, 0) : row + PART_ROWS, max(column, 0) : column + PART_COLUMNS] = True
            parts.append(part)
    bins = np.stack(parts)
    whole = float(_log_odds(loaded, window)[0])
    copies = window.of(np.zeros(len(bins), dtype=np.int64))
    falls = np.zeros(len(bins))
    for index in range(len(others)):
        other = others.of(np.full(len(bins), index, dtype=np.int64))
        falls += whole - _log_odds(loaded, copies.with_bins_of(other, bins, ALL_COMPONENTS))
    falls /= len(others)
    result: FloatArray = np.tensordot(falls, bins, axes=1) / bins.sum(axis=0)
    return result


def _log_odds(loaded: LoadedModel, windows: Windows) -> FloatArray:
    probs, _ = predict_windows(loaded, windows)
    normal = np.clip(probs["magnitude"][:, 0], _CLIP, 1 - _CLIP)
    odds: FloatArray = np.log1p(-normal) - np.log(normal)
    return odds
