"""Defects of rows in metadata tables of earlier systems: one reason and one sentence for each row."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import spearmanr

from seismag.domain import MINIMUM_MAGNITUDE, azimuth_classes, magnitude_classes
from seismag.legacy.metadata import name_facts, numbers

AUGMENTED, CORRUPTED, IDENTICAL = "augmented_copy", "corrupted_azimuth", "identical_image"
# Azimuth and magnitude are independent: a rank correlation as large and as improbable as this is no chance.
FOLLOWS_WINDOWS, FOLLOWS_RHO, FOLLOWS_P = 12, 0.8, 1e-4
CONSTANT_WINDOWS = 5  # event windows with identical azimuth at two stations or more


def row_defects(rows: pd.DataFrame) -> pd.DataFrame:
    """Find rows that can never be used, with the first reason of each.

    Returns:
        reason, detail; None where there is none; index as ``rows``.
    """
    defects = pd.DataFrame({"reason": None, "detail": None}, index=rows.index, dtype=object)

    mark = partial(_mark, defects)
    mark(rows.assign(paths=rows["paths"].map(tuple)).drop(columns="table").duplicated(), "repeated_row",
         "repeats an earlier row")  # fmt: skip
    mark(rows["station"].isna(), "no_station", "the row has no station")
    mark(rows["start_utc"].isna(), "bad_time", "date or hour is missing or cannot be read")
    mark(rows["name"].isna(), "no_file_name", "the row has no picture")
    once = defects["reason"].isna()
    twice = rows.loc[once, "paths"].map(tuple).duplicated(keep=False).reindex(rows.index, fill_value=False)
    mark(twice, "contradicting_rows", "another row has the same picture with other values")
    no_class = rows["magnitude_class"].isna() | rows["azimuth_class"].isna()
    mark(no_class, "class_missing", "the row lacks a class")
    normal = (rows["magnitude_class"] == "Normal").to_numpy()
    mark(normal != (rows["azimuth_class"] == "Normal").to_numpy(), "contradicting_classes",
         [f"magnitude class {m}, azimuth class {a}" for m, a in zip(rows["magnitude_class"], rows["azimuth_class"],
                                                                    strict=True)])  # fmt: skip
    magnitude = rows["magnitude"].to_numpy()
    classes = np.full(len(rows), "below 4", dtype=object)
    binned = magnitude >= MINIMUM_MAGNITUDE
    classes[binned] = magnitude_classes(magnitude[binned])
    differs = np.isfinite(magnitude) & (normal | (classes != rows["magnitude_class"].to_numpy()))
    mark(differs, "contradicting_magnitude", [
        f"magnitude {text} is {right}, not {name}"
        for text, right, name in zip(rows["magnitude_text"], classes, rows["magnitude_class"], strict=True)
    ])  # fmt: skip
    details = []  # of rows whose picture has the name of another station or time
    for name, station, start in zip(rows["name"], rows["station"], rows["start_utc"], strict=True):
        stated = name_facts(str(name))
        here = (station, f"{start:%Y-%m-%d}", start.hour) if pd.notna(start) else None
        if stated is None or here is None or (stated[:2] == here[:2] and stated[2] in (None, here[2])):
            details.append("")
        else:
            details.append(f"{here[0]} {here[1]} {here[2]:02d} h in the row, {name} in the file name")
    mark(np.array([text != "" for text in details], dtype=bool), "name_mismatch", details)
    return defects


def azimuth_defects(rows: pd.DataFrame) -> pd.Series:
    """Return for each row why its azimuth cannot be a direction to an epicentre; None where it can.

    Single rows: Normal with an azimuth; an event without degrees, outside 0 to 360, or with a class that contradicts
    the degrees. All rows: one azimuth for every event; an azimuth correlated with the magnitude, a sign of another
    column (a distance, an index) in its place.
    """
    text = rows["azimuth_text"]
    degrees = numbers(text)
    normal = (rows["magnitude_class"] == "Normal").to_numpy()
    defects = pd.DataFrame({"reason": None, "detail": None}, index=rows.index, dtype=object)
    mark = partial(_mark, defects, reason=CORRUPTED)
    mark(normal & degrees.notna(), detail=[f"Normal, but azimuth {value}" for value in text])
    mark(~normal & text.isna(), detail="no azimuth in degrees, so the class cannot be checked")
    mark(~normal & degrees.isna(), detail=[f"azimuth {value!r} is not a number" for value in text])
    outside = [f"azimuth {value} lies outside 0 to 360 degrees" for value in text]
    mark(~normal & ~degrees.between(0, 360), detail=outside)
    sound = ~normal & defects["reason"].isna().to_numpy()
    classes = np.full(len(rows), "", dtype=object)
    classes[sound] = azimuth_classes(degrees.to_numpy()[sound])
    mark(sound & (classes != rows["azimuth_class"].to_numpy()), detail=[
        f"azimuth {value} degrees is {right}, not {stated}"
        for value, right, stated in zip(text, classes, rows["azimuth_class"], strict=True)
    ])  # fmt: skip
    events = rows.assign(degrees=degrees)[~normal & degrees.notna()]
    for where, sentence in (_constant(events), *_following(events)):
        mark(rows.index.isin(where), detail=sentence)
    return defects["detail"]


def _mark(defects: pd.DataFrame, where: NDArray[np.bool_] | pd.Series, reason: str, detail: list[str] | str) -> None:
    """Give rows without a defect a reason and a sentence."""
    new = np.asarray(where, dtype=bool) & defects["reason"].isna().to_numpy()
    sentences = np.full(len(defects), detail, object) if isinstance(detail, str) else np.array(detail, object)
    defects.loc[new, "reason"] = reason
    defects.loc[new, "detail"] = sentences[new]


def _constant(events: pd.DataFrame) -> tuple[pd.Index, str]:
    windows = events.drop_duplicates(["station", "start_utc"])
    if len(windows) < CONSTANT_WINDOWS or windows["degrees"].nunique() > 1 or windows["station"].nunique() < 2:
        return events.index[:0], ""
    value = windows["degrees"].iloc[0]
    return (
        events.index,
        f"azimuth {value:g} for all {len(windows)} event windows at {windows['station'].nunique()} stations",
    )


def _following(events: pd.DataFrame) -> list[tuple[pd.Index, str]]:
    """Find sets of rows whose azimuth is correlated with the magnitude: those with decimals, whole numbers, or all.

    The test uses windows, copies counted once. Rows in the same range of dates and values belong to the set: a value
    like 5.0 of the same origin has no decimals.
    """
    found = []
    whole = (events["degrees"] % 1 == 0).to_numpy()
    for chosen, kind in ((~whole, "with decimals"), (whole, "in whole degrees"), (np.full(len(events), True), "")):
        rows = events[chosen]
        windows = rows.drop_duplicates(["station", "start_utc"]).dropna(subset="magnitude")
        if len(windows) < FOLLOWS_WINDOWS or windows["degrees"].nunique() < 3 or windows["magnitude"].nunique() < 3:
            continue
        test = spearmanr(windows["degrees"], windows["magnitude"])
        if abs(test.statistic) < FOLLOWS_RHO or test.pvalue > FOLLOWS_P:
            continue
        low, high = rows["degrees"].min(), rows["degrees"].max()
        days = rows["start_utc"].dt.floor("D")
        of_kind = events["degrees"].between(low, high) & events["start_utc"].dt.floor("D").between(
            days.min(), days.max()
        )
        sentence = (
            f"the azimuths {kind + ' ' if kind else ''}({low:g} to {high:g}) are correlated with the magnitude "
            f"(rank correlation {test.statistic:.2f}, {len(windows)} windows): another quantity in the column azimuth"
        )
        found.append((events.index[of_kind], sentence))
    return found
