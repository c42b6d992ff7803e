"""``Recording``: the result of all readers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from seismag.domain import COMPONENTS

if TYPE_CHECKING:
    import matplotlib.figure
    import pandas as pd
    import xarray


@dataclass(frozen=True, repr=False)
class Recording:
    """Evenly sampled field of one station.

    Attributes:
        station: code in the file, upper case ("" where the format has none).
        start_utc: time of the first sample, datetime64[ms].
        rate_hz: samples per second (1.0, or 1/60 for minute means).
        field_nt: (3, n) float64, H, D, Z in nT; NaN marks a missing sample. H and D are the
            horizontal field along and at right angles (eastward) to the H axis, Z points down.
        format: "FRG-604RC", "IAGA-2002", "ImagCDF", "MagPyCDF" or "miniSEED".
        sha256: of the file on disk.
        h_axis_deg: azimuth of the H axis from geographic north; NaN where the file has none.
        latitude_deg, longitude_deg: position in the file; NaN where absent.
        metadata: further header entries, "warnings": a list of sentences, and "origin": "simulated" where the file is
            marked as made or changed by seismag.

    Example:
        >>> field_nt = np.array([[38000.0, 38000.5], [0.0, np.nan], [-20000.0, -20000.1]])
        >>> Recording("LUT", np.datetime64("2023-01-01", "ms"), 1.0, field_nt, "FRG-604RC", "")
        Recording(LUT, 2023-01-01T00:00:00 to 2023-01-01T00:00:02 UTC, 1 Hz, FRG-604RC)
    """

    station: str
    start_utc: np.datetime64
    rate_hz: float
    field_nt: NDArray[np.float64]
    format: str
    sha256: str
    h_axis_deg: float = np.nan
    latitude_deg: float = np.nan
    longitude_deg: float = np.nan
    metadata: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_array(
        cls, field_nt: NDArray[np.float64], start_utc: str | np.datetime64, station: str = "", rate_hz: float = 1.0
    ) -> Recording:
        """Make a recording of a copy of an array.

        Args:
            field_nt: (3, n) H, D, Z in nT, NaN missing.
            start_utc: time of the first sample, as 2023-01-01T00:00:00.

        Raises:
            ValueError: the array has not three rows, the rate is not above zero, or the time is not understood.

        Example:
            >>> Recording.from_array(np.zeros((3, 3600)), "2023-01-01", station="LUT")
            Recording(LUT, 2023-01-01T00:00:00 to 2023-01-01T01:00:00 UTC, 1 Hz, array)
        """
        values = np.array(field_nt, dtype=np.float64)
        if values.ndim != 2 or len(values) != len(COMPONENTS):
            raise ValueError(f"a recording has three rows, H, D and Z; this array has the shape {values.shape}")
        if not (np.isfinite(rate_hz) and rate_hz > 0):
            raise ValueError(f"rate_hz is {rate_hz}; give samples per second, above 0")
        try:
            start = np.datetime64(start_utc).astype("M8[ms]")
        except ValueError:
            start = np.datetime64("NaT", "ms")
        if np.isnat(start):
            raise ValueError(f"start_utc is {start_utc!r}; write UTC as 2023-01-01T00:00:00")
        return cls(station, start, rate_hz, values, "array", "")

    def __repr__(self) -> str:
        start, end = (np.datetime_as_string(time, unit="s") for time in (self.start_utc, self.end_utc))
        return f"Recording({self.station or '?'}, {start} to {end} UTC, {self.rate_hz:.4g} Hz, {self.format})"

    @property
    def origin(self) -> str:
        """``simulated`` where the file is marked so, else ``observed``."""
        return "simulated" if self.metadata.get("origin") == "simulated" else "observed"

    @property
    def samples(self) -> int:
        """Number of samples of each component, missing ones included."""
        return int(self.field_nt.shape[1])

    @property
    def end_utc(self) -> np.datetime64:
        """Time of the sample after the last one (end of the half-open interval)."""
        length_ms = round(self.samples / self.rate_hz * 1000)
        return self.start_utc + np.timedelta64(length_ms, "ms")

    @property
    def times_utc(self) -> NDArray[np.datetime64]:
        """Time (n,) of each sample, datetime64[ms]."""
        elapsed_ms = np.round(np.arange(self.samples) / self.rate_hz * 1000).astype("timedelta64[ms]")
        times: NDArray[np.datetime64] = self.start_utc + elapsed_ms
        return times

    def to_pandas(self) -> pd.DataFrame:
        """Return a table with the columns H, D, Z in nT and a UTC index.

        Example:
            >>> recording = Recording("LUT", np.datetime64("2023-01-01", "ms"), 1.0, np.zeros((3, 2)), "FRG-604RC", "")
            >>> print(recording.to_pandas().rename_axis(None))
                                         H    D    Z
            2023-01-01 00:00:00+00:00  0.0  0.0  0.0
            2023-01-01 00:00:01+00:00  0.0  0.0  0.0
        """
        import pandas as pd

        index = pd.DatetimeIndex(self.times_utc, name="time_utc").tz_localize("UTC")
        return pd.DataFrame(self.field_nt.T, index=index, columns=list(COMPONENTS))

    def to_xarray(self) -> xarray.DataArray:
        """Return an array (component, time) in nT; time is UTC, without a zone.

        Example:
            >>> recording = Recording("LUT", np.datetime64("2023-01-01", "ms"), 1.0, np.zeros((3, 2)), "FRG-604RC", "")
            >>> field = recording.to_xarray()
            >>> field.dims, field.attrs["units"]
            (('component', 'time'), 'nT')
            >>> float(field.sel(component="H").mean())
            0.0
        """
        import xarray

        return xarray.DataArray(
            self.field_nt,
            dims=("component", "time"),
            coords={
                "component": ("component", list(COMPONENTS), {"long_name": "H: H axis, D: its east, Z: down"}),
                "time": ("time", self.times_utc.astype("datetime64[ns]"), {"long_name": "UTC"}),
            },
            attrs={
                "units": "nT", "long_name": "geomagnetic field", "station": self.station, "format": self.format,
                "h_axis_deg": self.h_axis_deg,
            },
            name="field",
        )  # fmt: skip

    def plot(self) -> matplotlib.figure.Figure:
        """Plot the three components.

        Returns:
            A matplotlib figure; ``figure.savefig(path)`` writes it.

        Example:
            >>> recording = Recording("LUT", np.datetime64("2023-01-01", "ms"), 1.0, np.zeros((3, 2)), "FRG-604RC", "")
            >>> [axes.get_ylabel() for axes in recording.plot().axes]
            ['H, nT', 'D, nT', 'Z, nT']
        """
        from matplotlib.figure import Figure

        figure = Figure(figsize=(7.2, 5.4), layout="constrained")
        times = self.times_utc
        for axes, name, values in zip(figure.subplots(3, 1, sharex=True), COMPONENTS, self.field_nt, strict=True):
            axes.plot(times, values, linewidth=0.5, color="black")
            axes.set_ylabel(f"{name}, nT")
        figure.suptitle(
            f"{self.station or '?'}  {np.datetime_as_string(self.start_utc, unit='s')} UTC  ({self.format})"
        )
        return figure
