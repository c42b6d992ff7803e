"""Why an archive gives no sample, and what to do."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

_OTHER_REMEDY = "Correct the files or add recordings; 'seismag inspect FILE' tells what is wrong with one."
_LONGER_INDEX = "The index covers none of these windows: give a longer file, or leave it out."
_REMEDIES = {
    "guard": (
        "These windows lie within data.guard_behind_d after or data.guard_ahead_d before an earthquake, but not within "
        "data.horizon_h before one in range: add recordings, or change these settings."
    ),
    "true_event": "Placebo windows need times without an earthquake: add recordings, or change data.placebo_shift_d.",
    "not_a_control": (
        "No window precedes an earthquake that counts (data.min_magnitude, data.range_rule, data.horizon_h), so no "
        "control is needed: add recordings before earthquakes; data.controls=all would keep all Normal windows."
    ),
    "catalog_hole": (
        "The catalogue must cover the recordings, data.guard_behind_d before them and data.guard_ahead_d after them: "
        "give a longer one with --catalog."
    ),
    "outside_catalog_area": "Give a catalogue (--catalog) whose epicentres surround the stations.",
    "kp_missing": _LONGER_INDEX,
    "dst_missing": _LONGER_INDEX,
    "gaps": "Too many seconds are missing: add recordings, or raise data.max_gap_fraction.",
    "masked": "Too much of the windows is masked: add recordings, or raise data.max_masked_fraction.",
    "unknown_station": "Give the stations' coordinates with --stations.",
    "wrong_position": "Correct the station file, or the positions in the files.",
    "missing_dependency": "Install what reads these files: pip install 'seismag[cdf,obspy]'.",
}


def describe_no_sample(rejected: pd.DataFrame, archive: Path, table: Path) -> str:
    """Say why an archive gives no sample, most frequent reason first, and the remedy for that one."""
    counts = rejected["reason"].value_counts()
    found = ", ".join(f"{count} {reason}" for reason, count in counts.items())
    remedy = _REMEDIES.get(str(counts.index[0]), _OTHER_REMEDY)
    return f"{archive}: no usable window ({found}). {remedy} {table} gives each window with its reason."
