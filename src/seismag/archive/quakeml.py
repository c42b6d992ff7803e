"""QuakeML: earthquakes of an event service, through ObsPy."""

from __future__ import annotations

import io
import re
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from seismag.archive.cells import Column, is_missing
from seismag.domain import DataError
from seismag.limits import QUAKEML, too_large

# Scales by their standing: where none is preferred the first of these counts. mb and ML saturate in large earthquakes.
_VALUES = (
    ("{*}origin/{*}time/{*}value", "time"),
    ("{*}origin/{*}latitude/{*}value", "latitude"),
    ("{*}origin/{*}longitude/{*}value", "longitude"),
    ("{*}origin/{*}depth/{*}value", "number"),  # m
    ("{*}magnitude/{*}mag/{*}value", "magnitude"),
)  # of an event: element, kind of cell
_SCALES = ("mw", "mww", "mwc", "mwb", "mwr", "mwp", "mw(mb)", "ms", "mb", "ml", "md", "mc")


def read_quakeml(payload: bytes, path: Path) -> tuple[pd.DataFrame, list[str]]:
    """Read the events of a QuakeML document, of whatever type.

    Returns:
        One row an event: event_id, origin_utc, latitude_deg, longitude_deg, depth_km, magnitude, magnitude_type,
        place, type (as written), where (for messages); and sentences for the user.

    Raises:
        DataError: ObsPy is not installed, broken XML, no event, an event that ObsPy cannot read, or a filled time,
            coordinate, depth or magnitude that is not understood.
    """
    _require_bounded(payload, path)
    try:
        from obspy import read_events
    except ImportError as error:
        raise DataError(f'{path}: reading QuakeML needs ObsPy. Run: pip install "seismag[obspy]"') from error
    try:
        readable, types = _readable(payload, path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd numbers; such rows are counted as dropped
            found = read_events(io.BytesIO(readable), format="QUAKEML")
    except DataError:
        raise
    except Exception as error:  # ObsPy raises plain Exception for broken XML
        raise DataError(f"{path}: broken QuakeML ({' '.join(str(error).split())}). Download it again.") from error
    if not types:
        raise DataError(
            f"{path}: QuakeML without an event. Request a longer time or a smaller magnitude.", "empty_file"
        )
    if len(found) != len(types):
        read = {_public_id(event) for event in found}
        lost = [name for name, _ in types if name not in read]
        raise DataError(
            f"{path}: {len(types) - len(found)} of {len(types)} events cannot be read ({', '.join(lost[:3])}). "
            "Correct or remove them."
        )
    chosen: Counter[str] = Counter()
    rows = [_row(event, kind, chosen) for event, (_, kind) in zip(found, types, strict=True)]
    notes = []
    if chosen:
        taken = ", ".join(f"{scale} {count} times" for scale, count in chosen.most_common())
        notes.append(
            f"{path.name}: {chosen.total()} events have several magnitudes and prefer none; taken by scale, Mw first: "
            f"{taken}."
        )
    return pd.DataFrame(rows).astype({"origin_utc": "datetime64[ms]"}), notes


def _require_bounded(payload: bytes, path: Path) -> None:
    """Refuse more elements than the limit, and declarations of entities, which a few bytes unpack without end."""
    if len(payload) > QUAKEML.unpacked:
        raise too_large(path, QUAKEML, f"{len(payload) >> 20:,} MiB, more than {QUAKEML.unpacked >> 20:,} MiB")
    if (tags := payload.count(b"<")) > QUAKEML.cells:
        raise too_large(path, QUAKEML, f"{tags:,} tags, more than {QUAKEML.cells:,}")
    if b"<!DOCTYPE" in payload or b"<!ENTITY" in payload:
        raise DataError(f"{path}: declares entities (DOCTYPE), which QuakeML does not have. Download it again.")


def _readable(payload: bytes, path: Path) -> tuple[bytes, list[tuple[str, str]]]:
    """Write a document so that ObsPy drops nothing of it in silence.

    Types are taken out, because events whose type ObsPy does not know are skipped; times, coordinates and magnitudes
    that ObsPy would not understand are written plainly, and those that nobody understands refused.

    Returns:
        The document, and publicID and type of each event in order.
    """
    from lxml import etree  # comes with ObsPy; keeps the prefixes of namespaces, which ObsPy needs

    root = etree.fromstring(payload, etree.XMLParser(resolve_entities=False, huge_tree=True, remove_comments=True))
    types = []
    for event in root.iter("{*}event"):
        kinds = event.findall("{*}type")
        types.append((event.get("publicID", ""), (kinds[0].text or "").strip() if kinds else ""))
        for kind in kinds:
            event.remove(kind)
        for place, kind in _VALUES:
            for value in event.iterfind(place):
                _write_plainly(value, kind, path)
    return etree.tostring(root), types


def _write_plainly(value: Any, kind: str, path: Path) -> None:
    """Replace the text of an element by what it says; an element that says nothing is taken out."""
    text = (value.text or "").strip()
    column = Column(kind, path, [value.sourceline])
    if is_missing(text):
        value.getparent().remove(value)
    elif kind == "time":
        value.text = f"{column.times([text])[0][0]}Z"
    else:
        value.text = repr(float(column.numbers([text], kind)[0]))


def _public_id(event: Any) -> str:
    return str(event.resource_id.id) if event.resource_id else ""


def _row(event: Any, kind: str, chosen: Counter[str]) -> dict[str, object]:
    sound = [origin for origin in event.origins if origin.evaluation_status != "rejected"]
    origin = event.preferred_origin() or next(iter([*sound, *event.origins]), None)
    magnitude = _magnitude(event, chosen)
    identifier = _public_id(event)
    stated = re.search(r"eventid=([^&]+)", identifier)  # USGS writes a query, others end with /ID
    time = origin.time if origin else None
    return {
        "event_id": stated.group(1) if stated else identifier.rstrip("/").rsplit("/", 1)[-1],
        "origin_utc": np.datetime64(time.ns // 1_000_000, "ms") if time else np.datetime64("NaT"),
        "latitude_deg": _float(origin and origin.latitude),
        "longitude_deg": _float(origin and origin.longitude),
        "depth_km": _float(origin and origin.depth) / 1000.0,
        "magnitude": _float(magnitude and magnitude.mag),
        "magnitude_type": (magnitude and magnitude.magnitude_type) or "",
        "place": next((text.text or "" for text in event.event_descriptions), ""),
        "type": kind,
        "where": identifier or "an event without publicID",
    }


def _magnitude(event: Any, chosen: Counter[str]) -> Any:
    """Return the preferred magnitude, else the one of the best scale; never a rejected one."""
    stated = [magnitude for magnitude in event.magnitudes if magnitude.mag is not None]
    usable = [magnitude for magnitude in stated if magnitude.evaluation_status != "rejected"]
    preferred = event.preferred_magnitude()
    if preferred is not None and any(magnitude is preferred for magnitude in usable):
        return preferred
    if not usable:
        return None
    best = min(usable, key=lambda magnitude: _standing(magnitude.magnitude_type))
    if len(usable) > 1:
        chosen[best.magnitude_type or "no scale"] += 1
    return best


def _standing(scale: str | None) -> int:
    name = (scale or "").lower()
    known = [place for place, start in enumerate(_SCALES) if name.startswith(start)]
    return known[-1] if known else len(_SCALES)


def _float(value: Any) -> float:
    return np.nan if value is None else float(value)
