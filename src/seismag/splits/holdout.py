"""The days of the locked hold-out set of a study; every model of the study records them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from seismag.arrays import BoolArray

REMEDY = "'seismag evaluate' can unblind it, and records each unblinding in the access log"


def locked_days(samples: pd.DataFrame, split: pd.DataFrame) -> list[str] | None:
    """Return the first and last locked day (UTC, ISO) of a split; None where there is no locked hold-out set."""
    locked = samples["sample_id"].isin(split.loc[split["role"] == "sealed", "sample_id"])
    if not locked.any():
        return None
    starts = samples.loc[locked, "start_utc"]
    return [f"{starts.min():%Y-%m-%d}", f"{starts.max():%Y-%m-%d}"]


def on_locked_days(days: Sequence[str] | None, samples: pd.DataFrame) -> BoolArray:
    """Return (n,) whether each window starts on a locked day.

    The days count, not the store: the same recordings prepared again are the same windows.

    Args:
        days: first and last locked day (``sealed_days_utc`` of a model card); None: no day is locked.
        samples: start_utc.
    """
    if days is None:
        return np.zeros(len(samples), dtype=bool)
    day = samples["start_utc"].to_numpy().astype("datetime64[D]")
    return np.asarray((day >= np.datetime64(days[0])) & (day <= np.datetime64(days[1])))
