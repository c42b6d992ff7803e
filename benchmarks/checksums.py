"""Did a change of the code change a number? Checksums of the artefacts of a demonstration and of benchmarks.

    python benchmarks/checksums.py demo data splits experiments_convnext models [--write before.json]
    python benchmarks/checksums.py demo data splits experiments_convnext models --against before.json

Walks through folders of finished runs and prints the checksum of each artefact's content:

- day files: their bytes, one row a folder; arrays of a store: type, shape and values, and bytes of the chunks;
- tables (parquet, csv): names and types of the columns, values; weights (.pth): name, type, shape and values of each
  tensor; .npy: the array;
- JSON and YAML files, attributes of a store, the model card in a .pth: keys and numbers, names (text without a space),
  and sentences (text with one), a row each. In tables, columns with sentences have a row of their own too.

Left out are keys and columns that differ from run to run (VOLATILE), the time stamp in a run's name, and the folder of
an absolute path. Figures, pages and logs are not read.

--against compares with rows that --write stored, prints each difference and exits with 1. Other sentences are printed
but change the exit code only with --sentences. For JSON, YAML and model cards the values that differ are printed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import torch
import yaml
import zarr

VOLATILE = {
    "created_utc", "finished_utc", "seconds", "git", "code", "command_line",
    "fingerprint",  # of a store: its form depends on the version
    "sha256", "replaces_sha256",  # of a .pth: the file holds its run's time stamp
}  # fmt: skip
VOLATILE_COLUMNS = {"seconds"}
RUN_STAMP = re.compile(r"_\d{8}_\d{6}")
SENTENCES = "sentences"
FROM_SENTENCES = "certificate_sha256"  # of the split's .json, which holds its rules as sentences
MOST_VALUES = 20  # printed of one artefact


@dataclass(frozen=True)
class Row:
    """One artefact, or one part of it; the values are kept where they are few enough to be printed."""

    artefact: str
    part: str
    n: int
    sha256: str
    values: dict[str, Any] = field(default_factory=dict)


def checksum(parts: Iterable[bytes]) -> str:
    """SHA-256 of byte strings, each preceded by its length."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()


def without_run(text: str) -> str:
    """Text without the time stamp of a run; of an absolute path the last part."""
    return RUN_STAMP.sub("", Path(text).name if text.startswith("/") else text)


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Path and value of each leaf of nested dictionaries and lists; an empty one is a leaf."""
    if isinstance(value, dict) and value:
        for key, child in value.items():
            if key not in VOLATILE:
                yield from leaves(child, f"{path}/{key}")
    elif isinstance(value, list | tuple) and value:
        for i, child in enumerate(value):
            yield from leaves(child, f"{path}/{i}")
    else:
        yield path, value


def document_rows(name: str, document: Any) -> Iterator[Row]:
    """Numbers with all keys, names and sentences of a JSON document."""
    parts: dict[str, dict[str, Any]] = {"numbers": {}, "names": {}, SENTENCES: {}}
    for path, value in leaves(document):
        parts["numbers"][path] = "text" if isinstance(value, str) else value
        if isinstance(value, str):
            is_sentence = " " in value or path.endswith(FROM_SENTENCES)
            parts[SENTENCES if is_sentence else "names"][path] = without_run(value)
    for part, values in parts.items():
        if values:
            text = json.dumps(values, sort_keys=True, default=str)
            yield Row(name, part, len(values), checksum([text.encode()]), json.loads(text))


def array_row(name: str, array: Any) -> Row:
    """Type, shape and decoded values of an array, block by block along its first axis."""
    step = (getattr(array, "shards", None) or getattr(array, "chunks", None) or array.shape)[0]
    digest = hashlib.sha256(f"{array.dtype} {tuple(array.shape)}".encode())
    for start in range(0, array.shape[0], max(step, 1)):
        digest.update(np.ascontiguousarray(array[start : start + step]).tobytes())
    return Row(name, "values", int(np.prod(array.shape)), digest.hexdigest())


def files_row(name: str, part: str, paths: list[Path], base: Path) -> Row:
    """Names and bytes of files."""
    named = ((path.relative_to(base).as_posix().encode(), path.read_bytes()) for path in paths)
    return Row(name, part, len(paths), checksum(chain.from_iterable(named)))


def table_rows(name: str, columns: dict[str, tuple[str, list[Any]]], attributes: str = "") -> Iterator[Row]:
    """Columns, each with its type and values; those with a sentence have a row of their own."""
    parts: dict[str, list[bytes]] = {"values": [attributes.encode()], SENTENCES: []}
    for column, (kind, values) in columns.items():
        if column not in VOLATILE_COLUMNS:
            wordy = any(isinstance(value, str) and " " in value for value in values)
            text = json.dumps([column, kind, values], default=repr)
            parts[SENTENCES if wordy else "values"].append(RUN_STAMP.sub("", text).encode())
    n = max((len(values) for _, values in columns.values()), default=0)
    for part, texts in parts.items():
        if texts:
            yield Row(name, part, n, checksum(texts))


def parquet_rows(name: str, path: Path) -> Iterator[Row]:
    """A parquet table with the attributes that pandas keeps in it."""
    table = pq.read_table(path)
    columns = {key: (str(table.schema.field(key).type), table.column(key).to_pylist()) for key in table.column_names}
    return table_rows(name, columns, ((table.schema.metadata or {}).get(b"PANDAS_ATTRS") or b"").decode())


def csv_rows(name: str, path: Path) -> Iterator[Row]:
    """A csv table as it is written: numbers are not parsed."""
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    return table_rows(name, {key: ("text", table[key].tolist()) for key in table.columns})


def weight_rows(name: str, path: Path) -> Iterator[Row]:
    """Tensors of a .pth file, and the other values in it."""
    tensors: list[bytes] = []
    others: dict[str, Any] = {}
    for key, value in leaves(torch.load(path, map_location="cpu", weights_only=True)):
        if isinstance(value, torch.Tensor):
            array = value.contiguous().numpy()
            tensors += [f"{key} {array.dtype} {array.shape}".encode(), array.tobytes()]
        else:
            others[key] = value
    yield Row(name, "tensors", len(tensors) // 2, checksum(tensors))
    yield from document_rows(name, others)


def store_rows(name: str, path: Path) -> Iterator[Row]:
    """Arrays and attributes of a store; its tables are files like others."""
    group = zarr.open_group(path, mode="r")
    yield from document_rows(name, dict(group.attrs))
    for key, array in sorted(group.arrays()):
        yield array_row(f"{name}/{key}", array)
        chunks = [chunk for chunk in sorted((path / key).rglob("*")) if chunk.is_file() and chunk.name != "zarr.json"]
        yield files_row(f"{name}/{key}", "chunks", chunks, path)
        yield from document_rows(f"{name}/{key}", dict(array.attrs))


def file_rows(name: str, path: Path) -> Iterator[Row]:
    """Rows of one file; nothing for a kind that is not read."""
    if path.suffix == ".parquet":
        yield from parquet_rows(name, path)
    elif path.suffix == ".csv":
        yield from csv_rows(name, path)
    elif path.suffix == ".json" and path.name != "checksums.json":  # of a store, of which the files are read here
        yield from document_rows(name, json.loads(path.read_text()))
    elif path.suffix in (".yaml", ".yml"):
        yield from document_rows(name, yaml.safe_load(path.read_text()))
    elif path.suffix == ".pth":
        yield from weight_rows(name, path)
    elif path.suffix == ".npy":
        yield array_row(name, np.load(path))


def artefact_rows(path: Path, base: Path) -> Iterator[Row]:
    """Rows of a file, or of everything in a folder."""
    name = without_run(path.relative_to(base).as_posix())
    if path.is_file():
        yield from file_rows(name, path)
        return
    inside = sorted(path.iterdir())
    is_store = (path / "zarr.json").exists()
    if is_store:
        yield from store_rows(name, path)
    arrays = {child for child in inside if is_store and (child.name == "zarr.json" or (child / "zarr.json").exists())}
    day_files = [child for child in inside if child.suffix == ".gz"]
    if day_files:
        yield files_row(name, "day files", day_files, path)
    for child in inside:
        if child not in arrays:
            yield from artefact_rows(child, base)


def collect_rows(paths: list[Path]) -> dict[str, Row]:
    """All rows by artefact and part.

    Raises:
        SystemExit: nothing was found, or two artefacts differ in nothing but a time stamp.
    """
    rows: dict[str, Row] = {}
    for path in paths:
        for row in artefact_rows(path.absolute(), path.absolute().parent):
            key = f"{row.artefact}: {row.part}"
            if key in rows:
                raise SystemExit(f"{key}: found twice. Give the folders of one run only.")
            rows[key] = row
    if not rows:
        raise SystemExit(f"{', '.join(map(str, paths))}: nothing to read. Give the folders of a finished run.")
    return rows


def differences(before: dict[str, Row], after: dict[str, Row]) -> dict[str, list[str]]:
    """Keys of rows that differ or that one side lacks, with the values that differ where they are kept."""
    found: dict[str, list[str]] = {}
    for key in sorted(before.keys() | after.keys()):
        if key not in before or key not in after:
            found[key] = ["missing before" if key not in before else "missing now"]
        elif before[key].sha256 != after[key].sha256:
            found[key] = changed_values(before[key].values, after[key].values)
    return found


def changed_values(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """A line for each value that differs."""
    lines = []
    for path in sorted(old.keys() | new.keys()):
        was, now = old.get(path, "(missing)"), new.get(path, "(missing)")
        if was != now:
            lines.append(f"{path}: {was} -> {now}")
    return lines


def main() -> None:
    """Print the table, store it or compare it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("paths", type=Path, nargs="+", help="folders and files of finished runs")
    parser.add_argument("--write", type=Path, help="JSON file of the rows")
    parser.add_argument("--against", type=Path, help="JSON file of an earlier call")
    parser.add_argument("--sentences", action="store_true", help="other sentences count as a difference")
    arguments = parser.parse_args()
    rows = collect_rows(arguments.paths)
    width = max(len(row.artefact) for row in rows.values())
    print(f"{'artefact':<{width}}  {'part':<10}{'n':>10}  sha256")
    for row in rows.values():
        print(f"{row.artefact:<{width}}  {row.part:<10}{row.n:>10}  {row.sha256[:16]}")
    if arguments.write is not None:
        arguments.write.write_text(json.dumps({key: vars(row) for key, row in rows.items()}, indent=1) + "\n")
    if arguments.against is None:
        return
    before = {key: Row(**row) for key, row in json.loads(arguments.against.read_text()).items()}
    found = differences(before, rows)
    for key, lines in found.items():
        print("\n".join([f"\ndiffers  {key}", *(f"  {line}" for line in lines[:MOST_VALUES])]))
        if len(lines) > MOST_VALUES:
            print(f"  and {len(lines) - MOST_VALUES} more")
    counted = [key for key in found if arguments.sentences or not key.endswith(f": {SENTENCES}")]
    n_wording = len(found) - len(counted)
    print(f"\n{len(before.keys() | rows.keys())} rows; {len(counted)} differ, and {n_wording} in wording alone")
    sys.exit(1 if counted else 0)


if __name__ == "__main__":
    main()
