"""What a store has to contain: its attributes, its arrays, and what its tables are made of (docs/data-formats.md)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import zarr
from pydantic import Field

from seismag.config import DataConfig
from seismag.documents import Columns, Document, check_columns, check_document, damage_explained
from seismag.domain import AZIMUTH_CLASSES, MAGNITUDE_CLASSES, DataError

_AGAIN = "Restore it, or delete the store and prepare it again."
_IMAGE = "legacy_image"
_NUMBERS = (
    "magnitude", "depth_km", "distance_km", "azimuth_deg", "lead_hours", "es", "past_rate", "kp_max", "dst_min_nt",
    "gap_fraction", "masked_fraction", "local_hour", "noise_floor_nt", "h_axis_deg",
)  # fmt: skip
_FLAGS = ("is_mainshock", "is_aftershock", "in_dobrovolsky", "in_hattori")
_SAMPLES: Columns = {
    "sample_id": "text", "station": "text", "start_utc": "time", "end_utc": "time", "split_group": "text",
    "event_id": "text?", "cluster_ids": "texts", "event_ids?": "texts",
    "magnitude_class": "|".join(MAGNITUDE_CLASSES), "azimuth_class": "|".join(AZIMUTH_CLASSES),
    "matched": "flag", "origin?": "text", "origin_utc?": "time?", "control_of?": "text?", "source_sha256?": "text?",
    "h_axis_source?": "text?", **{f"{name}?": "number?" for name in _NUMBERS},
    **{f"{name}?": "flag?" for name in _FLAGS},
}  # fmt: skip
TABLES: Mapping[str, Columns] = {
    "samples.parquet": _SAMPLES,
    "rejected.csv": {"reason": "text"},
    "days.parquet": {
        "verdict": "text", "paths?": "texts", "station?": "text?", "day?": "time?", "start_utc?": "time?",
        "end_utc?": "time?", "format?": "text?", "origin?": "text?", "reason?": "text?", "sha256?": "text?",
        "h_axis_deg?": "number?", "h_median_nt?": "number?", "d_median_nt?": "number?", "z_median_nt?": "number?",
    },
    "catalog.parquet": {
        "event_id": "text", "origin_utc": "time", "latitude_deg": "number", "longitude_deg": "number",
        "depth_km?": "number?", "magnitude": "number",
    },
}  # fmt: skip


class _Position(Document):
    latitude_deg: float
    longitude_deg: float


class _Lengths(Document):
    """What is read of ``config`` in any store; one of recordings has all of the section ``data``."""

    window_h: float = Field(gt=0)
    horizon_h: float = Field(ge=0)
    controls: str = ""


class _Attributes(Document):
    dataset_id: str
    config: _Lengths
    preprocessing: Mapping[str, Any]
    range_rule: str | None
    catalog_holes: list[str]
    catalog_dropped: dict[str, int] = Field(default_factory=dict)
    origin: str | None = None
    inputs: Mapping[str, Any] | None = None
    stations: dict[str, _Position] | None = None
    components: list[str] = Field(default_factory=list)
    placebo: str = "none"
    group_rule: str = ""
    fingerprint: str = ""
    samples_sha256: str = ""


def check_store(path: Path, attributes: Mapping[str, Any], group: zarr.Group) -> None:
    """Compare attributes and arrays with what a store has; keys that are not known are left alone.

    Raises:
        DataError: names the attribute or the array, what was found and what is expected.
    """
    check_document(_Attributes, dict(attributes), f"{path}, attributes of the store", _AGAIN)
    if attributes.get("origin") != _IMAGE:
        prepared_with(attributes, path)
    sizes = {}
    for name, dimensions in (("power", 4), ("cross", 5), ("frequency", 1), ("time", 1)):
        with damage_explained(f"{path}, its array {name}", _AGAIN):
            array: Any = group.get(name)
        if array is None and name == "cross":
            continue
        if not isinstance(array, zarr.Array) or array.ndim != dimensions or not np.issubdtype(array.dtype, np.floating):
            found = f"{array.dtype} {array.shape}" if isinstance(array, zarr.Array) else "absent"
            raise DataError(
                f"{path}: its array {name} is missing or damaged: {found}, expected are numbers in {dimensions} "
                f"dimensions. {_AGAIN}",
                "damaged_store",
            )
        sizes[name] = array.shape
    if any(sizes[name][-2:] != (*sizes["frequency"], *sizes["time"]) for name in ("power", "cross") if name in sizes):
        raise DataError(f"{path}: its arrays and axes differ in length ({sizes}). {_AGAIN}", "damaged_store")


def prepared_with(attributes: Mapping[str, Any], path: Path) -> DataConfig:
    """Return the section ``data`` by which a store of recordings was prepared; keys of a later version are left out.

    Raises:
        DataError: a key is missing, of another type or impossible.
    """
    known = {key: value for key, value in attributes["config"].items() if key in DataConfig.model_fields}
    return check_document(DataConfig, known, f"{path}, attribute config of the store", _AGAIN)


def check_table(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Return a table of a store, with the columns and types of its name (DataError)."""
    columns = TABLES.get(path.name, {})
    if path.name == "samples.parquet" and not len(table):
        return table  # a store without a window
    if "origin" in table and (table["origin"] == _IMAGE).all():  # a picture may have neither time nor station
        columns = {**columns, "station": "text?", "start_utc": "time?", "end_utc": "time?"}
    check_columns(table, columns, path, _AGAIN)
    if path.name == "samples.parquet" and len(table) and table["sample_id"].duplicated().any():
        twice = table.loc[table["sample_id"].duplicated(), "sample_id"].iloc[0]
        raise DataError(f"{path}: sample_id {twice} occurs twice. {_AGAIN}", "damaged_table")
    return table
