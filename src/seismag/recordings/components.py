"""Conversion of recorded elements to H, D, Z in nT and the azimuth of the H axis, with one convention for all formats:

* X, Y, Z: H = X, D = Y, the axis points to geographic north (0 degrees).
* H, E, Z: E is nT along the east axis of the sensor; the H axis is the baseline declination where given,
  else unknown (NaN).
* H, D, Z with D an angle. D is *relative* to the baseline declination D0 when the file gives D0 and
  the median of D lies nearer to zero than to D0; then the axis is D0. Otherwise D is *absolute*, and
  the axis is the median of D rounded to whole degrees, so that consecutive days share an axis. With
  d the angle from the axis: H' = H cos d, D' = H sin d, because H is the horizontal intensity (IAGA). In variations
  of USGS, H is the component along the axis of the sensor already: H' = H, D' = H tan d (docs/decisions/0026).
* H, D, Z with D in nT: as H, E, Z.
* U, V, W and unknown orientations: the frame of the sensor, axis NaN, and a warning.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seismag.domain import DataError

ARCMIN_DEG = 1 / 60
DEGREE_DEG = 1.0
_NOT_RECORDED = (88888.0, 88888.8, 88888.88)
_NINES = (99_999.0, 999_999.0)
_CDF_MARK = 1e31
_SMALLEST_MARK = 88_888.0
_VALUE_LIMIT = 100_000.0  # nT; natural fields are below 70,000, D below 21,600 minutes of arc
_CARTESIAN = ("XYZ", "HEZ", "UVW")
_BASELINE_FREE_NT = 1000.0  # the total field is nowhere on Earth below 22,000 nT


@dataclass(frozen=True)
class DeclinationScale:
    """The unit of D, degrees (NaN: D is in nT), the baseline declination, and what H is beside a relative D.

    ``h_of_sensor``: H is the component along the sensor's axis; False: the horizontal intensity.
    """

    degrees_per_unit: float = ARCMIN_DEG
    baseline_deg: float = np.nan
    h_of_sensor: bool = False


@dataclass(frozen=True)
class HorizontalField:
    """H, D, Z (3, n) in nT with the azimuth of H from geographic north, degrees, NaN if unknown."""

    field_nt: NDArray[np.float64]
    h_axis_deg: float


def needed_letters(letters: Sequence[str]) -> str:
    """Return the three elements of a file that ``to_hdz`` uses; "" where it has no such three."""
    return next((three for three in (*_CARTESIAN, "HDZ") if set(three) <= set(letters)), "")


def to_hdz(
    recorded: Mapping[str, NDArray[np.float64]], scale: DeclinationScale, where: str, warnings: list[str]
) -> HorizontalField:
    """Convert recorded elements to H, D, Z by the convention of this module.

    Args:
        recorded: (n,) values by element letter; letters that are not needed are ignored.

    Raises:
        DataError: ``components_missing``, no set of three vector components.
    """
    letters = needed_letters([*recorded])
    if letters in _CARTESIAN:
        field = np.stack([recorded[letter] for letter in letters])
        if letters == "UVW":
            warnings.append("U, V, W are the axes of the sensor: the direction of H is unknown.")
        axis = {"XYZ": 0.0, "HEZ": wrap_deg(scale.baseline_deg), "UVW": np.nan}[letters]
        return HorizontalField(field, axis)
    if all(letter in recorded for letter in "HDZ"):
        return _from_declination(recorded, scale, warnings)
    names = ", ".join(sorted(recorded)) or "none"
    raise DataError(
        f"{where}: three components are needed (H D Z, H E Z, X Y Z or U V W), the file has {names}.",
        "components_missing",
    )


def _from_declination(
    recorded: Mapping[str, NDArray[np.float64]], scale: DeclinationScale, warnings: list[str]
) -> HorizontalField:
    h, d, z = recorded["H"], recorded["D"], recorded["Z"]
    baseline_deg = wrap_deg(scale.baseline_deg)
    if np.isnan(scale.degrees_per_unit):
        return HorizontalField(np.stack([h, d, z]), baseline_deg)
    axis_deg, offset = _angle_from_axis(d, scale)
    along, across = h * np.cos(offset), h * np.sin(offset)
    if _is_of_sensor(scale, axis_deg):
        along, across = h, h * np.tan(offset)
    if abs(_median(h)) < _BASELINE_FREE_NT and abs(_median(z)) < _BASELINE_FREE_NT:
        warnings.append("H and Z have no baseline and D is an angle: D in nT is unknown and was set to NaN.")
        return HorizontalField(np.stack([h, np.full_like(h, np.nan), z]), axis_deg)
    return HorizontalField(np.stack([along, across, z]), axis_deg)


def _is_of_sensor(scale: DeclinationScale, axis_deg: float) -> bool:
    """Whether H is the component along the axis: only where D is relative to the baseline declination."""
    return scale.h_of_sensor and axis_deg == wrap_deg(scale.baseline_deg)


def _angle_from_axis(d: NDArray[np.float64], scale: DeclinationScale) -> tuple[float, NDArray[np.float64]]:
    """Azimuth of the H axis, degrees, and the angle (n,) of the horizontal field from it, radians."""
    baseline_deg = wrap_deg(scale.baseline_deg)
    d_deg = d * scale.degrees_per_unit
    median_deg = wrap_deg(_median(d_deg))
    if abs(wrap_deg(median_deg - baseline_deg)) > abs(median_deg):  # false where either is NaN
        return baseline_deg, np.radians(d_deg)
    axis_deg = wrap_deg(float(np.round(median_deg)) + 0.0)  # no negative zero
    return axis_deg, np.radians(d_deg - axis_deg)


def add_to_recorded(
    recorded: Mapping[str, NDArray[np.float64]], scale: DeclinationScale, added_nt: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """Add H, D, Z in nT to recorded elements: the inverse of ``to_hdz``.

    Args:
        recorded: (n,) values by element letter, as in ``to_hdz``.
        added_nt: (3, n) along the H axis, at right angles to it, and down.

    Returns:
        New values of the three elements that ``to_hdz`` uses; NaN where one is missing.
    """
    for letters in (*_CARTESIAN, *(("HDZ",) if np.isnan(scale.degrees_per_unit) else ())):
        if all(letter in recorded for letter in letters):
            return {letter: recorded[letter] + row for letter, row in zip(letters, added_nt, strict=True)}
    axis_deg, offset = _angle_from_axis(recorded["D"], scale)
    of_sensor = _is_of_sensor(scale, axis_deg)
    before = recorded["H"] * (1 + 1j * np.tan(offset) if of_sensor else np.exp(1j * offset))
    after = before + added_nt[0] + 1j * added_nt[1]
    turned_deg = np.degrees(np.angle(after * np.conj(before)))
    return {
        "H": after.real if of_sensor else np.abs(after),
        "D": recorded["D"] + turned_deg / scale.degrees_per_unit,
        "Z": recorded["Z"] + added_nt[2],
    }


def blank_fill_values(values: NDArray[np.float64], where: str) -> None:
    """Replace fill values by NaN in place.

    ``values`` is (n,) or (k, n). INTERMAGNET writes 99999.xx and 999999.xx for missing, 88888.xx for not recorded;
    CDF -1e31.

    Raises:
        DataError: ``impossible_value``, another number beyond 100,000.
    """
    for row in np.atleast_2d(values):
        size = np.abs(row)
        large = size >= _SMALLEST_MARK
        if not np.any(large):
            continue
        marks = np.isin(row, _NOT_RECORDED) | (size == _CDF_MARK)
        for nines in _NINES:
            marks |= (size >= nines) & (size < nines + 1)
        row[marks] = np.nan
        if np.any(size[large & ~marks] >= _VALUE_LIMIT):
            wrong = row[large & ~marks & (size >= _VALUE_LIMIT)][0]
            raise DataError(f"{where}: a value of {wrong:g}, {_VALUE_LIMIT:g} is the limit.", "impossible_value")


def wrap_deg(angle_deg: float) -> float:
    """Wrap an angle into [-180, 180); angles within keep their bits, NaN stays NaN."""
    if -180 <= angle_deg < 180:
        return angle_deg
    return float((angle_deg + 180) % 360 - 180)


def _median(values: NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else np.nan
