"""Windows, labels and rejections calculated again from the handbook, slow and plain, and compared row by row.

Nothing here uses windows.py, catalogs.py, indices.py or the readers: files are parsed with csv, gzip and
struct, distances are Vincenty's, and every window is held against every earthquake.
"""

from __future__ import annotations

import csv
import gzip
import io
import math
import shutil
import struct
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from seismag.archive.catalogs import Catalog
from seismag.archive.coverage import Coverage
from seismag.archive.indices import SpaceWeatherIndex
from seismag.config import DataConfig
from seismag.domain import DataError, Station
from seismag.windows.controls import choose_controls
from seismag.windows.inputs import Inputs, read_inputs
from seismag.windows.labels import Labels, daily_windows, label_windows
from seismag.windows.prepare import prepare_store
from seismag.windows.store import open_store

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
Span = tuple[datetime, datetime]
Values = dict[datetime, float]


@dataclass(frozen=True)
class Quake:
    event_id: str
    origin: datetime
    latitude: float
    longitude: float
    depth: float | None
    magnitude: float


@dataclass
class Seen:
    """An earthquake from a station."""

    quake: Quake
    distance: float
    azimuth: float
    energy: float
    dobrovolsky: bool
    hattori: bool


@dataclass
class Truth:
    """What must come out for one window."""

    start: datetime
    end: datetime
    reasons: set[str] = field(default_factory=set)
    eligible: list[Seen] = field(default_factory=list)
    kp_max: float | None = None
    dst_min: float | None = None
    gap: float | None = None


@dataclass(frozen=True)
class World:
    """All inputs of one calculation; ``missing`` holds (station, window start) -> share of seconds missing."""

    places: dict[str, tuple[float, float]]
    quakes: list[Quake]
    covered: list[Span]
    kp: Values | None
    dst: Values | None
    missing: dict[tuple[str, datetime], float]


# the calculation ------------------------------------------------------------------------------------------------


def vincenty(lat1: float, lon1: float, lat2: float, lon2: float) -> tuple[float, float]:
    """Distance in km and azimuth at the first point in degrees, on WGS84 (Vincenty 1975, inverse)."""
    a, f = 6378137.0, 1 / 298.257223563
    b = (1 - f) * a
    u1, u2 = math.atan((1 - f) * math.tan(math.radians(lat1))), math.atan((1 - f) * math.tan(math.radians(lat2)))
    difference = math.radians(lon2 - lon1)
    s1, c1, s2, c2 = math.sin(u1), math.cos(u1), math.sin(u2), math.cos(u2)
    lam = difference
    for _ in range(200):
        sin_l, cos_l = math.sin(lam), math.cos(lam)
        sin_s = math.hypot(c2 * sin_l, c1 * s2 - s1 * c2 * cos_l)
        if sin_s == 0:
            return 0.0, 0.0
        cos_s = s1 * s2 + c1 * c2 * cos_l
        sigma = math.atan2(sin_s, cos_s)
        sin_alpha = c1 * c2 * sin_l / sin_s
        cos2_alpha = 1 - sin_alpha**2
        cos_2m = cos_s - 2 * s1 * s2 / cos2_alpha if cos2_alpha else 0.0
        c = f / 16 * cos2_alpha * (4 + f * (4 - 3 * cos2_alpha))
        before = lam
        lam = difference + (1 - c) * f * sin_alpha * (sigma + c * sin_s * (cos_2m + c * cos_s * (2 * cos_2m**2 - 1)))
        if abs(lam - before) < 1e-12:
            break
    square = cos2_alpha * (a**2 - b**2) / b**2
    big_a = 1 + square / 16384 * (4096 + square * (-768 + square * (320 - 175 * square)))
    big_b = square / 1024 * (256 + square * (-128 + square * (74 - 47 * square)))
    correction = big_b * sin_s * (
        cos_2m
        + big_b / 4 * (
            cos_s * (2 * cos_2m**2 - 1) - big_b / 6 * cos_2m * (4 * sin_s**2 - 3) * (4 * cos_2m**2 - 3)
        )
    )  # fmt: skip
    azimuth = math.degrees(math.atan2(c2 * sin_l, c1 * s2 - s1 * c2 * cos_l)) % 360
    return b * big_a * (sigma - correction) / 1000, azimuth


def roughly(lat1: float, lon1: float, lat2: float, lon2: float) -> float:
    """Spherical distance, km: saves Vincenty's for what is far out of range."""
    p, q = math.radians(lat1), math.radians(lat2)
    cosine = math.sin(p) * math.sin(q) + math.cos(p) * math.cos(q) * math.cos(math.radians(lon2 - lon1))
    return 6371.0 * math.acos(max(-1.0, min(1.0, cosine)))


def in_view(place: tuple[float, float], quakes: Iterable[Quake], spec: DataConfig) -> list[Seen]:
    """Earthquakes that pass the range rule at a place, by time."""
    seen, per_day = [], defaultdict(float)
    for quake in quakes:
        if quake.magnitude < spec.min_magnitude:
            continue
        if spec.max_depth_km is not None and quake.depth is not None and quake.depth > spec.max_depth_km:
            continue
        widest = {
            "dobrovolsky": 10 ** (0.43 * quake.magnitude),
            "hattori": (quake.magnitude - 4.5) / 0.025,
            "fixed": spec.range_km,
            "es": math.inf,
        }[spec.range_rule]
        if roughly(*place, quake.latitude, quake.longitude) > 1.02 * widest + 5:
            continue
        distance, azimuth = vincenty(*place, quake.latitude, quake.longitude)
        r = math.sqrt(distance**2 + (quake.depth or 0.0) ** 2)
        one = Seen(
            quake, distance, azimuth, 10 ** (4.8 + 1.5 * quake.magnitude) / max(r, 1.0) ** 2,
            distance <= 10 ** (0.43 * quake.magnitude), 0.025 * distance < quake.magnitude - 4.5,
        )  # fmt: skip
        per_day[quake.origin.date()] += one.energy
        seen.append((one, widest))
    kept = []
    for one, widest in seen:
        passes = {
            "dobrovolsky": one.dobrovolsky, "hattori": one.hattori, "fixed": one.distance <= widest,
            "es": per_day[one.quake.origin.date()] >= spec.es_threshold,
        }[spec.range_rule]  # fmt: skip
        if passes:
            kept.append(one)
    return sorted(kept, key=lambda s: (s.quake.origin, s.quake.event_id))


def is_covered(spans: list[Span], start: datetime, end: datetime) -> bool:
    return any(first <= start and end <= last for first, last in spans)


def extreme(values: Values, start: datetime, end: datetime, step_h: int, choose: object) -> float | None:
    """Largest or smallest value within a window; None if one is missing."""
    found, time = [], start - timedelta(hours=start.hour % step_h)
    while time < end:
        if time not in values:
            return None
        found.append(values[time])
        time += step_h * HOUR
    return choose(found)  # type: ignore[operator]


def expect(world: World, code: str, starts: Iterable[datetime], spec: DataConfig) -> dict[datetime, Truth]:
    """What the handbook's section 2 makes of the windows of one station."""
    near = in_view(world.places[code], world.quakes, spec)
    origins = [one.quake.origin for one in near]
    horizon = spec.horizon_h * HOUR
    result = {}
    for start in starts:
        truth = Truth(start, start + spec.window_h * HOUR)
        result[start] = truth
        truth.gap = world.missing.get((code, start))
        if truth.gap is not None and truth.gap > spec.max_gap_fraction:
            truth.reasons.add("gaps")
            continue
        if world.kp is not None:
            truth.kp_max = extreme(world.kp, start, truth.end, 3, max)
            truth.reasons |= {"kp_missing"} if truth.kp_max is None else set()
        if world.dst is not None:
            truth.dst_min = extreme(world.dst, start, truth.end, 1, min)
            truth.reasons |= {"dst_missing"} if truth.dst_min is None else set()
        if not is_covered(world.covered, start, truth.end + horizon):
            truth.reasons.add("catalog_hole")
        truth.eligible = near[bisect_left(origins, truth.end) : bisect_left(origins, truth.end + horizon)]
        if not truth.eligible:
            behind, ahead = start - spec.guard_behind_d * DAY, truth.end + spec.guard_ahead_d * DAY
            if bisect_left(origins, ahead) > bisect_left(origins, behind):
                truth.reasons.add("guard")
            elif not is_covered(world.covered, behind, ahead):
                truth.reasons.add("catalog_hole")
    return result


def magnitude_class(magnitude: float) -> str:
    return "Large" if magnitude >= 6 else "Medium" if magnitude >= 5 else "Moderate"


def sector(azimuth: float) -> str:
    return ("N", "NE", "E", "SE", "S", "SW", "W", "NW")[int(((azimuth + 22.5) % 360) // 45)]


def compare(
    samples: pd.DataFrame, rejected: pd.DataFrame, world: World, truths: dict[str, dict[datetime, Truth]]
) -> dict[str, int]:
    """Hold every window of the result against the calculation; gives how often each outcome occurred."""
    kept = {(r["station"], r["start_utc"].to_pydatetime()): r for r in samples.to_dict("records")}
    left = {(s, t.to_pydatetime()): why for s, t, why in rejected[["station", "start_utc", "reason"]].itertuples(False)}
    assert len(kept) == len(samples)
    assert len(left) == len(rejected)
    assert not kept.keys() & left.keys()
    assert kept.keys() | left.keys() == {(code, start) for code, rows in truths.items() for start in rows}
    outcome: dict[str, int] = defaultdict(int)
    for code, rows in truths.items():
        for start, truth in rows.items():
            where = f"{code} {start}"
            if truth.reasons:
                assert (code, start) in left, f"{where}: a sample, should be rejected for {truth.reasons}"
                assert left[code, start] in truth.reasons, f"{where}: {left[code, start]}, not {truth.reasons}"
                outcome[left[code, start]] += 1
                continue
            if not truth.eligible and left.get((code, start)) == "not_a_control":
                outcome["not_a_control"] += 1
                continue
            assert (code, start) in kept, f"{where}: rejected for {left[code, start]}, should be a sample"
            compare_sample(kept[code, start], truth, world.places[code], where)
            outcome[kept[code, start]["magnitude_class"]] += 1
    return dict(outcome)


def compare_sample(row: dict, truth: Truth, place: tuple[float, float], where: str) -> None:
    assert row["end_utc"].to_pydatetime() == truth.end, where
    for name, value in (("kp_max", truth.kp_max), ("dst_min_nt", truth.dst_min)):
        assert math.isnan(row[name]) if value is None else abs(row[name] - value) < 2e-3, (where, name)
    if truth.gap is not None:
        assert abs(row["gap_fraction"] - truth.gap) < 1e-9, where
    middle = truth.start + (truth.end - truth.start) / 2
    local = (middle.hour + middle.minute / 60 + place[1] / 15) % 24
    assert abs((row["local_hour"] - local + 12) % 24 - 12) < 1e-6, where
    ids = [one.quake.event_id for one in truth.eligible]
    assert sorted(row["event_ids"]) == sorted(ids), where
    if not ids:
        assert (row["magnitude_class"], row["azimuth_class"]) == ("Normal", "Normal"), where
        assert row["split_group"].startswith("normal:"), where
        assert pd.isna(row["event_id"]), where
        assert all(math.isnan(row[n]) for n in ("magnitude", "distance_km", "azimuth_deg", "lead_hours", "es")), where
        assert not row["in_dobrovolsky"], where
        assert not row["in_hattori"], where
        return
    one = next(s for s in truth.eligible if s.quake.event_id == row["event_id"])
    assert one.energy >= max(s.energy for s in truth.eligible) * (1 - 1e-6), where
    assert row["split_group"].startswith("event:"), where
    assert row["origin_utc"].to_pydatetime() == one.quake.origin.replace(
        microsecond=one.quake.origin.microsecond // 1000 * 1000
    ), where
    assert row["magnitude"] == one.quake.magnitude, where
    assert math.isnan(row["depth_km"]) if one.quake.depth is None else row["depth_km"] == one.quake.depth, where
    assert abs(row["distance_km"] - one.distance) < 0.1, where
    assert abs((row["azimuth_deg"] - one.azimuth + 180) % 360 - 180) < 0.05, where
    assert abs(row["es"] / one.energy - 1) < 1e-3, where
    assert abs(row["lead_hours"] - (one.quake.origin - truth.end) / HOUR) < 1e-6, where
    assert row["magnitude_class"] == magnitude_class(one.quake.magnitude), where
    assert row["azimuth_class"] == sector(one.azimuth), where
    assert (bool(row["in_dobrovolsky"]), bool(row["in_hattori"])) == (one.dobrovolsky, one.hattori), where


def compare_controls(samples: pd.DataFrame, all_samples: pd.DataFrame, spec: DataConfig) -> tuple[int, int]:
    """Check every control against its event window, and that no event window was left without a fitting one.

    ``all_samples``: event windows and every Normal window. Gives the numbers of matched and unmatched event windows.
    """
    rows = {row["sample_id"]: row for row in all_samples.to_dict("records")}
    events = {name: row for name, row in rows.items() if row["magnitude_class"] != "Normal"}
    chosen = samples[samples["magnitude_class"] == "Normal"]
    owners: dict[str, list[str]] = defaultdict(list)
    for name, owner in chosen[["sample_id", "control_of"]].itertuples(False):
        assert rows[name]["magnitude_class"] == "Normal"
        assert fits(rows[name], events[owner], spec), f"{name} is no control of {owner}"
        owners[owner].append(name)
    assert chosen["sample_id"].is_unique
    assert chosen["matched"].all()
    used = set(chosen["sample_id"])
    slots: dict[tuple[str, int], list[dict]] = defaultdict(list)
    for name, row in rows.items():
        if row["magnitude_class"] == "Normal" and name not in used:
            slots[row["station"], row["start_utc"].hour].append(row)
    kept = samples[samples["magnitude_class"] != "Normal"].set_index("sample_id")
    assert set(kept.index) == set(events), "an event window is lost for lack of a control"
    for name, event in events.items():
        assert bool(kept.at[name, "matched"]) == (len(owners[name]) >= spec.controls_per_positive), name
        assert len(owners[name]) <= spec.controls_per_positive
        if len(owners[name]) < spec.controls_per_positive:
            spare = [row["sample_id"] for row in slots[event["station"], event["start_utc"].hour]
                     if fits(row, event, spec, margin=-1)]  # fmt: skip
            assert not spare, f"{name} is unmatched, but {spare[0]} would fit"
    return int(kept["matched"].sum()), int((~kept["matched"]).sum())


def fits(control: dict, event: dict, spec: DataConfig, margin: int = 1) -> bool:
    """The rule of matching; ``margin`` days make up for leap years, which the handbook leaves open."""
    first, second = control["start_utc"], event["start_utc"]
    apart = abs(first.day_of_year - second.day_of_year)
    return (
        control["station"] == event["station"]
        and (first.hour, first.minute) == (second.hour, second.minute)
        and (math.isnan(event["kp_max"]) or abs(control["kp_max"] - event["kp_max"]) <= 1 + 1e-3)
        and min(apart, 365 - apart) <= spec.match_day_of_year + margin
        and abs((first.normalize() - second.normalize()).days) <= 365.25 * spec.match_years + margin
    )


# plain readers --------------------------------------------------------------------------------------------------


def rows_of(path: Path, delimiter: str = ",") -> list[dict[str, str]]:
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return list(csv.DictReader(io.StringIO(raw.decode("utf-8-sig")), delimiter=delimiter))


def lines_of(path: Path) -> list[str]:
    return gzip.decompress(path.read_bytes()).decode().splitlines()


def plain_time(text: str) -> datetime:
    return datetime.fromisoformat(text.strip().removesuffix("Z")).replace(tzinfo=None)


def usgs_quakes(path: Path) -> list[Quake]:
    return [
        Quake(r["id"], plain_time(r["time"]), float(r["latitude"]), float(r["longitude"]),
              float(r["depth"]) if r["depth"] else None, float(r["mag"]))
        for r in rows_of(path) if r["type"] == "earthquake"
    ]  # fmt: skip


def bmkg_quakes(path: Path) -> list[Quake]:
    found: dict[str, Quake] = {}
    for r in rows_of(path):
        quake = Quake(r["event_id"], plain_time(r["datetime"]), float(r["Latitude"]), float(r["Longitude"]),
                      float(r["Depth"]) if r["Depth"] else None, float(r["Magnitude"]))  # fmt: skip
        found.setdefault(quake.event_id, quake)
    return sorted(found.values(), key=lambda q: q.origin)


def wide_kp(path: Path) -> Values:
    return {
        plain_time(r["Date"]) + hour * HOUR: float(r[f"K_{hour:02d}"])
        for r in rows_of(path) for hour in range(0, 24, 3)
    }  # fmt: skip


def long_kp(path: Path) -> Values:
    return {plain_time(r["Date_Time_UTC"]): float(r["Kp_Index"]) for r in rows_of(path)}


def wdc_dst(path: Path) -> Values:
    values = {}
    for line in lines_of(path):
        day = datetime(int(line[14:16] + line[3:5]), int(line[5:7]), int(line[8:10]))
        for hour in range(24):
            value = int(line[20 + 4 * hour : 24 + 4 * hour])
            if value != 9999:
                values[day + hour * HOUR] = value + 100.0 * int(line[16:20])
    return values


def listed_dst(path: Path) -> Values:
    parts = [line.split() for line in lines_of(path) if line.startswith("2")]
    return {plain_time(f"{p[0]} {p[1]}"): float(p[3]) for p in parts if float(p[3]) < 9999}


def iaga_missing(path: Path) -> dict[tuple[str, datetime], float]:
    """Share of the seconds of each 6-h window without H, D or Z in a file of one day."""
    lines = lines_of(path)
    header = next(i for i, line in enumerate(lines) if line.startswith("DATE"))
    code = lines[header].split()[3][:3]
    present: dict[int, int] = defaultdict(int)
    for line in lines[header + 1 :]:
        perhaps = "8888" in line or "9999" in line  # a fill value? look closely
        if perhaps and any(float(text) >= 88888 for text in line.split()[3:6]):
            continue
        present[int(line[11:13]) // 6] += 1
    day = datetime.fromisoformat(lines[header + 1][:10])
    assert all(line.startswith(lines[header + 1][:10]) for line in lines[header + 1 :])
    return {(code, day + 6 * slot * HOUR): 1 - present[slot] / 21600 for slot in range(4)}


def frg_missing(path: Path) -> dict[tuple[str, datetime], float]:
    """The same from a FRG-604RC day file, by the table of the handbook's section 1."""
    data = path.read_bytes()
    present: dict[datetime, int] = defaultdict(int)
    for block in range(144):
        chunk = data[block * 10230 : (block + 1) * 10230]
        code = chunk[2:5].decode()
        year, month, day, hour, _ = struct.unpack("5B", chunk[5:10])
        start = datetime(2000 + year, month, day, hour // 6 * 6)
        for record in range(600):
            at = 30 + 17 * record
            present[start] += all(chunk[at + k : at + k + 3] != b"\xff\xff\x7f" for k in (0, 3, 6))
    first = datetime(2000 + data[5], data[6], data[7])
    return {(code, first + slot * HOUR): 1 - present[first + slot * HOUR] / 21600 for slot in (0, 6, 12, 18)}


# real days ------------------------------------------------------------------------------------------------------

USGS_SPECS = {
    "fixed 3000 km": DataConfig(controls="all", range_rule="fixed", range_km=3000.0),
    "fixed 3000 km, matched": DataConfig(range_rule="fixed", range_km=3000.0),
    "fixed 5000 km, short guards": DataConfig(
        controls="all", range_rule="fixed", range_km=5000.0, guard_ahead_d=0.25, guard_behind_d=0.5, horizon_h=12
    ),
    "fixed 2000 km, shallow, 30/7 guard": DataConfig(
        controls="all", range_rule="fixed", range_km=2000.0, guard_ahead_d=30.0, max_depth_km=70.0
    ),
    "dobrovolsky": DataConfig(controls="all"),
    "hattori": DataConfig(controls="all", range_rule="hattori"),
    "es": DataConfig(controls="all", range_rule="es"),
    "es, lower threshold": DataConfig(
        controls="all", range_rule="es", es_threshold=2e5, guard_ahead_d=0.5, guard_behind_d=0.5
    ),
}
EVERY_STATION = "fixed 3000 km"  # the others read fewer stations, to save time


@pytest.fixture(scope="module")
def usgs_world(real_data: Path) -> World:
    missing: dict[tuple[str, datetime], float] = {}
    for path in sorted((real_data / "usgs_1s_201404").iterdir()):
        missing |= iaga_missing(path)
    quakes = [q for q in usgs_quakes(real_data / "catalogs/usgs_global_M5_2013_2023.csv.gz")
              if datetime(2014, 3, 1) <= q.origin < datetime(2014, 6, 1)]  # fmt: skip
    return World(
        {r["code"]: (float(r["lat_deg"]), float(r["lon_deg_east"]))
         for r in rows_of(real_data / "stations/observatories_from_headers.csv")},
        quakes,
        [(datetime(2013, 1, 1), datetime(2023, 11, 4))],
        wide_kp(real_data / "indices/GFZ_Potsdam_Kp.csv.gz"),
        wdc_dst(real_data / "indices/WDC_Kyoto.dat.gz"),
        missing,
    )  # fmt: skip


def between(inputs: Inputs, first: str, last: str) -> Inputs:
    """The inputs with the earthquakes of some months alone, which take less time to decluster."""
    events = inputs.catalog.events
    kept = events[(events["origin_utc"] >= first) & (events["origin_utc"] < last)].reset_index(drop=True)
    assert 100 < len(kept) < len(events)
    return replace(inputs, catalog=replace(inputs.catalog, events=kept))


@pytest.fixture(scope="module")
def usgs_inputs(real_data: Path) -> Inputs:
    inputs = read_inputs(
        real_data / "usgs_1s_201404", real_data / "stations/observatories_from_headers.csv",
        [real_data / "catalogs/usgs_global_M5_2013_2023.csv.gz"],
        real_data / "indices/GFZ_Potsdam_Kp.csv.gz", real_data / "indices/WDC_Kyoto.dat.gz",
    )  # fmt: skip
    return between(inputs, "2014-03-01", "2014-06-01")


def test_the_plain_distance_agrees_with_published_values() -> None:
    # Flinders Peak to Buninyong, Geoscience Australia's worked example (GRS80): 54,972.271 m at 306 52' 05.37"
    distance, azimuth = vincenty(-37.95103342, 144.42486789, -37.65282114, 143.92649553)
    assert distance == pytest.approx(54.972271, abs=1e-5)
    assert azimuth == pytest.approx(306 + 52 / 60 + 5.37 / 3600, abs=1e-5)


@pytest.mark.real
@pytest.mark.parametrize("name", USGS_SPECS)
def test_real_usgs_days_come_out_as_calculated_by_hand(
    name: str, usgs_world: World, usgs_inputs: Inputs, real_data: Path, tmp_path: Path
) -> None:
    spec, archive = USGS_SPECS[name], real_data / "usgs_1s_201404"
    codes = {code for code, _ in usgs_world.missing}
    if name != EVERY_STATION:
        codes, archive = {"GUA", "TUC"}, tmp_path / "archive"
        for code in codes:
            (archive / code).mkdir(parents=True)
            for path in (real_data / "usgs_1s_201404").glob(f"{code.lower()}*"):
                shutil.copy(path, archive / code)
    samples, rejected = prepared(replace(usgs_inputs, archive=archive), tmp_path / "store", spec)
    starts = sorted({start for _, start in usgs_world.missing})
    truths = {code: expect(usgs_world, code, starts, spec) for code in codes}
    outcome = compare(samples, rejected, usgs_world, truths)
    for expected in EXPECTED_OUTCOMES[name]:
        assert outcome.get(expected, 0) > 0, outcome
    if spec.controls == "matched":
        assert set(outcome) <= {"Normal", "Medium", "Large", "guard", "not_a_control"}
        events = samples[samples["magnitude_class"] != "Normal"]
        assert len(events) == sum(1 for rows in truths.values() for t in rows.values() if t.eligible)


EXPECTED_OUTCOMES = {
    "fixed 3000 km": ("Normal", "Medium", "Large", "guard"),
    "fixed 3000 km, matched": ("Medium", "guard"),
    "fixed 5000 km, short guards": ("Normal", "Medium", "guard"),
    "fixed 2000 km, shallow, 30/7 guard": ("Medium", "guard"),
    "dobrovolsky": ("Normal",),
    "hattori": ("Normal",),
    "es": ("guard",),
    "es, lower threshold": ("Medium",),
}


def prepared(inputs: Inputs, out: Path, spec: DataConfig) -> tuple[pd.DataFrame, pd.DataFrame]:
    try:
        prepare_store(inputs, out, spec.model_copy(update={"n_bins": 20}))  # the spectrograms are not looked at
        samples = open_store(out).samples
    except DataError as error:  # every window is rejected; the rows with their reasons are written all the same
        if "no usable window" not in str(error):
            raise
        samples = pd.DataFrame({"station": [], "start_utc": pd.to_datetime([])})
    rejected = pd.read_csv(out / "rejected.csv")
    starts = pd.to_datetime(rejected["start_utc"], utc=True).dt.tz_localize(None)
    return samples, rejected.assign(start_utc=starts)


BMKG_COVERED = [  # the manifest: "all of 2022 and July 2021 are missing"; from the first row's day to the last row
    (datetime(2018, 1, 1), datetime(2021, 7, 1)),
    (datetime(2021, 8, 1), datetime(2022, 1, 1)),
    (datetime(2023, 1, 1), datetime(2025, 8, 30, 23, 3, 54, 588000)),
]


@pytest.fixture(scope="module")
def bmkg_world(real_data: Path) -> World:
    return World(
        {r["Kode Stasiun"]: (float(r["Latitude"]), float(r["Longitude"]))
         for r in rows_of(real_data / "bmkg/stations.csv", ";") if r["Kode Stasiun"]},
        bmkg_quakes(real_data / "bmkg/catalog_2018_2025.csv"),
        BMKG_COVERED,
        long_kp(real_data / "indices/kp_2018_2026.csv.gz"),
        None,
        frg_missing(real_data / "bmkg/S250101.ALR"),
    )  # fmt: skip


BMKG_SPECS = {
    "dobrovolsky": DataConfig(controls="all"),
    "no missing second allowed": DataConfig(controls="all", max_gap_fraction=0.0, range_rule="fixed", range_km=300.0),
    "hattori": DataConfig(controls="all", range_rule="hattori"),
    "fixed 500 km": DataConfig(controls="all", range_rule="fixed"),
    "fixed 300 km, 6 h": DataConfig(
        range_rule="fixed", range_km=300.0, horizon_h=6, guard_ahead_d=0.0, guard_behind_d=0.0, controls="all"
    ),
    "es": DataConfig(controls="all", range_rule="es"),
}


@pytest.fixture(scope="module")
def bmkg_inputs(real_data: Path) -> Inputs:
    inputs = read_inputs(
        real_data / "bmkg", real_data / "bmkg/stations.csv", [real_data / "bmkg/catalog_2018_2025.csv"],
        real_data / "indices/kp_2018_2026.csv.gz", real_data / "indices/dst_2018_2024.txt.gz",
    )  # fmt: skip
    return between(inputs, "2024-11-01", "2025-03-01")


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "with_dst"),
    [*((name, False) for name in BMKG_SPECS), ("dobrovolsky", True), ("no missing second allowed", True)],
)
def test_the_real_bmkg_day_comes_out_as_calculated_by_hand(
    name: str, with_dst: bool, bmkg_world: World, bmkg_inputs: Inputs, real_data: Path, tmp_path: Path
) -> None:
    dst = listed_dst(real_data / "indices/dst_2018_2024.txt.gz") if with_dst else None
    world = replace(bmkg_world, dst=dst)
    inputs = bmkg_inputs if with_dst else replace(bmkg_inputs, dst=None)
    samples, rejected = prepared(inputs, tmp_path / "store", BMKG_SPECS[name])
    starts = [datetime(2025, 1, 1, hour) for hour in (0, 6, 12, 18)]
    outcome = compare(samples, rejected, world, {"ALR": expect(world, "ALR", starts, BMKG_SPECS[name])})
    if with_dst:
        assert len(samples) == 0
        assert set(outcome) <= {"dst_missing", "guard", "gaps"}
    if name == "no missing second allowed":
        assert outcome["gaps"] == 1  # the 64 s gap of the handbook


@pytest.mark.real
def test_the_handbooks_gap_of_64_s_is_the_only_one_of_the_bmkg_day(bmkg_world: World) -> None:
    assert sorted(round(share * 21600) for share in bmkg_world.missing.values()) == [0, 0, 0, 64]


# the whole BMKG catalogue ---------------------------------------------------------------------------------------


@pytest.mark.real
def test_labels_of_the_whole_bmkg_catalogue_agree_row_by_row(bmkg_labels: Labels, bmkg_world: World) -> None:
    codes = ("ALR", "TND")
    world, spec = replace(bmkg_world, missing={}), DataConfig()
    starts = [datetime(2018, 1, 1) + timedelta(hours=6 * i) for i in range(2800 * 4)]
    samples = bmkg_labels.samples[bmkg_labels.samples["station"].isin(codes)]
    rejected = bmkg_labels.rejected[bmkg_labels.rejected["station"].isin(codes)]
    outcome = compare(samples, rejected, world, {code: expect(world, code, starts, spec) for code in codes})
    assert {"Normal", "Moderate", "Medium", "Large", "guard", "catalog_hole"} == set(outcome)


@pytest.mark.real
def test_controls_of_the_whole_bmkg_catalogue_keep_every_rule_of_matching(
    bmkg_labels: Labels, bmkg_samples: pd.DataFrame
) -> None:
    codes = ["ALR", "TND"]
    matched, unmatched = compare_controls(
        bmkg_samples[bmkg_samples["station"].isin(codes)],
        bmkg_labels.samples[bmkg_labels.samples["station"].isin(codes)],
        DataConfig(),
    )
    assert matched > 10 * unmatched > 0


@pytest.mark.real
def test_counts_of_the_bmkg_catalogue_are_those_of_the_handbook(bmkg_labels: Labels) -> None:
    samples, rejected = bmkg_labels.samples, bmkg_labels.rejected
    # a window that Normal alone cannot be claimed for is covered: the handbook counts it
    uncovered = (rejected["reason"] == "catalog_hole") & ~rejected["detail"].str.contains("Normal")
    assert len(samples) + len(rejected) - uncovered.sum() == 230_088
    counts = samples["magnitude_class"].value_counts()
    handbook = {"Moderate": 7_773, "Medium": 5_281, "Large": 2_793, "Normal": 118_682}
    assert counts.to_dict() == pytest.approx(handbook, rel=0.02)
    positives = samples[samples["magnitude_class"] != "Normal"]
    clusters = positives.groupby("magnitude_class")["split_group"].nunique()
    assert positives["split_group"].nunique() == pytest.approx(778, rel=0.02)
    assert clusters.to_dict() == pytest.approx({"Moderate": 535, "Medium": 330, "Large": 71}, rel=0.02)
    normal = samples.loc[samples["magnitude_class"] == "Normal", "station"].value_counts()
    assert len(normal) == 24
    assert normal.min() == pytest.approx(1_392, rel=0.02)


@pytest.mark.real
def test_28_percent_of_the_event_windows_point_at_an_aftershock(bmkg_labels: Labels, bmkg_world: World) -> None:
    origin = {quake.event_id: quake.origin for quake in bmkg_world.quakes}
    events = bmkg_labels.samples[bmkg_labels.samples["magnitude_class"] != "Normal"]
    clusters = events["split_group"].str.removeprefix("event:")
    after = [origin[event] > origin[main] for event, main in zip(events["event_id"], clusters, strict=True)]
    assert np.mean(after) == pytest.approx(0.28, abs=0.01)
    assert (events["is_mainshock"] == (events["event_id"] == clusters)).all()


# synthetic ------------------------------------------------------------------------------------------------------

SYNTHETIC_SPECS = (
    DataConfig(controls="all"),
    DataConfig(range_rule="hattori"),
    DataConfig(range_rule="fixed", range_km=400.0, controls_per_positive=2),
    DataConfig(range_rule="es", es_threshold=3e8),
    DataConfig(guard_ahead_d=1.5, guard_behind_d=0.5, horizon_h=24, window_h=3),
    DataConfig(guard_ahead_d=30.0, min_magnitude=5.0, max_depth_km=100.0, window_h=12),
)


def synthetic(seed: int) -> tuple[World, Catalog, dict[str, Station], SpaceWeatherIndex, SpaceWeatherIndex]:
    """Two years, three stations, earthquakes often on whole hours, holes in catalogue, Kp and Dst."""
    rng = np.random.default_rng(seed)
    first = datetime(2020, 6, 1)
    places = {"AAA": (1.0, 120.0), "BBB": (-0.4, 121.7), "CCC": (5.0, 126.0)}
    holes = [(first + 200 * DAY, first + 229 * DAY + 5 * HOUR), (first + 500 * DAY, first + 503 * DAY)]
    covered = [(first, holes[0][0]), (holes[0][1], holes[1][0]), (holes[1][1], first + 700 * DAY)]
    quakes = [Quake("south", first, -10.0, 110.0, 10.0, 4.0), Quake("north", first, 10.0, 130.0, 10.0, 4.0)]
    for number in range(40):
        code = rng.choice(list(places))
        minutes = int(rng.integers(0, 700 * 24)) * 60 + (int(rng.integers(0, 60)) if rng.random() < 0.5 else 0)
        origin = first + timedelta(minutes=minutes)
        magnitude = float(round(rng.choice([4.0, 4.5, 5.0, 5.5, 6.0, 6.5, 7.0]) + rng.choice([0.0, 0.2]), 1))
        if any(low <= origin < high for low, high in holes):
            continue
        reach = rng.uniform(0, 1.3) * 10 ** (0.43 * magnitude) / 111
        angle = rng.uniform(0, 2 * math.pi)
        depth = None if rng.random() < 0.1 else float(rng.uniform(5, 200))
        quakes.append(Quake(f"q{number}", origin, places[code][0] + reach * math.cos(angle),
                            places[code][1] + reach * math.sin(angle), depth, magnitude))  # fmt: skip
        if rng.random() < 0.3:  # a smaller one soon after
            quakes.append(Quake(f"a{number}", origin + 12 * HOUR, places[code][0] + 0.2, places[code][1], 20.0, 4.4))
    kp_values = np.round(rng.uniform(0, 6, 701 * 8) * 3) / 3
    dst_values = np.round(rng.normal(-10, 20, 701 * 24))
    kp_values[rng.integers(0, kp_values.size, 4)] = np.nan
    dst_values[rng.integers(0, dst_values.size, 4)] = np.nan
    world = World(
        places, sorted(quakes, key=lambda q: (q.origin, q.event_id)), covered,
        {first + 3 * i * HOUR: v for i, v in enumerate(kp_values) if not math.isnan(v)},
        {first + i * HOUR: v for i, v in enumerate(dst_values) if not math.isnan(v)}, {},
    )  # fmt: skip
    table = pd.DataFrame(
        {
            "event_id": [q.event_id for q in world.quakes],
            "origin_utc": pd.Series([q.origin for q in world.quakes]).astype("datetime64[ms]"),
            "latitude_deg": [q.latitude for q in world.quakes],
            "longitude_deg": [q.longitude for q in world.quakes],
            "depth_km": [math.nan if q.depth is None else q.depth for q in world.quakes],
            "magnitude": [q.magnitude for q in world.quakes],
            "magnitude_type": "", "place": "",
        }
    )  # fmt: skip
    spans = tuple((np.datetime64(a, "ms"), np.datetime64(b, "ms")) for a, b in covered)
    start = np.datetime64(first, "ms")
    return (
        world,
        Catalog(table, Coverage(spans), {}, {}, []),
        {code: Station(code, *place) for code, place in places.items()},
        SpaceWeatherIndex("kp", start, 3, kp_values, ""),
        SpaceWeatherIndex("dst", start, 1, dst_values, ""),
    )


@pytest.mark.parametrize("seed", range(6))
def test_a_synthetic_archive_comes_out_as_calculated_by_hand(seed: int) -> None:
    spec = SYNTHETIC_SPECS[seed % len(SYNTHETIC_SPECS)]
    world, catalog, stations, kp, dst = synthetic(seed)
    first = datetime(2020, 6, 1)
    days = np.arange(np.datetime64(first, "D") - 3, np.datetime64(first, "D") + 705)
    starts, ends = daily_windows(days, spec.window_h)
    windows = pd.concat([pd.DataFrame({"station": c, "start_utc": starts, "end_utc": ends}) for c in stations])
    shuffled = windows.sample(frac=1.0, random_state=seed, ignore_index=True)
    labels = label_windows(shuffled, catalog, stations, spec, kp, dst)
    times = [t.to_pydatetime() for t in pd.DatetimeIndex(starts)]
    truths = {code: expect(world, code, times, spec) for code in stations}
    outcome = compare(labels.samples, labels.rejected, world, truths)
    assert {"guard", "catalog_hole", "kp_missing", "dst_missing"} <= set(outcome)
    assert {"Normal", "Medium"} & set(outcome)
    if spec.controls == "matched":
        chosen = choose_controls(labels, spec, kp)
        compare(chosen.samples, chosen.rejected, world, truths)
        compare_controls(chosen.samples, labels.samples, spec)
