"""Efficiency of the detectors that know the band, and how much stronger an emission has to be for the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from seismag.recovery.curves import (
    EFFICIENCIES,
    EfficiencyRow,
    Fraction,
    SnrAt,
    bootstrap_ends,
    curve_json,
    fraction_of,
    plain_snr,
    replicate_curves,
    rows_by,
    snr_of_curve,
)
from seismag.recovery.efficiency import Curve, false_alarm_threshold, fit_curve
from seismag.recovery.matched import DETECTORS

WITHOUT = "_without"  # ending of a column: the statistic of the window before the injection


@dataclass(frozen=True)
class DetectorResult:
    """One detector: its threshold, false alarms of the control windows, efficiencies by SNR and curve."""

    threshold: float
    false_alarms: Fraction
    efficiency: list[EfficiencyRow]
    curve: Curve
    snr_at: dict[str, SnrAt]

    def to_json(self) -> dict[str, object]:
        """The keys of recovery.json."""
        document = {**asdict(self), "curve": curve_json(self.curve, self.snr_at)}
        del document["snr_at"]
        return document


@dataclass(frozen=True)
class SnrRatio:
    """SNR of the model over that of the bound at the same efficiency; None where either lies outside the injected."""

    value: float | None
    low: float | None
    high: float | None
    sentence: str


@dataclass(frozen=True)
class BoundResult:
    """The key ``matched`` of recovery.json.

    Attributes:
        detectors: by name.
        bound: name of the one that reaches an efficiency of 50 % at the lowest SNR.
        ratio: model over bound, by ``snr_50`` and ``snr_90``.
    """

    detectors: dict[str, DetectorResult]
    bound: str
    ratio: dict[str, SnrRatio]

    @property
    def sentence(self) -> str:
        """The bound, and the ratio at 50 %."""
        curve = self.detectors[self.bound].snr_at["snr_50"]
        return f"The detector that knows the band ({self.bound}): {curve.sentence}; {self.ratio['snr_50'].sentence}."

    def to_json(self) -> dict[str, object]:
        """The keys of recovery.json."""
        return {
            "bound": self.bound,
            "sentence": self.sentence,
            "detectors": {name: result.to_json() for name, result in self.detectors.items()},
            "ratio": {name: asdict(entry) for name, entry in self.ratio.items()},
        }


def summarise_bound(
    injections: pd.DataFrame, normal: pd.DataFrame, model: Curve, fraction: float, seed: int
) -> BoundResult:
    """Compare the model with the detectors that know the band, on the same windows and injections.

    Args:
        injections: table of ``Recovery`` with nearest_snr, and the statistic of each detector.
        normal: control windows with the statistic of each detector: they set its threshold.
        model: fitted curve of the model.
        fraction: of the control windows that may exceed a threshold, as for the model.
        seed: of the bootstrap, as for the model: the same days.
    """
    detectors, replicates = {}, {}
    for name in DETECTORS:
        threshold = false_alarm_threshold(normal[name].to_numpy(), fraction)
        false_alarms = fraction_of(normal.assign(alarm=normal[name] > threshold), "alarm")
        found = injections.assign(recovered=(injections[name] > threshold) & (injections["reason"] == ""))
        curve = fit_curve(found["snr"].to_numpy(), found["recovered"].to_numpy(), false_alarms.value)
        replicates[name] = replicate_curves(found, curve, seed)
        rows = rows_by(found, ["nearest_snr"])
        snr_at = snr_of_curve(found, curve, replicates[name])
        detectors[name] = DetectorResult(threshold, false_alarms, rows, curve, snr_at)
    bound = min(detectors, key=lambda name: detectors[name].curve.snr_at(EFFICIENCIES[0]))
    of_model = replicate_curves(injections, model, seed)
    tested = float(injections["snr"].min()), float(injections["snr"].max())
    curves = [model, *of_model], [detectors[bound].curve, *replicates[bound]]
    ratio = compare_snr(*curves, tested, ("the model", "the bound"))
    return BoundResult(detectors, bound, ratio)


def compare_snr(
    weaker: Sequence[Curve], stronger: Sequence[Curve], tested: tuple[float, float], names: tuple[str, str]
) -> dict[str, SnrRatio]:
    """Divide the SNR at which two detectors reach the same efficiency, first over second.

    Args:
        weaker, stronger: the curve of each, then its replicates, of the same days in the same order.
        tested: smallest and largest injected SNR.
        names: of both, for the sentence.

    Returns:
        By ``snr_50`` and ``snr_90``.
    """
    return {
        f"snr_{100 * efficiency:.0f}": _ratio(weaker, stronger, efficiency, tested, names)
        for efficiency in EFFICIENCIES
    }


def _ratio(
    weaker: Sequence[Curve],
    stronger: Sequence[Curve],
    efficiency: float,
    tested: tuple[float, float],
    names: tuple[str, str],
) -> SnrRatio:
    first, second = (np.array([curve.snr_at(efficiency) for curve in curves]) for curves in (weaker, stronger))
    percent = f"{100 * efficiency:.0f} %"
    inside = [tested[0] <= snr[0] <= tested[1] for snr in (first, second)]
    if inside[1] and not first[0] <= tested[1]:
        least = plain_snr(tested[1] / second[0])
        return SnrRatio(
            None, None, None, f"{names[0]} needs more than {least} times the SNR of {names[1]} for {percent}"
        )
    if not all(inside):
        where = " and ".join(name for name, known in zip(names, inside, strict=True) if not known)
        return SnrRatio(
            None, None, None, f"no ratio at {percent}, as {where} reaches it outside the injected SNR, if ever"
        )
    ratios = first / second
    low, high = bootstrap_ends(ratios[1:].tolist())
    sentence = f"{names[0]} needs {ratios[0]:.2g} times the SNR of {names[1]} for {percent} [{low:.2g}, {high:.2g}]"
    return SnrRatio(float(ratios[0]), low, high, sentence)
