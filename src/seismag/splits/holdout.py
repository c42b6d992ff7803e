"""The days that a study has sealed, as its models know them: no command but ``evaluate --sealed`` predicts on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

REMEDY = "'seismag evaluate --sealed' looks at them and keeps a ledger"


def locked_days(samples: pd.DataFrame, split: pd.DataFrame) -> list[str] | None:
    """First and last sealed day (UTC, ISO) of a split; None where it seals none.

    Args:
        samples: sample_id, start_utc. split: sample_id, role.
    """
    sealed = samples["sample_id"].isin(split.loc[split["role"] == "sealed", "sample_id"])
    if not sealed.any():
        return None
    starts = samples.loc[sealed, "start_utc"]
    return [f"{starts.min():%Y-%m-%d}", f"{starts.max():%Y-%m-%d}"]


def on_locked_days(card: Mapping[str, Any], samples: pd.DataFrame) -> NDArray[np.bool_]:
    """(n,) windows of any store that start on a day which the model's study has sealed.

    The days count, not the store: the same recordings prepared anew are the same windows.

    Args:
        card: of the model; one without ``sealed_days_utc`` has sealed none.
        samples: start_utc.
    """
    days = card.get("sealed_days_utc")
    if days is None:
        return np.zeros(len(samples), dtype=bool)
    day = samples["start_utc"].to_numpy().astype("datetime64[D]")
    return np.asarray((day >= np.datetime64(days[0])) & (day <= np.datetime64(days[1])))
