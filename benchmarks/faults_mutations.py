"""Damaged files: each reader refuses them in words, or reads what is true."""

from __future__ import annotations

import hashlib
import json
import random
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from faults_reading import MOST_MIB, outcome, peak_mib

from seismag.archive.catalogs import read_catalogs
from seismag.archive.indices import read_index
from seismag.archive.quality import assess_day
from seismag.archive.stations import read_stations
from seismag.config import DataConfig, load_config
from seismag.domain import SeismagError
from seismag.models.registry import list_models
from seismag.recordings import Recording, read_recording
from seismag.report.evidence import read_evidence
from seismag.scoring.predictions import read_predictions
from seismag.spectrograms.artefacts import Artefacts
from seismag.training.checkpoint import load_checkpoint
from seismag.windows.inspect import verify_store
from seismag.windows.store import open_store

WRONG_NT = 10.0  # above this a sample that nothing marks is silently wrong
_REAL = (  # below the folder of real files, where there is one
    "usgs_1s_201404/gua20140407vsec.sec.gz", "bmkg/S250101.ALR", "martas_wic_1s/*", "magpy_formats/*",
    "wdc_kyoto_201103/*", "intermagnet_1min_20220115/*",
)  # fmt: skip
_LARGEST_REAL = 6 << 20
_ODD: tuple[Any, ...] = (
    None,
    [],
    {},
    "",
    "x" * 1000,
    -1,
    0,
    10**30,
    3.7,
    True,
    [1, 2],
    {"a": 1},
    [["x"]],
    "=1+1",
    "NaN",
)


_HEADS = (b"", b"PK\3\4", b"\x1f\x8b\x08\0", b"\xef\xbb\xbf", b"\xff\xfe", b"<html>", b"[" * 5000, b"{", b"\n")


@dataclass(frozen=True)
class Subject:
    """A file that is damaged, and how it is read.

    Attributes:
        kind: row of the table.
        path: the whole file.
        read: takes the damaged file; returns what must equal that of the whole file, or None where nothing could show
            a change of its values.
    """

    kind: str
    path: Path
    read: Callable[[Path], object]


def subjects(study: Path, data: Path | None) -> list[Subject]:
    """The files of a study, and real ones where there are some."""
    archive, results = study / "archive", study / "results"
    run = sorted((study / "runs").iterdir())[-1]
    day = sorted(archive.glob("GTO/*"))[0]
    found = [Subject("recording", day, _reader_of_recording(day))]
    for pattern in _REAL if data is not None else ():
        for path in sorted((data or archive).glob(pattern)):
            if path.stat().st_size <= _LARGEST_REAL and _is_read(path):
                found.append(Subject("recording", path, _reader_of_recording(path)))
    found += [
        Subject("catalogue", archive / "catalogue.csv", lambda path: _nothing(read_catalogs([path]))),
        Subject("stations", archive / "stations.csv", lambda path: _nothing(read_stations(path))),
        Subject("index", archive / "kp.csv", lambda path: _nothing(read_index(path, "kp"))),
        Subject("index", archive / "dst.csv", lambda path: _nothing(read_index(path, "dst"))),
        Subject("configuration", study / "study.yaml", lambda path: _nothing(load_config(path, []))),
        Subject("predictions", results / "predictions.parquet", lambda path: _nothing(read_predictions(path))),
        Subject("predictions", study / "predictions.csv", lambda path: _nothing(read_predictions(path))),
        Subject("model", results / "best_model.pth", _weights),
        Subject("model card", results / "best_model.json", lambda path: _nothing(list_models([path.parent]))),
    ]
    found += [
        Subject("store", path, _samples_and_power) for path in sorted((study / "store").rglob("*")) if _kept(path)
    ]
    records = [path for path in sorted(run.iterdir()) if path.suffix in (".json", ".yaml", ".csv")]
    found += [Subject("record of a run", path, lambda path: _nothing(read_evidence(path.parent))) for path in records]
    return found


def _kept(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(("access_log", "tried_", ".")) and path.name != "rejected.csv"


def _is_read(path: Path) -> bool:
    try:
        read_recording(path)
    except SeismagError:
        return False
    return True


def _nothing(_: object) -> None:
    return None


def _weights(path: Path) -> object:
    state = load_checkpoint(path).model.state_dict()
    digest = hashlib.sha256()
    for name, values in state.items():
        digest.update(name.encode())
        digest.update(values.numpy().tobytes())
    return digest.hexdigest()


def _samples_and_power(path: Path) -> object:
    folder = next(parent for parent in path.parents if (parent.name == "store"))
    store = open_store(folder)
    if verify_store(store).damaged:
        raise SeismagError("damaged, by --verify")
    digest = hashlib.sha256(store.samples.to_csv().encode())
    digest.update(np.ascontiguousarray(np.asarray(store.power[:])).tobytes())
    return digest.hexdigest()


def _reader_of_recording(whole: Path) -> Callable[[Path], object]:
    """Compare with the whole recording what masks leave of a damaged one."""
    true = read_recording(whole)
    said = set(true.metadata.get("warnings", []))

    def read(path: Path) -> object:
        recording = read_recording(path)
        if set(recording.metadata.get("warnings", [])) - said or recording.station != true.station:
            return None  # noticed: by a warning, or by the folder of the station
        if recording.rate_hz != 1.0 or recording.start_utc.astype("M8[D]") != true.start_utc.astype("M8[D]"):
            return None  # noticed: by the name of the file
        worst = largest_unmarked(recording, true)
        return None if worst <= WRONG_NT else f"{worst:.0f} nT wrong"

    return read


def largest_unmarked(recording: Recording, true: Recording) -> float:
    """The largest difference, nT, between two recordings of one day where no mask, refusal or gap marks it."""
    quality = assess_day(recording.field_nt, DataConfig(), None, "day", recording.rate_hz)
    if quality.verdict == "refused":
        return 0.0
    offset = int((recording.start_utc - true.start_utc) / np.timedelta64(1, "s"))
    first, last = max(0, offset), min(true.samples, offset + recording.samples)
    if last <= first:
        return 0.0
    difference = np.abs(recording.field_nt[:, first - offset : last - offset] - true.field_nt[:, first:last])
    marked = mask_of(quality.artefacts, recording.field_nt.shape)[:, first - offset : last - offset]
    difference[marked | np.isnan(difference)] = 0.0
    return float(difference.max(initial=0.0))


def mask_of(artefacts: Artefacts, shape: tuple[int, ...]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Samples that artefacts mark: spikes with a minute around them, everything beyond a step, stuck stretches."""
    mask = np.zeros(shape, dtype=bool)
    for component, first in artefacts.spikes:
        mask[component, max(0, first - 60) : first + 60] = True
    for component, first in artefacts.steps:
        mask[component, max(0, first - 60) :] = True
    for component, first, end in artefacts.stuck:
        mask[component, first:end] = True
    return mask


def damage(whole: bytes, rng: random.Random, suffix: str) -> tuple[str, bytes]:
    """Change a file in one of the ways that disks, networks, editors and people do."""
    ways = [_flip, _cut, _insert, _delete, _repeat, _swap, _zeros, _digits, _lines, _begin]
    if suffix in (".json", ".yaml"):
        ways += [_other_value] * 6
    way = rng.choice(ways)
    return way.__name__[1:], way(whole, rng)


def _flip(whole: bytes, rng: random.Random) -> bytes:
    changed = bytearray(whole)
    for _ in range(rng.choice((1, 1, 1, 3, 30))):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _cut(whole: bytes, rng: random.Random) -> bytes:
    return whole[: rng.randrange(len(whole))]


def _insert(whole: bytes, rng: random.Random) -> bytes:
    place = rng.randrange(len(whole))
    return whole[:place] + rng.randbytes(rng.choice((1, 2, 7, 100))) + whole[place:]


def _delete(whole: bytes, rng: random.Random) -> bytes:
    place = rng.randrange(len(whole))
    return whole[:place] + whole[place + rng.choice((1, 2, 17, 1000)) :]


def _repeat(whole: bytes, rng: random.Random) -> bytes:
    place, size = rng.randrange(len(whole)), rng.choice((1, 17, 1000, 20000))
    return whole[: place + size] + whole[place:]


def _swap(whole: bytes, rng: random.Random) -> bytes:
    size = rng.choice((1, 17, 500))
    one, two = sorted(rng.randrange(max(1, len(whole) - size)) for _ in range(2))
    if two < one + size:
        return whole[::-1]
    middle = whole[one + size : two]
    return whole[:one] + whole[two : two + size] + middle + whole[one : one + size] + whole[two + size :]


def _zeros(whole: bytes, rng: random.Random) -> bytes:
    place, size = rng.randrange(len(whole)), rng.choice((1, 512, 4096))
    return (whole[:place] + rng.choice((b"\0", b"\xff")) * size + whole[place + size :])[: len(whole)]


def _digits(whole: bytes, rng: random.Random) -> bytes:
    places = [found.start() for found in re.finditer(rb"\d", whole[: 1 << 16])]
    if not places:
        return _flip(whole, rng)
    changed = bytearray(whole)
    for place in rng.sample(places, min(len(places), rng.choice((1, 5)))):
        changed[place] = rng.choice(b"0123456789-.,eE ;:\t\"'=")
    return bytes(changed)


def _lines(whole: bytes, rng: random.Random) -> bytes:
    lines = whole.splitlines(keepends=True)
    place = rng.randrange(len(lines))
    other = lines.pop(place)
    lines.insert(rng.randrange(len(lines) + 1), other * rng.choice((0, 1, 2)))
    return b"".join(lines)


def _begin(whole: bytes, rng: random.Random) -> bytes:
    head = rng.choice(
        (b"", b"PK\3\4", b"\x1f\x8b\x08\0", b"\xef\xbb\xbf", b"\xff\xfe", b"<html>", b"[" * 5000, b"{", b"\n")
    )
    return head + (b"" if not head else whole[rng.choice((0, len(head))) :])


def _other_value(whole: bytes, rng: random.Random) -> bytes:
    try:
        document = yaml.safe_load(whole)
    except (yaml.YAMLError, UnicodeDecodeError):
        return _flip(whole, rng)
    places = list(_places(document))
    if not places:
        return _flip(whole, rng)
    holder, key = rng.choice(places)
    if rng.random() < 0.2:
        del holder[key]
    else:
        holder[key] = rng.choice(_ODD)
    return json.dumps(document, default=str).encode()


def _places(document: object) -> Iterator[tuple[Any, Any]]:
    entries: list[tuple[Any, Any]] = []
    if isinstance(document, dict):
        entries = list(document.items())
    elif isinstance(document, list):
        entries = list(enumerate(document))
    for key, value in entries:
        yield document, key
        yield from _places(value)


def mutation_trial(number: int, found: list[Subject], here: Path) -> dict[str, Any]:
    """Damage one file in a copy of its folder, read it, and put it right again."""
    rng = random.Random(f"mutation {number}")
    by_kind: dict[str, list[Subject]] = {}
    for entry in found:
        by_kind.setdefault(entry.kind, []).append(entry)
    subject = rng.choice(by_kind[rng.choice(sorted(by_kind))])
    path = _own_copy(subject, here)
    whole = subject.path.read_bytes()
    way, content = damage(whole, rng, path.suffix)
    path.write_bytes(content)
    peak_mib()
    try:
        ended = outcome(subject.read, path, None if subject.kind == "recording" else _expected(subject))
    finally:
        path.write_bytes(whole)
    if (peak := peak_mib()) > MOST_MIB:
        ended = f"{peak:.0f} MiB of memory"
    return {"kind": subject.kind, "file": subject.path.name, "way": way, "ended": ended}


def _own_copy(subject: Subject, here: Path) -> Path:
    """The file in a copy of the folder that its reader needs, made once."""
    top = subject.path.parent
    while top.name != "store" and subject.kind == "store":
        top = top.parent
    copy = here / hashlib.sha256(str(top).encode()).hexdigest()[:8] / top.name
    if subject.kind in ("store", "record of a run", "model", "model card"):
        if not copy.exists():
            shutil.copytree(top, copy)
    else:
        copy.mkdir(parents=True, exist_ok=True)
    return copy / subject.path.relative_to(top)


_KNOWN: dict[Path, object] = {}  # what the whole files give


def _expected(subject: Subject) -> object:
    if subject.path not in _KNOWN:
        key = subject.path if subject.kind != "store" else next(p for p in subject.path.parents if p.name == "store")
        if key not in _KNOWN:
            _KNOWN[key] = subject.read(subject.path)
        _KNOWN[subject.path] = _KNOWN[key]
    return _KNOWN[subject.path]
