"""Whose day a file that cannot be read should have held: by its name, else by its first bytes.

Only a report may believe this; no sample is ever taken from a claim.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seismag.recordings import frg604rc, iaga2002
from seismag.recordings.compression import read_head
from seismag.recordings.identity import days_in_name


@dataclass(frozen=True)
class Claim:
    """Station code ("" unknown) and UTC days (empty: unknown) that a file claims to hold."""

    station: str
    days: NDArray[np.datetime64]


def read_claim(path: Path) -> Claim:
    """Take station and days from a file's name; what that does not say, from its header as far as it can be read."""
    code, days = frg604rc.day_in_name(path.name) or days_in_name(path.name)
    if not code or not days.size:
        head = read_head(path)
        for reader in (frg604rc, iaga2002):
            if reader.detect(head):
                stated_code, stated_days = reader.read_claim(head)
                code, days = code or stated_code, days if days.size else stated_days
    return Claim(code, days)
