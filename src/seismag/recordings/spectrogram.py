"""The spectrogram of a recording of any length."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from seismag.config import DataConfig
from seismag.domain import COMPONENTS, DataError
from seismag.recordings.days import require_one_hertz
from seismag.recordings.recording import Recording
from seismag.spectrograms.compute import make_grid
from seismag.spectrograms.decibels import power_of_stretch

if TYPE_CHECKING:
    import xarray


def recording_spectrogram(recording: Recording, spec: DataConfig | None = None) -> xarray.Dataset:
    """Compute the spectrogram of a recording of any length, in one piece.

    Segment and hop are those of the configuration. The values of a recording of exactly one window are those that a
    store keeps, before they are expressed in decibels.

    Args:
        recording: at 1 Hz, at least one segment long.
        spec: section ``data`` of a configuration; default values where None.

    Returns:
        ``power`` (component, frequency, time) in nT²/Hz, NaN where a gap or an artefact touches the time frame.
        ``time`` is the middle of each segment, UTC; ``elapsed`` the same in seconds from the first sample.

    Raises:
        DataError: another sampling rate, or shorter than a segment.

    Example:
        >>> import numpy as np
        >>> from seismag.recordings import Recording
        >>> tone = 0.5 * np.sin(2 * np.pi * 0.02 * np.arange(3600))
        >>> field_nt = np.stack([38_000 + tone, tone, -20_000 + tone])
        >>> hour = Recording("GTO", np.datetime64("2021-03-01T00:00", "ms"), 1.0, field_nt, "FRG-604RC", "")
        >>> power = recording_spectrogram(hour)["power"]
        >>> dict(power.sizes)
        {'component': 3, 'frequency': 224, 'time': 32}
        >>> round(float(power.sel(component="H").mean("time").idxmax("frequency")), 4)
        0.02
    """
    import xarray

    spec = DataConfig() if spec is None else spec
    name = recording.station or "The recording"
    require_one_hertz(recording, name)
    if recording.samples < spec.segment_s:
        raise DataError(
            f"{name}: {recording.samples} s are shorter than one segment ({spec.segment_s} s). "
            "Use a longer recording, or lower data.segment_s.",
            "too_short",
        )
    grid = make_grid(spec, recording.samples)
    power = power_of_stretch(recording.field_nt, spec)
    milliseconds = np.round(grid.time_s * 1000).astype("timedelta64[ms]")
    times = (recording.start_utc + milliseconds).astype("datetime64[ns]")
    long_name = "power spectral density; NaN: time frame touched by a gap or an artefact"
    return xarray.Dataset(
        {"power": (("component", "frequency", "time"), power, {"units": "nT^2/Hz", "long_name": long_name})},
        coords={
            "component": ("component", list(COMPONENTS), {"long_name": "H: H axis, D: its east, Z: down"}),
            "frequency": ("frequency", grid.frequency_hz, {"units": "Hz"}),
            "time": ("time", times, {"long_name": "middle of the segment, UTC"}),
            "elapsed": (
                "time",
                grid.time_s,
                {"units": "s", "long_name": "middle of the segment, from the first sample"},
            ),
        },
        attrs={"station": recording.station, "format": recording.format, "sha256": recording.sha256},
    )
