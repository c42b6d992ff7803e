"""Bands of pulsations as rows."""

from __future__ import annotations

import numpy as np

from seismag.spectrograms.bands import BAND_LABELS, BANDS_MHZ, rows_of_bands


def test_the_rows_of_a_600_s_segment_fall_into_four_bands() -> None:
    rows = rows_of_bands(np.arange(1, 225) / 600)
    # multiples of 1.667 mHz: 4 below 7 (1.67 to 6.67), 9 more below 22, 46 more below 100 (59 in all), the rest above
    assert {name: int(inside.sum()) for name, inside in rows.items()} == {
        "pc5": 4, "pc4": 9, "pc3": 46, "above_pc3": 165,
    }  # fmt: skip


def test_each_row_is_in_one_band_and_a_border_belongs_to_the_upper_one() -> None:
    rows = rows_of_bands(np.array([0.001, 0.007, 0.022, 0.1]))
    assert np.stack(list(rows.values())).sum(axis=0).tolist() == [1, 1, 1, 1]
    assert [name for name, inside in rows.items() if inside.any()] == ["below_pc5", "pc4", "pc3", "above_pc3"]


def test_every_band_has_a_label() -> None:
    assert set(BANDS_MHZ) < set(BAND_LABELS)
