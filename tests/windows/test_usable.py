"""The limits of missing and of masked time."""

from __future__ import annotations

from seismag.config import DataConfig
from seismag.windows.usable import window_reason


def test_the_limits_are_inclusive():
    spec = DataConfig(max_gap_fraction=0.2, max_masked_fraction=0.5)
    assert window_reason(0.2, 0.5, spec) == ("", "")
    assert window_reason(0.2001, 0.0, spec)[0] == "gaps"
    assert window_reason(0.1, 0.51, spec)[0] == "masked"
