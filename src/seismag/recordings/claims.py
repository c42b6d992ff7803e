"""Station and days of a file that cannot be read, by its name or header; for reports only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seismag.recordings import reader_of
from seismag.recordings.compression import read_head
from seismag.recordings.frg604rc import day_in_name
from seismag.recordings.identity import days_in_name
from seismag.recordings.reader import NO_DAYS


@dataclass(frozen=True)
class Claim:
    """Station code ("" unknown) and UTC days (empty: unknown) in the name or header of a file."""

    station: str
    days: NDArray[np.datetime64]


def read_claim(path: Path) -> Claim:
    """Return station and days from the name of a file; those missing there from its header, if readable."""
    code, days = day_in_name(path.name) or days_in_name(path.name)
    if not code or not days.size:
        head = read_head(path)
        reader = reader_of(head)
        stated_code, stated_days = ("", NO_DAYS) if reader is None else reader.read_claim(head)
        code, days = code or stated_code, days if days.size else stated_days
    return Claim(code, days)
