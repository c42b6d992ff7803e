"""``Reader``: the interface of a format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seismag.recordings.recording import Recording

NO_DAYS = np.empty(0, dtype="datetime64[D]")


@dataclass(frozen=True)
class Reader:
    """The functions that read one format.

    Attributes:
        name: of the format.
        detect: whether a file with these first bytes has the format.
        read: a recording from the unpacked file, its path and the sha256 of the file on disk.
        is_marked: whether these first bytes mark a file as made or changed by seismag.
        read_claim: station code ("" none) and UTC days (empty: none) in these first bytes of a damaged file.
    """

    name: str
    detect: Callable[[bytes], bool]
    read: Callable[[bytes, str | Path, str], Recording]
    is_marked: Callable[[bytes], bool] = lambda _head: False
    read_claim: Callable[[bytes], tuple[str, NDArray[np.datetime64]]] = lambda _head: ("", NO_DAYS)
