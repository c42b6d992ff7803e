"""The contents of a store and what was left out of it, for JSON or a terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from seismag.archive.noise import describe_noise_band, noise_band_hz
from seismag.arrays import rounded
from seismag.windows.store import DAYS_FILE, LEGACY_IMAGE, REJECTED_FILE, SAMPLES_FILE, Store, open_store, read_table


def is_store(path: Path) -> bool:
    """Return whether a folder is a store, finished or not."""
    return (path / "zarr.json").is_file() or (path / ".work").is_dir() or (path / SAMPLES_FILE).is_file()


def inspect_store(path: Path) -> dict[str, Any]:
    """Summarise a store.

    Raises:
        DataError: not a finished store.
    """
    store = open_store(path)
    return {"store": str(path), **store_summary(store)}


def store_summary(store: Store) -> dict[str, Any]:
    """Count the contents of a store and what was left out, by reason."""
    samples = store.samples
    rejected = read_table(store.path, REJECTED_FILE)
    days = read_table(store.path, DAYS_FILE)
    pictures = store.attributes.get("origin") == LEGACY_IMAGE
    band = None if pictures else noise_band_hz(store.frequency_hz)
    return {
        "dataset_id": store.attributes["dataset_id"],
        "samples": len(samples),
        "shape": list(store.power.shape),
        "frequency_hz": None if pictures else [float(store.frequency_hz[0]), float(store.frequency_hz[-1])],
        "cross_spectra": store.cross is not None,
        "magnitude_classes": _counts(samples.get("magnitude_class")),
        "azimuth_classes": _counts(samples.get("azimuth_class")),
        "stations": _counts(samples.get("station")),
        "split_groups": int(samples["split_group"].nunique()) if len(samples) else 0,
        "events_without_control": int(((samples["magnitude_class"] != "Normal") & ~samples["matched"]).sum())
        if len(samples)
        else 0,
        "noise_floor_nt": {} if band is None else _medians(samples, "noise_floor_nt"),
        "noise_band_hz": band,
        "rejected": _counts(rejected["reason"]),
        "days": _counts(days["verdict"]),
        "range_rule": store.attributes["range_rule"],
        "origin": _counts(samples.get("origin")),
        "catalog_holes": store.attributes["catalog_holes"],
        "catalog_dropped": store.attributes.get("catalog_dropped", {}),
    }


def describe_store(facts: dict[str, Any]) -> str:
    """Return lines for a terminal."""

    def counts(name: str) -> str:
        return ", ".join(f"{count} {key}" for key, count in facts[name].items()) or "none"

    low, high = (1000 * value for value in facts["frequency_hz"] or (0, 0))
    axes = f"{low:.2f}-{high:.0f} mHz" if facts["frequency_hz"] else "pictures: levels and pixels, no physical axes"
    floors = ", ".join(
        f"{value:.4f} {station}" for station, value in facts["noise_floor_nt"].items() if value is not None
    )
    return "\n".join(
        [
            f"store       {facts['store']} (data set {facts['dataset_id']}, {counts('origin')})",
            f"samples     {facts['samples']}, each {' x '.join(map(str, facts['shape'][1:]))}, {axes}"
            f"{', with cross-spectra' if facts['cross_spectra'] else ''}",
            f"magnitude   {counts('magnitude_classes')}",
            f"azimuth     {counts('azimuth_classes')}",
            f"stations    {counts('stations')}",
            *([f"noise floor {floors} (nT rms {describe_noise_band(facts)}; median)"] if floors else []),
            f"groups      {facts['split_groups']}; event windows without a control: {facts['events_without_control']}",
            f"rejected    {counts('rejected')}",
            f"days        {counts('days')}",
            *(
                [f"catalogue   rule {facts['range_rule']}; holes: {', '.join(facts['catalog_holes']) or 'none'}"]
                if facts["range_rule"]
                else []
            ),
        ]
    )


def _counts(column: Any) -> dict[str, int]:
    return {} if column is None else {str(key): int(value) for key, value in column.value_counts().items()}


def _medians(samples: pd.DataFrame, column: str) -> dict[str, float | None]:
    medians = samples.groupby("station")[column].median() if column in samples else {}
    return {str(station): rounded(value, 6) for station, value in medians.items()}
