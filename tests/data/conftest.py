"""Labels of the real BMKG catalogue at its 24 stations, made once a session."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from seismag.config import DataConfig
from seismag.data.catalogs import read_catalogs
from seismag.data.indices import read_index
from seismag.data.stations import read_stations
from seismag.data.windows import Labels, choose_controls, daily_windows, label_windows


@pytest.fixture(scope="session")
def bmkg_labels(real_data: Path) -> Labels:
    """Every 6-h window of 2018-01-01 .. 2025-08-31 at 24 stations, as if no recording had a gap."""
    stations = read_stations(real_data / "bmkg/stations.csv")
    starts, ends = daily_windows(np.arange(np.datetime64("2018-01-01"), np.datetime64("2025-09-01")), 6)
    windows = pd.concat(
        [pd.DataFrame({"station": code, "start_utc": starts, "end_utc": ends}) for code in stations], ignore_index=True
    )
    catalog = read_catalogs([real_data / "bmkg/catalog_2018_2025.csv"])
    return label_windows(
        windows, catalog, stations, DataConfig(), read_index(real_data / "indices/kp_2018_2026.csv.gz", "kp")
    )


@pytest.fixture(scope="session")
def bmkg_samples(bmkg_labels: Labels) -> pd.DataFrame:
    """Event windows of the above and their matched controls."""
    return choose_controls(bmkg_labels, DataConfig()).samples
