"""What a study of injection and recovery plants."""

from __future__ import annotations

import math
from dataclasses import dataclass

from seismag.config import EmissionConfig
from seismag.domain import UsageError


@dataclass(frozen=True)
class RecoveryPlan:
    """What is planted.

    Attributes:
        snr: signal-to-noise ratios at M 5 and 100 km, ascending; for other earthquakes by the law of ``emission``.
        windows: how many Normal windows to plant in, of all models together.
        false_alarms: share of the windows without an emission that may exceed the threshold.
        emission: section ``simulate.emission``; its own ``snr`` does not count.
        seed: of the choice of windows and earthquakes, and of the waveforms.
        confidence: of the intervals.
    """

    snr: tuple[float, ...]
    windows: int
    false_alarms: float
    emission: EmissionConfig
    seed: int
    confidence: float = 0.95

    def __post_init__(self) -> None:
        wrong = [value for value in self.snr if not 0 < value < math.inf]
        if wrong or not self.snr:
            raise UsageError(
                f"recover.snr {list(self.snr)}: each is a ratio of powers above 0, e.g. [0.3, 1, 3, 10]. Windows "
                "without an emission are there in any case."
            )
