"""``Recording``: the result of all readers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
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
