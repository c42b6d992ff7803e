"""Which windows are judged: what the samples say of them, and the choice of mainshocks only."""

from __future__ import annotations

import pandas as pd

from seismag.domain import DataError

# of samples.parquet, all optional; a predictions table may bring them itself
LABEL_COLUMNS = (
    "is_mainshock", "is_aftershock", "magnitude", "distance_km", "azimuth_deg", "in_dobrovolsky", "in_hattori",
)  # fmt: skip
MAINSHOCKS_UNKNOWN = (
    "Nothing says which events are mainshocks (columns is_mainshock, is_aftershock): windows that point at aftershocks "
    "are judged with the others. `--data STORE` brings the columns."
)


def add_label_columns(rows: pd.DataFrame, samples: pd.DataFrame | None) -> pd.DataFrame:
    """Give each row what the samples say of its window; without samples the rows stay as they are.

    Args:
        rows: predictions; sample_id.
        samples: sample_id and any of ``LABEL_COLUMNS``.

    Raises:
        DataError: a window is not in the samples.
    """
    if samples is None:
        return rows
    known = pd.Index(samples["sample_id"].astype(str))
    places = known.get_indexer(pd.Index(rows["sample_id"].astype(str)))
    if (places < 0).any():
        unknown = rows["sample_id"].to_numpy()[places < 0]
        raise DataError(
            f"{len(unknown)} of {len(rows)} windows of the predictions are not in the samples, for example "
            f"{unknown[0]}. Use the store that the model was trained on."
        )
    told = samples[[column for column in LABEL_COLUMNS if column in samples]]
    return rows.assign(**{column: told[column].to_numpy()[places] for column in told})


def knows_mainshocks(rows: pd.DataFrame) -> bool:
    """Whether the rows say which event windows point at a mainshock.

    A table that calls no event a mainshock and none an aftershock does not know: imported pictures, for instance.
    """
    columns = [column for column in ("is_mainshock", "is_aftershock") if column in rows]
    return "is_mainshock" in columns and bool(rows[columns].fillna(False).astype(bool).to_numpy().any())


def mainshocks_and_normal(rows: pd.DataFrame, class_column: str = "y_magnitude") -> pd.Series:
    """Mark the windows whose label event is a mainshock, and the Normal windows."""
    return (rows[class_column] == "Normal") | rows["is_mainshock"].fillna(False).astype(bool)
