"""UTC days of recordings, and their samples on the seconds of one day."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from seismag.domain import DataError
from seismag.recordings import Recording

DAY_S = 86_400
_DAY = np.timedelta64(1, "D")


def days_of(recording: Recording) -> NDArray[np.datetime64]:
    """Return the UTC days that a recording touches, in order."""
    first, last = recording.start_utc.astype("M8[D]"), (recording.end_utc - np.timedelta64(1, "ms")).astype("M8[D]")
    days: NDArray[np.datetime64] = np.arange(first, last + _DAY, _DAY)
    return days


def field_of_day(recordings: list[Recording], day: np.datetime64) -> NDArray[np.float64]:
    """Return H, D, Z (3, 86400) of one UTC day at 1 Hz; a single whole day is not copied."""
    first = recordings[0]
    if len(recordings) == 1 and first.start_utc == day and first.samples == DAY_S:
        return first.field_nt
    field = np.full((3, DAY_S), np.nan)
    for recording in recordings:
        offset = int((recording.start_utc - day.astype("M8[ms]")) // np.timedelta64(1000, "ms"))
        low, high = max(0, offset), min(DAY_S, offset + recording.samples)
        if high > low:
            part = recording.field_nt[:, low - offset : high - offset]
            np.copyto(field[:, low:high], part, where=np.isfinite(part))
    return field


def require_one_hertz(recording: Recording, name: str) -> None:
    """Refuse a recording whose samples do not lie on whole seconds.

    Raises:
        DataError: another rate, or samples between seconds.
    """
    if abs(recording.rate_hz - 1.0) > 1e-9:
        digits = 10 if f"{recording.rate_hz:.6g}" == "1" else 6
        raise DataError(
            f"{name}: {recording.rate_hz:.{digits}g} samples/s, windows need 1 per second.", "wrong_sampling_rate"
        )
    if recording.start_utc.astype("M8[s]") != recording.start_utc:
        raise DataError(f"{name}: samples lie between whole seconds ({recording.start_utc}Z).", "off_grid")
