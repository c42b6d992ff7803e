"""The store: spectrograms with physical axes in Zarr v3, and a table of samples.

``xarray.open_zarr`` opens it. ``samples.parquet`` is written last, so a store without it is unfinished.
"""

from __future__ import annotations

import logging
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import zarr
from numpy.typing import NDArray
from zarr.codecs import ZstdCodec
from zarr.errors import ZarrUserWarning

from seismag.config import DataConfig
from seismag.domain import COMPONENTS, DataError
from seismag.files import atomic_path, file_sha256, write_table
from seismag.folder_lock import one_writer
from seismag.machine import raise_if_of_machine
from seismag.spectrograms.compute import PAIRS, make_grid
from seismag.table_files import originals, write_csv
from seismag.windows.schema import check_store, check_table, prepared_with
from seismag.windows.store_checksums import (
    CHECKSUMS_FILE,
    DAMAGE,
    MAKE_ANEW,
    OpenedAs,
    damaged_file,
    opened_as,
    read_checksums,
    require_order,
    require_shards,
    require_unchanged,
    write_checksums,
)
from seismag.windows.tried import begin_tried

log = logging.getLogger(__name__)
SCHEMA_VERSION = 1
LEGACY_IMAGE = "legacy_image"  # origin and preprocessing["kind"] of a store of pictures of an earlier system
IMAGE_CHANNELS = ("R", "G", "B")
COMPRESSION = ZstdCodec(level=1, checksum=True)  # of each sample; reading verifies it
SHARD_SAMPLES = 64  # one task of ``prepare``, one file on disk; a sample is one chunk within it
SAMPLES_FILE, REJECTED_FILE, DAYS_FILE = "samples.parquet", "rejected.csv", "days.parquet"
CATALOG_FILE = "catalog.parquet"
PREPROCESSING_KEYS = (
    "window_h", "segment_s", "step_s", "n_bins", "frequency_rows", "n_log_rows", "max_interpolated_gap_s",
)  # fmt: skip


@dataclass(eq=False)
class ArrayOfStore(zarr.Array[Any]):
    """An array of a store that knows the store it was opened in; ``read_samples`` refuses another one."""

    opened: OpenedAs


@dataclass(frozen=True)
class Store:
    """A finished store.

    Attributes:
        samples: one row for each sample, in the order of the arrays.
        power: Zarr array (n, 3, F, T) float16, dB re 1 nT²/Hz, NaN in masked time frames.
        cross: Zarr array (n, 3 pairs, 2 parts, F, T) float16 of unit phasors, or None.
        frequency_hz: (F,). time_s: (T,) seconds from the window's start to the middle of the segment.
        attributes: dataset_id, schema_version, config, preprocessing, inputs, counts.
    """

    path: Path
    samples: pd.DataFrame
    power: zarr.Array[Any]
    cross: zarr.Array[Any] | None
    frequency_hz: NDArray[np.float64]
    time_s: NDArray[np.float64]
    attributes: dict[str, Any]

    def require_same(self) -> None:
        """Refuse a folder that contains another store than when this one was opened (DataError)."""
        if isinstance(self.power, ArrayOfStore):
            self.power.opened.require_same()

    def samples_sha256(self) -> str:
        """Return the checksum of samples.parquet: of the labels, groups and times of the windows.

        Raises:
            DataError: the folder contains another store by now.
        """
        self.require_same()
        return file_sha256(self.path / SAMPLES_FILE)


def open_store(path: str | Path) -> Store:
    """Open a finished store.

    Raises:
        DataError: missing, not a store, unfinished, or of another schema version.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(
            f"{path}: no such store. Make one with 'seismag prepare' (or 'make demo', which leaves data/test)."
        )
    if (path / ".work").is_dir() and not (path / SAMPLES_FILE).is_file():
        raise DataError(f"{path}: its preparation was interrupted. Run the same 'seismag prepare' again to finish it.")
    opened = opened_as(path, SAMPLES_FILE)
    try:
        group = zarr.open_group(path, mode="r")
        attributes = dict(group.attrs)
    except DAMAGE as error:
        raise_if_of_machine(error, path)
        if (sums := read_checksums(path)) is not None and (path / SAMPLES_FILE).is_file():
            require_unchanged(path, sums)  # names the file
        raise DataError(
            f"{path}: not a store (no readable Zarr group). Name the folder that 'seismag prepare' wrote."
        ) from error
    version = attributes.get("schema_version")
    if version != SCHEMA_VERSION:
        raise DataError(
            f"{path}: a store of schema version {version}, this seismag reads version {SCHEMA_VERSION}. "
            "Prepare it again from the day files.",
            "other_version",
        )
    if not (path / SAMPLES_FILE).is_file():
        raise DataError(f"{path}: its preparation was interrupted. Run the same 'seismag prepare' again to finish it.")
    sums = read_checksums(path)
    if sums is not None:
        require_unchanged(path, sums)
    check_store(path, attributes, group)
    power: Any = group["power"]
    cross: Any = group.get("cross", None)
    if sums is None:
        _require_old(path, str(attributes.get("samples_sha256", "")), power)
    samples = read_table(path, SAMPLES_FILE)
    samples.attrs["dataset_id"] = attributes["dataset_id"]
    config = attributes.get("config")
    samples.attrs["controls"] = config.get("controls") if isinstance(config, dict) else None
    if "group_rule" in attributes:
        samples.attrs["group_rule"] = attributes["group_rule"]
    if len(samples) != power.shape[0]:
        raise DataError(
            f"{path}: {len(samples)} rows in {SAMPLES_FILE}, {power.shape[0]} spectrograms. Prepare it again."
        )
    for name, array in (("power", power), ("cross", cross)):
        if array is not None:
            require_shards(path / name, array, None if sums is None else sums.indexes.get(name, []))
    require_order(path / SAMPLES_FILE, samples, read_axis(path, group, "sample"))
    frequency, time = (read_axis(path, group, name) for name in ("frequency", "time"))
    opened.require_same()
    power, cross = (None if array is None else ArrayOfStore(array.async_array, opened) for array in (power, cross))
    return Store(path, samples, power, cross, frequency, time, attributes)


def _require_old(path: Path, samples_sha256: str, power: Any) -> None:
    """Refuse a store that has lost its checksums; an older one has none, but perhaps that of its samples."""
    if any(getattr(codec, "checksum", False) for codec in getattr(power, "compressors", ())):
        raise DataError(f"{path / CHECKSUMS_FILE}: is missing. {MAKE_ANEW}", "damaged_store")
    if samples_sha256 not in ("", file_sha256(path / SAMPLES_FILE)):
        raise DataError(f"{path / SAMPLES_FILE}: was changed after the preparation. {MAKE_ANEW}", "damaged_store")
    _warn_of_age(path.resolve())


@cache  # once a process
def _warn_of_age(path: Path) -> None:
    log.warning(
        "%s: made by an earlier version, without checksums: a changed byte is not noticed. Prepare it again.", path
    )


def read_samples(array: Any, first: int, end: int) -> NDArray[np.float16]:
    """Read the samples [first, end) of ``power`` or ``cross``.

    Raises:
        DataError: a file of the array is damaged, or the store was replaced since it was opened.
    """
    try:
        values = np.asarray(array[first:end])
    except DAMAGE as error:
        raise_if_of_machine(error, getattr(array, "store_path", "the array"))
        _require_same(array)
        where, remedy = getattr(array, "store_path", "the array"), "Delete the store and prepare it again."
        if (file := damaged_file(array, first, end)) is not None:
            where, remedy = file, "Delete that file and run the same 'seismag prepare' again: it makes the store anew."
        raise DataError(
            f"{where}: samples {first} to {end - 1} of the array cannot be read ({error}). {remedy}", "damaged_store"
        ) from error
    _require_same(array)  # after reading: Zarr takes a file that is gone for NaN
    return values


def _require_same(array: Any) -> None:
    if isinstance(array, ArrayOfStore):
        array.opened.require_same()


def read_axis(path: Path, group: zarr.Group, name: str) -> NDArray[Any]:
    with _damage_explained(path, f"array {name}"):
        array: Any = group[name]
        if array.nchunks_initialized < array.nchunks:
            raise ValueError("no file")  # Zarr would read zeros
        return np.asarray(array[:])


@contextmanager
def _damage_explained(path: Path, what: str) -> Iterator[None]:
    try:
        yield
    except DAMAGE as error:
        raise_if_of_machine(error, path)
        raise DataError(
            f"{path}: its {what} is missing or damaged ({error}). {MAKE_ANEW}",
            "damaged_store",
        ) from error


def read_table(path: Path, name: str) -> pd.DataFrame:
    """Read a table of a store.

    Raises:
        DataError: it is missing or damaged.
    """
    with _damage_explained(path, f"table {name}"):
        table = originals(pd.read_csv(path / name)) if name.endswith(".csv") else pd.read_parquet(path / name)
        return check_table(table, path / name)


def placebo_of(store: Any) -> str:
    """Return the kind of placebo windows in a store (``data.placebo``); ``none`` for true ones."""
    return str(store.attributes.get("placebo", "none"))


def store_catalog(store: Store) -> pd.DataFrame | None:
    """Read the earthquakes of the labels of a store; None for an older store without them."""
    store.require_same()
    return read_table(store.path, CATALOG_FILE) if (store.path / CATALOG_FILE).is_file() else None


def create_arrays(path: Path, sample_ids: list[str], spec: DataConfig) -> None:
    """Create empty arrays with their axes; replaces those of an unfinished store.

    Raises:
        DataError: the store is finished.
    """
    if (path / SAMPLES_FILE).exists():
        raise DataError(f"{path}: contains a finished store, which is not written over. Choose another folder.")
    grid = make_grid(spec)
    for stale in path.glob("*/zarr.json"):
        shutil.rmtree(stale.parent)
    (path / "zarr.json").unlink(missing_ok=True)
    group = zarr.open_group(path, mode="a")
    n, rows, columns = len(sample_ids), len(grid.frequency_hz), len(grid.time_s)
    _create(group, "power", (n, 3, rows, columns), ["sample", "component", "frequency", "time"],
            units="dB re 1 nT^2/Hz", long_name="power spectral density; NaN: column touched by a gap")  # fmt: skip
    axes: dict[str, tuple[Any, dict[str, str]]] = {
        "sample": (
            np.array(sample_ids, dtype=np.dtypes.StringDType()),
            {"long_name": "station and start of the window, UTC"},
        ),
        "component": (
            np.array(COMPONENTS, dtype=np.dtypes.StringDType()),
            {"long_name": "H: H axis, D: its east, Z: down"},
        ),
        "frequency": (grid.frequency_hz, {"units": "Hz"}),
        "time": (grid.time_s, {"units": "s", "long_name": "middle of the segment, from the start of the window"}),
    }
    if spec.cross_spectra:
        _create(group, "cross", (n, len(PAIRS), 2, rows, columns), ["sample", "pair", "part", "frequency", "time"],
                units="1", long_name="unit phasor of conj(a) b; X: H axis, Y: D axis")  # fmt: skip
        axes["pair"] = (np.array([name for name, _, _ in PAIRS], dtype=np.dtypes.StringDType()), {})
        axes["part"] = (np.array(["real", "imaginary"], dtype=np.dtypes.StringDType()), {})
    for name, (values, attributes) in axes.items():
        group.create_array(
            name,
            data=values,
            compressors=COMPRESSION,
            dimension_names=[name],
            attributes={**attributes},
            overwrite=True,
        )


def image_preprocessing(height: int, width: int) -> dict[str, object]:
    """Return the preprocessing of a store of pictures, which a model must match."""
    return {"kind": LEGACY_IMAGE, "height": height, "width": width, "channels": list(IMAGE_CHANNELS), "levels": 255}


def create_image_arrays(path: Path, sample_ids: list[str], height: int, width: int) -> None:
    """Create empty arrays for pictures: names and order as for power, but levels from 0 to 255 and pixel axes."""
    group = zarr.open_group(path, mode="a")
    _create(group, "power", (len(sample_ids), 3, height, width), ["sample", "component", "frequency", "time"],
            units="1", long_name="level of a picture, 0 to 255: not power")  # fmt: skip
    axes: dict[str, tuple[Any, str]] = {
        "sample": (np.array(sample_ids, dtype=np.dtypes.StringDType()), "name of the picture"),
        "component": (np.array(IMAGE_CHANNELS, dtype=np.dtypes.StringDType()), "channel of the picture"),
        "frequency": (np.arange(height, dtype=float), "pixel row from the top: not a frequency"),
        "time": (np.arange(width, dtype=float), "pixel column from the left: not a time"),
    }
    for name, (values, meaning) in axes.items():
        group.create_array(
            name,
            data=values,
            compressors=COMPRESSION,
            dimension_names=[name],
            attributes={"long_name": meaning, "units": "1"},
        )


def _create(group: zarr.Group, name: str, shape: tuple[int, ...], dimensions: list[str], **attributes: Any) -> None:
    group.create_array(
        name,
        shape=shape,
        dtype="float16",
        chunks=(1, *shape[1:]),
        shards=(SHARD_SAMPLES, *shape[1:]),
        compressors=COMPRESSION,
        fill_value=float("nan"),
        dimension_names=dimensions,
        attributes=attributes,
        overwrite=True,
    )


def write_shard(path: Path, first: int, power_db: NDArray[np.float16], phasors: NDArray[np.float16] | None) -> None:
    """Write the consecutive samples of one shard; a shard appears whole or not at all."""
    group = zarr.open_group(path, mode="r+")
    rows = slice(first, first + len(power_db))
    # without comparing each chunk with the fill value (a third of the time); all chunks of a shard in one batch
    with zarr.config.set({"array.write_empty_chunks": True, "codec_pipeline.batch_size": SHARD_SAMPLES}):
        group["power"][rows] = power_db  # type: ignore[index]
        if phasors is not None:
            group["cross"][rows] = phasors  # type: ignore[index]


def finish_store(
    path: Path, samples: pd.DataFrame, rejected: pd.DataFrame, days: pd.DataFrame, attributes: dict[str, Any]
) -> None:
    """Write the tables and attributes of a filled store; ``samples.parquet`` comes last."""
    with atomic_path(path / SAMPLES_FILE) as temporary:
        samples.to_parquet(temporary, index=False)
        zarr.open_group(path, mode="r+").attrs.update({"schema_version": SCHEMA_VERSION, **attributes})
        with warnings.catch_warnings():  # not yet specified in Zarr v3; xarray opens faster with it
            warnings.simplefilter("ignore", ZarrUserWarning)
            zarr.consolidate_metadata(path)
        write_table(days, path / DAYS_FILE)
        write_rejected(rejected, path)
        begin_tried(path, attributes["dataset_id"], samples)
        tables = {name: path / name for name in (REJECTED_FILE, DAYS_FILE, CATALOG_FILE)}
        write_checksums(path, {**tables, SAMPLES_FILE: temporary}, attributes.get("fingerprint"))


@one_writer()
def write_changed_store(source: Store, out: Path, samples: pd.DataFrame, power_db: NDArray[np.floating]) -> None:
    """Write a store like ``source`` with other windows, power (n, 3, F, T) in dB; without cross-spectra."""
    spec = prepared_with(source.attributes, source.path).model_copy(update={"cross_spectra": False})
    out.mkdir(exist_ok=True)
    create_arrays(out, samples["sample_id"].tolist(), spec)
    for first in range(0, len(samples), SHARD_SAMPLES):
        write_shard(out, first, power_db[first : first + SHARD_SAMPLES].astype(np.float16), None)
    tables = (read_table(source.path, REJECTED_FILE), read_table(source.path, DAYS_FILE))
    not_kept = ("schema_version", "samples_sha256", "fingerprint")
    kept = {key: value for key, value in source.attributes.items() if key not in not_kept}
    finish_store(out, samples, *tables, {**kept, "config": spec.model_dump(mode="json"), "dataset_id": out.stem})


def write_rejected(rejected: pd.DataFrame, folder: Path) -> None:
    """Write ``rejected.csv``: the windows that are not samples, and the files that could not be used."""
    with atomic_path(folder / REJECTED_FILE) as temporary:
        write_csv(rejected, temporary)
