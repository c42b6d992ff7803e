"""The one path from H, D, Z at 1 Hz to spectrograms: bridge gaps, blank artefacts, mask, transform, decibels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from seismag.config import DataConfig
from seismag.domain import COMPONENTS, DataError
from seismag.recordings import Recording
from seismag.recordings.days import require_one_hertz
from seismag.spectrograms.artefacts import mask_artefacts
from seismag.spectrograms.compute import make_grid, power_and_phasors, power_spectrogram, split_windows, to_decibel

if TYPE_CHECKING:
    import xarray


@dataclass(frozen=True)
class WindowSpectra:
    """Spectrograms of windows.

    Attributes:
        power: (W, 3, F, T) float32 in nT²/Hz; NaN in time frames that a gap or an artefact touches.
        phasors: (W, 3 pairs, 2 parts, F, T) float16, unit phasors of the cross-spectra; None where not computed.
    """

    power: NDArray[np.float32]
    phasors: NDArray[np.float16] | None

    @property
    def power_db(self) -> NDArray[np.float16]:
        """Power in dB re 1 nT²/Hz, as a store keeps it."""
        return to_decibel(self.power)


def window_spectra(
    field_nt: NDArray[np.float64],
    spec: DataConfig,
    windows: NDArray[np.int64] | NDArray[np.bool_] | slice = slice(None),
    cross: bool = False,
) -> WindowSpectra:
    """Compute the spectrograms of the windows of a day, or of another whole number of windows.

    Artefacts are searched in the whole stretch, so the same window gives the same values in every command.

    Args:
        field_nt: (3, n) H, D, Z in nT at 1 Hz, n a multiple of the window's length; NaN missing.

    Raises:
        ValueError: the number of samples is not that of whole windows.
    """
    chosen = split_windows(mask_artefacts(field_nt, spec), spec)[windows]
    if not cross:
        return WindowSpectra(power_spectrogram(chosen, spec), None)
    power, phasors = power_and_phasors(chosen, spec)
    return WindowSpectra(power, phasors.astype(np.float16))


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
    power = power_spectrogram(mask_artefacts(recording.field_nt, spec), spec)
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
