"""A data set of the earlier system in small: pictures and a metadata table with its real column names."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from seismag.domain import azimuth_classes, magnitude_classes

COLUMNS = [
    "station", "date", "hour", "azimuth", "magnitude", "azimuth_class", "magnitude_class", "h_mean", "samples",
    "spectrogram_file", "image_size", "data_source", "dataset_source", "image_type", "unified_path",
    "augmentation_type", "augmentation_id", "filename", "kp_index", "mag_class", "azi_class", "spectrogram_path",
]  # fmt: skip


def png(seed: int, size: tuple[int, int] = (32, 32), mode: str = "RGB") -> bytes:
    """Bytes of a picture; another seed, another picture."""
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(stream, "PNG")
    return stream.getvalue()


def event(station: str, date: str, hour: int, azimuth: float, magnitude: float, **other: Any) -> dict[str, Any]:
    """A sound row of an event."""
    name = f"{station}_{date.replace('-', '')}_H{hour:02d}_3comp_spec.png"
    return {
        "station": station, "date": date, "hour": float(hour), "azimuth": azimuth, "magnitude": magnitude,
        "azimuth_class": str(azimuth_classes(azimuth)[0]), "magnitude_class": str(magnitude_classes(magnitude)[0]),
        "samples": 3600.0, "spectrogram_file": name, "filename": name, "image_type": "original",
        "dataset_source": "v2.1_original", "unified_path": f"spectrograms/original/{name}", **other,
    }  # fmt: skip


def normal(station: str, date: str, hour: int, **other: Any) -> dict[str, Any]:
    """A sound row of a quiet window, as the published tables write it."""
    name = f"{station}_{date.replace('-', '')}_H{hour:02d}_normal_3comp_spec.png"
    return {
        "station": station, "date": date, "hour": float(hour), "azimuth": "Normal", "magnitude": "Normal",
        "azimuth_class": "Normal", "magnitude_class": "Normal", "samples": 3600.0, "spectrogram_file": name,
        "filename": name, "image_type": "normal", "dataset_source": "quiet_days.csv",
        "unified_path": f"spectrograms/normal/{name}", **other,
    }  # fmt: skip


def augmented(row: dict[str, Any], number: int) -> dict[str, Any]:
    """A copy of a row as the earlier system marked it."""
    name = row["filename"].replace("_3comp", f"_aug{number}_3comp")
    return {
        **row, "filename": name, "spectrogram_file": name, "unified_path": f"spectrograms/augmented/{name}",
        "image_type": "augmented", "dataset_source": "augmented", "augmentation_type": "augmented",
        "augmentation_id": float(number), "samples": "",
    }  # fmt: skip


def sound_rows(n_days: int = 12) -> list[dict[str, Any]]:
    """Event days at two stations and quiet days at one; azimuths all around, magnitudes in three classes."""
    rows = []
    for day in range(n_days):
        date = f"2021-{1 + day // 3:02d}-{1 + 9 * (day % 3):02d}"
        rows.append(event("SCN", date, 3, (47 * day) % 360, 4.2 + (0.7 * day) % 2.4))
        rows.append(event("MLB", date, 3, (47 * day + 90) % 360, 4.2 + (0.7 * day) % 2.4))
        rows.append(normal("TRD", f"2021-{1 + day // 3:02d}-{5 + 9 * (day % 3):02d}", 12))
    return rows


def write_table(path: Path, rows: list[dict[str, Any]], columns: list[str] = COLUMNS) -> Path:
    """Write a metadata table; a column that a row lacks is empty."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, restval="", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_pictures(folder: Path, rows: list[dict[str, Any]], size: tuple[int, int] = (32, 32)) -> None:
    """Write a picture of its own for each row, where ``unified_path`` says."""
    for seed, row in enumerate(rows):
        path = folder / row["unified_path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(seed, size))


def write_data_set(folder: Path, rows: list[dict[str, Any]]) -> Path:
    """Write table and pictures."""
    write_table(folder / "metadata.csv", rows)
    write_pictures(folder, rows)
    return folder
