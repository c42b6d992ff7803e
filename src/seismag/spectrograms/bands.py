"""Bands of geomagnetic pulsations and their frequency bins."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Continuous pulsations by period: Pc3 10-45 s, Pc4 45-150 s, Pc5 150-600 s; in rounded mHz.
# Source: Jacobs et al. (1964), doi:10.1029/JZ069i001p00180.
BANDS_MHZ: dict[str, tuple[float, float]] = {
    "below_pc5": (0.0, 1.6),
    "pc5": (1.6, 7.0),  # 1/600 Hz, the lowest bin of a 600 s segment, is 1.67
    "pc4": (7.0, 22.0),
    "pc3": (22.0, 100.0),
    "above_pc3": (100.0, np.inf),
}
BAND_LABELS = {
    "below_pc5": "below Pc5", "pc5": "Pc5", "pc4": "Pc4", "pc3": "Pc3", "above_pc3": "above Pc3", "all": "all bands",
}  # fmt: skip


def rows_of_bands(frequency_hz: NDArray[np.floating]) -> dict[str, NDArray[np.bool_]]:
    """Mark the frequency bins (F,) of each band, [low, high) by their middle; bands without a bin are left out."""
    mhz = np.asarray(frequency_hz, dtype=float) * 1000
    rows = {name: (mhz >= low) & (mhz < high) for name, (low, high) in BANDS_MHZ.items()}
    return {name: inside for name, inside in rows.items() if inside.any()}
