"""Whether predictions agree with the store and the split that they claim: labels, groups and sets are the store's."""

from __future__ import annotations

import numpy as np
import pandas as pd

from seismag.domain import DataError
from seismag.scoring.predictions import TRAINED_ON_REMEDY, positions_of

# column of the predictions -> column of the store
_SAME = {
    "station": "station", "start_utc": "start_utc", "split_group": "split_group", "event_id": "event_id",
    "y_magnitude": "magnitude_class", "y_azimuth": "azimuth_class",
}  # fmt: skip


def require_agreement(predictions: pd.DataFrame, samples: pd.DataFrame, split: pd.DataFrame | None) -> list[str]:
    """Compare predictions with the store of their windows, and with the split where it is known.

    Args:
        predictions: columns of docs/data-formats.md, PREDICTIONS.
        samples: of the store.
        split: sample_id, fold, role.

    Returns:
        Sentences on test windows of the split that the predictions lack.

    Raises:
        DataError: a window is not in the store; station, time, label, event or group of a window differ from the
            store's; or its fold and set from the split's.
    """
    where = positions_of(samples["sample_id"], predictions["sample_id"], "", "the store", TRAINED_ON_REMEDY)
    ids = predictions["sample_id"].astype(str).to_numpy()
    for ours, theirs in _SAME.items():
        if theirs not in samples:  # a store of an older version
            continue
        stated, stored = (
            column.astype(object).replace("", None) for column in (predictions[ours], samples[theirs].iloc[where])
        )
        if ours == "start_utc":
            stated, stored = pd.to_datetime(stated), pd.to_datetime(stored)
        both_missing = stated.isna().to_numpy() & stored.isna().to_numpy()
        differ = np.flatnonzero(~((stated.to_numpy() == stored.to_numpy()) | both_missing))
        if differ.size:
            row = differ[0]
            raise DataError(
                f"predictions: {ours} of {differ.size} windows is not that of the store, for example "
                f"{stated.iloc[row]!r} for {ids[row]}, {stored.iloc[row]!r} in the store. Labels and groups are the "
                "store's: use the table as it was written, or the store that it was made on."
            )
    return [] if split is None else _compare_sets(predictions, split)


def _compare_sets(predictions: pd.DataFrame, split: pd.DataFrame) -> list[str]:
    keys = ["sample_id", "fold", "role"]
    stated = pd.MultiIndex.from_frame(predictions[keys].astype({"sample_id": str, "fold": int, "role": str}))
    of_split = pd.MultiIndex.from_frame(split[keys].astype({"sample_id": str, "fold": int, "role": str}))
    known = stated.isin(of_split)
    if not known.all():
        sample, fold, role = stated[~known][0]
        raise DataError(
            f"predictions: {int((~known).sum())} rows are in another set than in the split, for example {sample}: "
            f"{role} of fold {fold}. Use the table as it was written, or name its own split (--split)."
        )
    tested = of_split[of_split.get_level_values("role") == "test"]
    tested = tested[tested.get_level_values("fold").isin(stated.get_level_values("fold"))]
    absent = int((~tested.isin(stated)).sum())
    if not absent or not (stated.get_level_values("role") == "test").any():
        return []
    return [f"{absent} of {len(tested)} test windows of the split are not among the predictions."]
