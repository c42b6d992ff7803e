"""An unfinished or damaged store, which ``prepare`` goes on with, makes anew or refuses; its lock is held meanwhile."""

from __future__ import annotations

import logging
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from seismag.config import DataConfig
from seismag.domain import DataError, UsageError
from seismag.folder_lock import is_empty
from seismag.machine import raise_if_of_machine
from seismag.spectrograms.compute import make_grid
from seismag.windows import store as stores
from seismag.windows.store_checksums import CHECKSUMS_FILE, DAMAGE, read_checksums, shard_index, shard_paths

log = logging.getLogger(__name__)


def open_work(out: Path, fingerprint: str) -> tuple[Path | None, list[str]]:
    """Return the folder of unfinished work (None: finished, from the same inputs), and what was discarded.

    A damaged store of the same inputs becomes an unfinished one without any finished part; its access logs stay.

    Raises:
        UsageError: ``out`` contains something else, or a store of other inputs.
        DataError: it contains a damaged store, and what it was made of cannot be read.
    """
    work = out / ".work" / fingerprint[:16]
    finished, begun = (out / stores.SAMPLES_FILE).is_file(), (out / ".work").exists()
    recorded = set() if begun and not finished else _recorded_fingerprints(out)
    if out.is_file() or (out.is_dir() and not (is_empty(out) or begun or finished or recorded)):
        raise UsageError(f"{out}: exists and is not a store. Choose another --out.")
    discarded = []
    if finished or recorded:
        damage = _damage(out)
        if damage is None and fingerprint not in recorded:
            raise UsageError(
                f"{out}: contains a finished store of other files or settings. Choose another --out, or delete it."
            )
        if damage is None:
            shutil.rmtree(out / ".work", ignore_errors=True)
            return None, []
        if fingerprint not in recorded:
            made_of = "it was made of other files or settings" if recorded else "what it was made of cannot be read"
            raise DataError(f"{damage} But {made_of}: delete the folder {out}, or choose another --out.")
        discarded = [f"{out}: the store was damaged and has been made anew ({damage})"]
        shutil.rmtree(out / ".work", ignore_errors=True)
        for name in (stores.SAMPLES_FILE, CHECKSUMS_FILE):
            (out / name).unlink(missing_ok=True)
    elif begun and not work.exists():
        parts = len(list((out / ".work").glob("*/*/*.parquet")))
        if parts:
            discarded = [f"{out}: unfinished work for other files or settings was discarded ({parts} parts)"]
        shutil.rmtree(out / ".work")
    for sentence in discarded:
        log.warning(sentence)  # at once: this run may be interrupted too
    work.mkdir(parents=True, exist_ok=True)
    return work, discarded


def make_arrays(out: Path, work: Path, sample_ids: list[str], spec: DataConfig) -> None:
    """Make the arrays where they are not there, and drop the finished parts whose samples are not in them."""
    parts = work / "shards"
    if not ((work / "arrays").exists() and _has_arrays(out, sample_ids, spec)):
        shutil.rmtree(parts, ignore_errors=True)
        stores.create_arrays(out, sample_ids, spec)
        (work / "arrays").touch()
    group: Any = zarr.open_group(out, mode="r")
    arrays = [group[name] for name in (("power", "cross") if spec.cross_spectra else ("power",))]
    for part in parts.glob("*.parquet"):
        number = int(part.stem) // stores.SHARD_SAMPLES
        shards = [shard_paths(out / array.path, array.shape, stores.SHARD_SAMPLES)[number] for array in arrays]
        if not all(shard.is_file() and shard_index(shard, stores.SHARD_SAMPLES) is not None for shard in shards):
            part.unlink()


def _damage(out: Path) -> str | None:
    try:
        stores.open_store(out)
    except DataError as error:
        if error.reason == "other_version":
            raise
        return str(error)
    return None


def _has_arrays(path: Path, sample_ids: list[str], spec: DataConfig) -> bool:
    """Whether a folder contains the arrays of ``create_arrays`` with their axes; the samples may still be missing."""
    grid = make_grid(spec)
    axes = {"sample": np.array(sample_ids, dtype=object), "frequency": grid.frequency_hz, "time": grid.time_s}
    try:
        group: Any = zarr.open_group(path, mode="r")
        whole = [np.array_equal(stores.read_axis(path, group, name), values) for name, values in axes.items()]
        shapes = {group[name].shape[0] for name in ("power", "cross") if name == "power" or spec.cross_spectra}
    except (DataError, *DAMAGE) as error:
        raise_if_of_machine(error, path)
        return False
    return all(whole) and shapes == {len(sample_ids)}


def _recorded_fingerprints(path: Path) -> set[str]:
    """Return the fingerprints that attributes and checksums of a perhaps damaged store name; empty: none readable."""
    found: set[Any] = set()
    try:
        found.add(zarr.open_group(path, mode="r").attrs.get("fingerprint"))
    except DAMAGE as error:
        raise_if_of_machine(error, path)
    with suppress(DataError):
        sums = read_checksums(path)
        found.add(None if sums is None else sums.fingerprint)
    return {str(value) for value in found if value is not None}
