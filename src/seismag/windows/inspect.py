"""The contents of a store and what was left out of it, for JSON or a terminal."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from seismag.archive.noise import describe_noise_band, noise_band_hz
from seismag.arrays import rounded
from seismag.domain import DataError
from seismag.parallel import Progress, silent
from seismag.windows.store import (
    DAYS_FILE,
    LEGACY_IMAGE,
    REJECTED_FILE,
    SAMPLES_FILE,
    SHARD_SAMPLES,
    Store,
    read_samples,
    read_table,
)
from seismag.windows.store_checksums import read_checksums


@dataclass(frozen=True)
class StoreSummary:
    """The contents of a store; the fields are the keys of ``seismag inspect STORE --json``.

    Attributes:
        frequency_hz, noise_band_hz: lowest and highest; None for pictures of an earlier system.
        noise_floor_nt: median of each station.
        rejected, days: counts of what was left out, by reason, and of days, by verdict.
    """

    store: str
    dataset_id: str
    samples: int
    shape: list[int]
    frequency_hz: list[float] | None
    cross_spectra: bool
    magnitude_classes: dict[str, int]
    azimuth_classes: dict[str, int]
    stations: dict[str, int]
    split_groups: int
    events_without_control: int
    noise_floor_nt: dict[str, float | None]
    noise_band_hz: tuple[float, float] | None
    rejected: dict[str, int]
    days: dict[str, int]
    range_rule: str | None
    origin: dict[str, int]
    catalog_holes: list[str]
    catalog_dropped: dict[str, int]

    def to_json(self) -> dict[str, object]:
        """Return plain values for JSON."""
        return asdict(self)

    def describe(self) -> str:
        """Return lines for a terminal."""
        axes = "pictures: levels and pixels, no physical axes"
        if self.frequency_hz is not None:
            axes = f"{1000 * self.frequency_hz[0]:.2f}-{1000 * self.frequency_hz[1]:.0f} mHz"
        if self.cross_spectra:
            axes += ", with cross-spectra"
        lines = [
            f"store       {self.store} (data set {self.dataset_id}, {_counted(self.origin)})",
            f"samples     {self.samples}, each {' x '.join(map(str, self.shape[1:]))}, {axes}",
            f"magnitude   {_counted(self.magnitude_classes)}",
            f"azimuth     {_counted(self.azimuth_classes)}",
            f"stations    {_counted(self.stations)}",
        ]
        floors = [f"{value:.4f} {station}" for station, value in self.noise_floor_nt.items() if value is not None]
        if floors and self.noise_band_hz is not None:
            band = describe_noise_band(self.noise_band_hz)
            lines.append(f"noise floor {', '.join(floors)} (nT rms {band}; median)")
        lines += [
            f"groups      {self.split_groups}; event windows without a control: {self.events_without_control}",
            f"rejected    {_counted(self.rejected)}",
            f"days        {_counted(self.days)}",
        ]
        if self.range_rule:
            lines.append(f"catalogue   criterion {self.range_rule}; holes: {', '.join(self.catalog_holes) or 'none'}")
        return "\n".join(lines)


@dataclass(frozen=True)
class StoreVerification:
    """The result of reading a whole store; the fields are the key ``verification`` of ``seismag inspect --json``.

    Attributes:
        files: with a checksum in checksums.json: tables, axes and metadata; all are as they were written.
        array_files, damaged: files of the arrays, and a sentence on each that is not as it was written.
        has_checksums: False for a store of an earlier version, of which only damaged frames are found.
    """

    files: int
    array_files: int
    damaged: tuple[str, ...]
    has_checksums: bool

    def describe(self) -> str:
        """Return lines for a terminal."""
        if self.damaged:
            return "\n".join(f"damaged     {sentence}" for sentence in self.damaged)
        if not self.has_checksums:
            return f"verified    {self.array_files} files of arrays can be read; there are no checksums to compare with"
        return (
            f"verified    {self.files} tables, axes and metadata, {self.array_files} files of arrays: none was changed"
        )


def verify_store(store: Store, progress: Progress = silent) -> StoreVerification:
    """Read all samples of an opened store, of which the other files are verified already."""
    sums = read_checksums(store.path)
    parts = [
        (array, first)
        for array in (store.power, store.cross)
        if array is not None
        for first in range(0, len(store.samples), SHARD_SAMPLES)
    ]
    damaged = []
    for done, (array, first) in enumerate(parts):
        progress("verify", done, len(parts))
        try:
            read_samples(array, first, min(first + SHARD_SAMPLES, len(store.samples)))
        except DataError as error:
            damaged.append(str(error))
    progress("verify", len(parts), len(parts))
    return StoreVerification(0 if sums is None else len(sums.files), len(parts), tuple(damaged), sums is not None)


def is_store(path: Path) -> bool:
    """Return whether a folder is a store, finished or not."""
    return (path / "zarr.json").is_file() or (path / ".work").is_dir() or (path / SAMPLES_FILE).is_file()


def inspect_store(store: Store) -> StoreSummary:
    """Count the contents of a store and what was left out, by reason."""
    samples = store.samples
    pictures = store.attributes.get("origin") == LEGACY_IMAGE
    band = None if pictures else noise_band_hz(store.frequency_hz)
    known = band is not None and "noise_floor_nt" in samples
    floors = samples.groupby("station")["noise_floor_nt"].median() if known else {}
    without_control = 0
    if len(samples):
        without_control = int(((samples["magnitude_class"] != "Normal") & ~samples["matched"]).sum())
    return StoreSummary(
        store=str(store.path),
        dataset_id=store.attributes["dataset_id"],
        samples=len(samples),
        shape=list(store.power.shape),
        frequency_hz=None if pictures else [float(store.frequency_hz[0]), float(store.frequency_hz[-1])],
        cross_spectra=store.cross is not None,
        magnitude_classes=_counts(samples.get("magnitude_class")),
        azimuth_classes=_counts(samples.get("azimuth_class")),
        stations=_counts(samples.get("station")),
        split_groups=int(samples["split_group"].nunique()) if len(samples) else 0,
        events_without_control=without_control,
        noise_floor_nt={str(station): rounded(value, 6) for station, value in floors.items()},
        noise_band_hz=band,
        rejected=_counts(read_table(store.path, REJECTED_FILE)["reason"]),
        days=_counts(read_table(store.path, DAYS_FILE)["verdict"]),
        range_rule=store.attributes["range_rule"],
        origin=_counts(samples.get("origin")),
        catalog_holes=store.attributes["catalog_holes"],
        catalog_dropped=store.attributes.get("catalog_dropped", {}),
    )


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items()) or "none"


def _counts(column: Any) -> dict[str, int]:
    return {} if column is None else {str(key): int(value) for key, value in column.value_counts().items()}
