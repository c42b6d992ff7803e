"""Large and endless input that is refused: the memory that it takes, each reading in a process of its own."""

from __future__ import annotations

import contextlib
import gzip
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from faults_reading import LONGEST_S, MOST_MIB, outcome, peak_mib

MIB = 1 << 20
ROWS = 500_000  # of the tables that are refused in their last line
_IAGA_HEAD = """ Format                 IAGA-2002                                    |
 Source of Data         made                                         |
 Station Name           made                                         |
 IAGA CODE              GUA                                          |
 Geodetic Latitude      13.588                                       |
 Geodetic Longitude     144.867                                      |
 Elevation              140                                          |
 Reported               HDZF                                         |
 Sensor Orientation     HDZF                                         |
 Digital Sampling       1 Hz                                         |
 Data Interval Type     Average 1-Second                             |
 Data Type              variation                                    |
DATE       TIME         DOY     GUAH      GUAD      GUAZ      GUAF   |
"""


def catalogue_rows() -> Iterator[str]:
    """A catalogue in which the last magnitude is not understood."""
    yield "event_id,origin_utc,latitude_deg,longitude_deg,depth_km,magnitude,magnitude_type,place\n"
    times = np.datetime64("1970-01-01T00:00:00") + np.arange(ROWS) * np.timedelta64(50, "m")
    for number, moment in enumerate(times.astype(str)):
        magnitude = "about five" if number == ROWS - 1 else "4.5"
        yield f"made{number:07d},{moment}.000Z,-18.1442,113.1410,33.0,{magnitude},mb,South of nowhere {'x' * 120}\n"


def index_rows(column: str, hours: int) -> Iterator[str]:
    """An index whose last value is not understood."""
    yield f"time_utc,{column}\n"
    times = np.datetime64("1950-01-01T00:00:00") + np.arange(ROWS) * np.timedelta64(hours, "h")
    for number, moment in enumerate(times.astype(str)):
        yield f"{moment}Z,{'quiet' if number == ROWS - 1 else '1.333'}\n"


def station_rows() -> Iterator[str]:
    """A list of stations whose last latitude is not understood."""
    yield "code,latitude_deg,longitude_deg,name\n"
    for number in range(ROWS):
        yield f"S{number:06d},{'north' if number == ROWS - 1 else '0.555972'},123.141,Made\n"


def recording_rows() -> Iterator[str]:
    """A recording of 17 days whose last line is cut."""
    yield _IAGA_HEAD
    times = np.datetime64("2014-04-07T00:00:00") + np.arange(1_500_000) * np.timedelta64(1, "s")
    for moment in times.astype(str):
        yield f"{moment.replace('T', ' ')}.000 097     35254.07      0.53   7688.38  36689.44\n"
    yield "2014-04-24 08"


def quakeml_rows() -> Iterator[str]:
    """A QuakeML document that ends within a tag."""
    yield '<?xml version="1.0"?><q:quakeml xmlns:q="http://quakeml.org/xmlns/quakeml/1.2"><eventParameters>'
    for number in range(150_000):
        yield (
            f'<event publicID="smi:a/{number}"><origin publicID="o{number}"><time><value>2021-01-15T03:00:00Z</value>'
            "</time><latitude><value>-2.9</value></latitude><longitude><value>118.9</value></longitude>"
            f'</origin><magnitude publicID="m{number}"><mag><value>6.2</value></mag></magnitude></event>\n'
        )
    yield "<event"


def predictions_rows(study: Path) -> Iterator[str]:
    """Predictions of which the last probability is not understood."""
    head, line, *_ = (study / "predictions.csv").read_text(encoding="utf-8").splitlines()
    yield head + "\n"
    for number in range(ROWS):
        yield line.replace("ALR-", f"ALR{number}-") + "\n"
    yield line.replace("0.", "zero.", 1) + "\n"


def _written(rows: Iterator[str]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with open(path, "w", encoding="utf-8") as file:
            file.writelines(rows)

    return write


def _zeros_packed(path: Path) -> None:
    with gzip.open(path, "wb", compresslevel=6) as file:
        for _ in range(1000):
            file.write(bytes(MIB))


def _sparse(path: Path) -> None:
    with open(path, "wb") as file:
        file.truncate(3000 * MIB)


def _bytes(content: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_bytes(content)

    return write


READERS = {  # by kind; each is imported alone, so that the memory is that of one command
    "catalogue": "seismag.archive.catalogs:read_catalogs", "kp": "seismag.archive.indices:read_index",
    "dst": "seismag.archive.indices:read_index", "stations": "seismag.archive.stations:read_stations",
    "recording": "seismag.recordings:read_recording", "configuration": "seismag.config:load_config",
    "predictions": "seismag.scoring.predictions:read_predictions",
    "model": "seismag.training.checkpoint:load_checkpoint", "run": "seismag.report.evidence:read_evidence",
}  # fmt: skip
_NAMES = {
    "configuration": "study.yaml", "run": "provenance.json", "model": "model.pth", "recording": "day.sec",
    "dst": "dst.csv",
}  # fmt: skip


def large_inputs(study: Path) -> dict[str, tuple[str, Callable[[Path], None]]]:
    """What is written, and which reader gets it, by name."""
    deep = json.dumps({"a": "x" * 100}).encode() * 400_000
    found: dict[str, tuple[str, Callable[[Path], None]]] = {
        "catalogue, last line": ("catalogue", _written(catalogue_rows())),
        "kp, last line": ("kp", _written(index_rows("kp", 3))),
        "dst, last line": ("dst", _written(index_rows("dst_nt", 1))),
        "stations, last line": ("stations", _written(station_rows())),
        "recording, last line": ("recording", _written(recording_rows())),
        "QuakeML, last tag": ("catalogue", _written(quakeml_rows())),
        "predictions, last line": ("predictions", _written(predictions_rows(study))),
        "run, 42 MB of JSON": ("run", _bytes(deep)),
        "run, brackets": ("run", _bytes(b"[" * (8 * MIB))),
        "configuration, aliases": ("configuration", _bytes(_aliases())),
    }
    for kind in READERS:
        found[f"{kind}, 1 GB of zeros in gzip"] = (kind, _zeros_packed)
        found[f"{kind}, sparse file of 3 GB"] = (kind, _sparse)
        found[f"{kind}, pipe"] = (kind, os.mkfifo)
    return found


def _aliases() -> bytes:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join(['*a' + str(n - 1)] * 9)}]" for n in range(1, 12)]
    return "\n".join(lines).encode()


def large_trial(name: str, study: Path, here: Path) -> dict[str, Any]:
    """Write an input, and read it in a process of its own; it is stopped where it waits for ever."""
    kind, write = large_inputs(study)[name]
    path = here / "large" / _NAMES.get(kind, f"{kind.replace(' ', '_')}.csv")
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "run":
        (path.parent / "config.yaml").write_bytes((study / "study.yaml").read_bytes())
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    write(path)
    command = [sys.executable, __file__, kind, str(path)]
    try:
        found = subprocess.check_output(command, text=True, timeout=2 * LONGEST_S)
        ended, peak = json.loads(found.splitlines()[-1])
    except subprocess.TimeoutExpired:
        ended, peak = "hang", 0.0
    path.unlink()
    if ended == "refused" and peak > MOST_MIB:
        ended = f"{peak:.0f} MiB of memory"
    return {"kind": name, "file": path.name, "way": "", "ended": ended, "peak": peak}


def read_alone(kind: str, path: Path) -> tuple[str, float]:
    """Read an input in this process: how it ended, and the largest memory, MiB."""
    module, _, name = READERS[kind].partition(":")
    read = getattr(importlib.import_module(module), name)
    given: dict[str, Any] = {
        "catalogue": [[path]], "kp": [path, "kp"], "dst": [path, "dst"], "configuration": [path, []],
        "run": [path.parent],
    }  # fmt: skip
    return outcome(lambda path: read(*given.get(kind, [path])), path, None), peak_mib()


if __name__ == "__main__":
    print(json.dumps(read_alone(sys.argv[1], Path(sys.argv[2]))))
