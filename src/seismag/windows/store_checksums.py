"""The checksums of a store, ``checksums.json``: of its tables, axes and metadata, and of the index of each array file.

The samples themselves carry a checksum each, in their zstd frames, which reading verifies. The access logs grow after
the preparation and have checksums of their own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seismag.domain import DataError, SeismagError
from seismag.files import file_sha256, read_checked_json, write_checked_json
from seismag.machine import raise_if_of_machine

CHECKSUMS_FILE = "checksums.json"
MAKE_ANEW = "Restore it, or run the same 'seismag prepare' again: it makes the store anew."
# what Zarr raises for damaged metadata
DAMAGE = (OSError, ValueError, RuntimeError, LookupError, TypeError, AttributeError, ArithmeticError, AssertionError)
_METADATA = "zarr.json"


@dataclass(frozen=True)
class StoreChecksums:
    """The content of ``checksums.json``.

    Attributes:
        fingerprint: of the inputs, as in the attributes; None: the store has none.
        files: sha256 by path within the store.
        indexes: of each array in shards, by name: the first 16 digits of the sha256 of each file's index.
    """

    fingerprint: str | None
    files: Mapping[str, str]
    indexes: Mapping[str, list[str]]


@dataclass(frozen=True)
class OpenedAs:
    """The content of a store when it was opened, by its file of checksums (of an older store by its table).

    Attributes:
        file: checksums.json or samples.parquet. sha256: of it.
        stat: its number, size and time, which are compared first.
    """

    file: Path
    sha256: str
    stat: tuple[int, ...] | None

    def require_same(self) -> None:
        """Refuse a store that was replaced or removed since it was opened.

        Raises:
            DataError: what is read now does not belong to what was read before.
        """
        if self.stat is not None and _stat(self.file) == self.stat:
            return
        now = _sha256(self.file)
        if now != self.sha256:
            raise DataError(
                f"{self.file.parent}: the store was replaced or removed while this command read it: the checksum of "
                f"{self.file.name} was {self.sha256[:12]} at the beginning and is {now[:12] or 'missing'} now. Results "
                "would mix two stores. Run the command again, and leave the store as it is until it ends; 'seismag "
                "prepare' makes another store in another folder (--out).",
                "replaced_store",
            )


def opened_as(path: Path, table: str) -> OpenedAs:
    """Return what a store is recognised by; call it before anything else in it is read."""
    file = path / (CHECKSUMS_FILE if (path / CHECKSUMS_FILE).exists() else table)
    stat = _stat(file)  # first: what is written in between has another one
    return OpenedAs(file.resolve(), _sha256(file), stat)


def _stat(file: Path) -> tuple[int, ...] | None:
    try:
        facts = file.stat()
    except OSError:
        return None
    return (facts.st_ino, facts.st_size, facts.st_mtime_ns)


def _sha256(file: Path) -> str:
    try:
        return file_sha256(file)
    except OSError:
        return ""


def write_checksums(path: Path, tables: Mapping[str, Path], fingerprint: str | None) -> None:
    """Write the checksums of a store whose arrays, metadata and tables are complete.

    Args:
        path: of the store.
        tables: by final name; the last one may still lie under a temporary name.
        fingerprint: of its inputs, by which ``prepare`` knows a damaged store again.
    """
    files = {name: file_sha256(table) for name, table in tables.items() if table.is_file()}
    files[_METADATA] = file_sha256(path / _METADATA)
    indexes: dict[str, list[str]] = {}
    for metadata in sorted(path.glob(f"*/{_METADATA}")):
        shape, per_shard = _layout(metadata)
        if per_shard is None:
            content = [file for file in sorted(metadata.parent.rglob("*")) if file.is_file()]
        else:
            content = [metadata]
            shards = shard_paths(metadata.parent, shape, per_shard)
            indexes[metadata.parent.name] = [index_sum(shard_index(shard, per_shard) or b"") for shard in shards]
        files |= {file.relative_to(path).as_posix(): file_sha256(file) for file in content}
    document = {"fingerprint": fingerprint, "files": files, "indexes": indexes}
    write_checked_json(path / CHECKSUMS_FILE, document)


def read_checksums(path: Path) -> StoreChecksums | None:
    """Read the checksums of a store; None for an older one without them.

    Raises:
        DataError: they are damaged themselves.
    """
    if not (path / CHECKSUMS_FILE).exists():
        return None
    try:
        document = read_checked_json(path / CHECKSUMS_FILE, MAKE_ANEW)
        return StoreChecksums(document["fingerprint"], dict(document["files"]), dict(document["indexes"]))
    except (SeismagError, *DAMAGE) as error:
        raise_if_of_machine(error, path / CHECKSUMS_FILE)
        raise DataError(f"{str(error).removesuffix(MAKE_ANEW).strip()} {MAKE_ANEW}", "damaged_store") from error


def require_unchanged(path: Path, sums: StoreChecksums) -> None:
    """Compare tables, axes and metadata with their checksums.

    Raises:
        DataError: a file is missing or was changed; the message names the first, and how many there are.
    """
    found = {name: _state(path / name, sha256) for name, sha256 in sums.files.items()}
    wrong = {name: state for name, state in found.items() if state is not None}
    if wrong:
        name, state = next(iter(wrong.items()))
        more = f" (and {len(wrong) - 1} more files)" if len(wrong) > 1 else ""
        raise DataError(f"{path / name}: {state}{more}. {MAKE_ANEW}", "damaged_store")


def require_shards(folder: Path, array: Any, sums: list[str] | None) -> None:
    """Refuse an array with missing files, which Zarr would read as NaN, truncated ones, or those of other samples."""
    shards = shard_paths(folder, array.shape, array.shards[0])
    absent = [shard for shard in shards if not shard.is_file()]
    if absent:
        raise DataError(
            f"{absent[0]}: {len(absent)} of {len(shards)} files of the array {folder.name} are missing. {MAKE_ANEW}",
            "damaged_store",
        )
    indexes = [shard_index(shard, array.shards[0]) for shard in shards]
    cut = [shard for shard, index in zip(shards, indexes, strict=True) if index is None]
    if cut:
        raise DataError(
            f"{cut[0]}: cut or damaged ({cut[0].stat().st_size} bytes); {len(cut)} of {len(shards)} files of the array "
            f"{folder.name} are. {MAKE_ANEW}",
            "damaged_store",
        )
    found = [index_sum(index or b"") for index in indexes]
    if sums is not None and found != sums:
        other = [shard for shard, *pair in zip(shards, found, sums, strict=False) if pair[0] != pair[1]] or [folder]
        raise DataError(
            f"{other[0]}: was changed after the preparation, or is the file of other samples; {len(other)} of "
            f"{len(shards)} files of the array {folder.name} are. {MAKE_ANEW}",
            "damaged_store",
        )


def require_order(table: Path, samples: pd.DataFrame, stored: NDArray[Any]) -> None:
    """Refuse a table in another order than the arrays, whose windows would get other windows' spectrograms."""
    if "sample_id" not in samples:
        raise DataError(f"{table}: has no column sample_id. {MAKE_ANEW}", "damaged_store")
    named = samples["sample_id"].astype(str).to_numpy(dtype=object)
    different = np.flatnonzero(named != stored.astype(object))
    if different.size:
        row = int(different[0])
        raise DataError(
            f"{table}: row {row + 1} is {named[row]}, but the spectrogram there is that of {stored[row]} "
            f"({different.size} of {len(named)} rows): it is in another order than the arrays. {MAKE_ANEW}",
            "damaged_store",
        )


def damaged_file(array: Any, first: int, end: int) -> Path | None:
    """Find the first file of an array of which one of the samples [first, end) cannot be read."""
    if not getattr(array, "shards", None) or not hasattr(array.store, "root"):
        return None
    size = array.shards[0]
    shards = shard_paths(Path(array.store.root, array.path), array.shape, size)
    for number in range(first // size, -(-end // size)):
        try:
            np.asarray(array[max(first, number * size) : min(end, (number + 1) * size)])
        except DAMAGE as error:
            raise_if_of_machine(error, shards[number])
            return shards[number]
    return None


def shard_paths(folder: Path, shape: tuple[int, ...], per_shard: int) -> list[Path]:
    """Name the files of an array in shards along its first axis."""
    rest = ["0"] * (len(shape) - 1)
    return [folder.joinpath("c", str(number), *rest) for number in range(-(-shape[0] // per_shard))]


def shard_index(shard: Path, chunks: int) -> bytes | None:
    """Read the index at the end of a shard: offsets and lengths (uint64) of its chunks, and a checksum of its own.

    Returns:
        Its bytes; None where it does not fit the size of the file, which was cut or damaged.
    """
    table_bytes = 16 * chunks + 4
    size = shard.stat().st_size
    if size < table_bytes:
        return None
    with shard.open("rb") as stream:
        stream.seek(-table_bytes, 2)
        index = stream.read(table_bytes)
    table = np.frombuffer(index[:-4], "<u8").reshape(-1, 2)
    stored = table[table[:, 0] != np.iinfo(np.uint64).max]  # else: no sample there
    return index if int(stored.sum(axis=1).max(initial=0)) == size - table_bytes else None


def index_sum(index: bytes) -> str:
    """Checksum of an index, which contains the length of each compressed sample: two shards hardly have the same."""
    return hashlib.sha256(index).hexdigest()[:16]


def _layout(metadata: Path) -> tuple[tuple[int, ...], int | None]:
    """Return the shape of an array, and its samples in a shard; None: it has no shards."""
    facts = json.loads(metadata.read_text(encoding="utf-8"))
    shape = tuple(facts["shape"])
    if facts["codecs"][0]["name"] != "sharding_indexed":
        return shape, None
    return shape, int(facts["chunk_grid"]["configuration"]["chunk_shape"][0])


def _state(file: Path, sha256: str) -> str | None:
    try:
        changed = file_sha256(file) != sha256
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        raise_if_of_machine(error, file)
        return f"cannot be read ({error.strerror})"
    return f"was changed after the preparation: its checksum is not that of {CHECKSUMS_FILE}" if changed else None
