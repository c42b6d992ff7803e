"""Labels of windows from the samples, and the choice of those before mainshocks."""

from __future__ import annotations

import pandas as pd

from seismag.scoring.predictions import TRAINED_ON_REMEDY, positions_of

# of samples.parquet, all optional; a table of predictions may contain them itself
LABEL_COLUMNS = (
    "is_mainshock", "is_aftershock", "magnitude", "distance_km", "azimuth_deg", "in_dobrovolsky", "in_hattori",
)  # fmt: skip
MAINSHOCKS_UNKNOWN = (
    "Which events are mainshocks is not known (columns is_mainshock, is_aftershock): windows before aftershocks are "
    "evaluated with the others. `--data STORE` adds the columns."
)


def add_label_columns(rows: pd.DataFrame, samples: pd.DataFrame | None) -> pd.DataFrame:
    """Add the ``LABEL_COLUMNS`` of the samples to the rows by sample_id; without samples the rows stay as they are.

    Raises:
        DataError: a window is not in the samples.
    """
    if samples is None:
        return rows
    positions = positions_of(
        samples["sample_id"], rows["sample_id"], " of the predictions", "the samples", TRAINED_ON_REMEDY
    )
    columns = [column for column in LABEL_COLUMNS if column in samples]
    return rows.assign(**{column: samples[column].to_numpy()[positions] for column in columns})


def knows_mainshocks(rows: pd.DataFrame) -> bool:
    """Whether mainshocks are known: some event of the rows is marked as mainshock or aftershock."""
    columns = [column for column in ("is_mainshock", "is_aftershock") if column in rows]
    return "is_mainshock" in columns and bool(rows[columns].fillna(False).astype(bool).to_numpy().any())


def mainshocks_and_normal(rows: pd.DataFrame, class_column: str = "y_magnitude") -> pd.Series:
    """Select the windows whose label event is a mainshock, and the Normal windows, (n,) bool."""
    return (rows[class_column] == "Normal") | rows["is_mainshock"].fillna(False).astype(bool)
