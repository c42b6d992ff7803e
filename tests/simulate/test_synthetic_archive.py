"""Simulated archives as a whole: reproducible bytes, bounded memory, readable tables, and a null that is one."""

import itertools
import json
import re
import subprocess
import sys
import textwrap

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from fixtures.archive_files import small_simulation
from fixtures.measuring import FIRST, band_power, configuration, contents, day_files, flat_kp, read_days, simulate
from seismag.archive.catalogs import read_catalogs
from seismag.archive.indices import read_index
from seismag.archive.listing import inspect_archive
from seismag.archive.stations import read_stations
from seismag.config import SimulateConfig
from seismag.domain import UsageError
from seismag.recordings import read_recording
from seismag.recordings.frg604rc import MARK_SIMULATED
from seismag.simulate.activity import make_activity
from seismag.simulate.artefacts import add_artefacts
from seismag.simulate.background import _modulation
from seismag.simulate.earthquakes import earthquakes
from seismag.simulate.emission import events_in_range
from seismag.simulate.plan import make_plan
from seismag.simulate.sites import make_site
from seismag.simulate.spectral_model import HUMP
from seismag.simulate.synthetic_archive import _write_day, simulate_archive, simulate_day

STATIONS = read_stations()
SOILED = {"days": 6, "stations": ["GTO", "ALR"], "emission": {"snr": 20.0}, "earthquakes": {"per_station_year": 180.0}}


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Six days of two stations with emissions and the default artefacts."""
    return simulate_archive(SimulateConfig(**SOILED), tmp_path_factory.mktemp("sim") / "archive")


# ---- the same bytes ----


def test_the_same_seed_gives_the_same_bytes_for_any_number_of_workers(archive, tmp_path):
    assert contents(simulate_archive(SimulateConfig(**SOILED), tmp_path / "two", workers=2)) == contents(archive)


def test_a_day_made_alone_has_the_same_bytes(archive, tmp_path):
    plan = make_plan(SimulateConfig(**SOILED))
    for index, day in np.argwhere(plan.written)[[-1, 3, 0]]:
        _write_day(plan, int(index), int(day), tmp_path)
    made = contents(tmp_path)
    assert len(made) == 3
    assert made.items() <= contents(archive).items()


def test_another_seed_gives_another_archive(archive, tmp_path):
    other = contents(simulate_archive(SimulateConfig(**SOILED | {"seed": 8}), tmp_path / "other"))
    ours = contents(archive)
    for name in set(other) & set(ours) - {"stations.csv"}:
        assert other[name] != ours[name], name
    assert other["stations.csv"] == ours["stations.csv"]


def test_a_longer_archive_begins_like_a_shorter_one(tmp_path):
    """Days depend on seed, date and the indices alone; a simulated Kp would be another draw for a longer time."""
    settings = {"stations": ["GTO"], "kp": flat_kp(tmp_path / "k.csv", 3.0, 3)}
    short = contents(simulate(tmp_path / "short", days=2, **settings))
    long = contents(simulate(tmp_path / "long", days=3, **settings))
    names = [name for name in short if name.startswith("GTO")]
    assert len(names) == 2
    assert all(short[name] == long[name] for name in names)


# ---- memory ----


def test_memory_does_not_grow_with_the_archive(tmp_path):
    """Four stations; eight days may take 30 MB more than two: noise shared by the region is kept for a few days."""
    script = f"""
        import resource
        from pathlib import Path
        from seismag.config import SimulateConfig
        from seismag.simulate import simulate_archive
        for days in (2, 8):
            settings = SimulateConfig(days=days, stations=["GTO", "ALR", "TRT", "KPY"])
            simulate_archive(settings, Path({str(tmp_path)!r}) / str(days))
            print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True)
    two, eight = map(int, done.stdout.split())
    assert eight < two + 30


# ---- what is written ----


def test_day_files_are_read_back_by_the_ordinary_reader_and_marked(archive):
    assert day_files(archive)
    for path in day_files(archive):
        recording = read_recording(path)
        assert recording.station == path.parent.name
        assert recording.metadata["origin"] == "simulated"
        assert f"S{recording.start_utc.astype('M8[D]').astype(object):%y%m%d}.{recording.station}.gz" == path.name
        assert recording.latitude_deg == pytest.approx(STATIONS[recording.station].latitude_deg, abs=1e-4)
    assert MARK_SIMULATED == b"SIMULATE"


def test_tables_are_read_by_the_readers_of_the_package(archive):
    stations = read_stations(archive / "stations.csv")
    assert list(stations) == ["GTO", "ALR"]
    assert stations["GTO"].latitude_deg == pytest.approx(STATIONS["GTO"].latitude_deg, abs=1e-9)
    catalog = read_catalogs([archive / "catalogue.csv"])
    assert catalog.coverage.holes == []
    assert not catalog.dropped
    margin = np.timedelta64(29, "D")
    assert catalog.coverage.covers(FIRST - margin, FIRST + 6 + margin).all()
    plan = make_plan(SimulateConfig(**SOILED))
    start = (FIRST - 30).astype("datetime64[ms]")
    for name, values in (("kp", plan.activity.kp), ("dst", plan.activity.dst_nt)):
        index = read_index(archive / f"{name}.csv", name)
        assert index.start_utc == start
        np.testing.assert_allclose(index.values, values, atol=0.06)


def test_nothing_but_the_archive_and_its_truth_is_written(archive):
    names = {p.name for p in archive.iterdir()}
    assert names == {
        "ALR", "GTO", "stations.csv", "catalogue.csv", "kp.csv", "dst.csv", "truth.parquet", "simulation.json"
    }  # fmt: skip
    for table in ("stations.csv", "catalogue.csv", "kp.csv", "dst.csv"):
        assert not re.search("emission|snr|defect|parent", (archive / table).read_text())


def test_missing_days_have_no_file(tmp_path):
    artefacts = configuration().artefacts.model_copy(update={"missing_day_fraction": 0.4}).model_dump()
    out = simulate(tmp_path / "a", days=8, stations=["GTO"], artefacts=artefacts)
    plan = make_plan(configuration(days=8, stations=["GTO"], artefacts=artefacts))
    expected = [f"S{(FIRST + int(day)).astype(object):%y%m%d}.GTO.gz" for day in np.flatnonzero(plan.written[0])]
    assert 0 < len(expected) < 8
    assert [path.name for path in day_files(out)] == expected


# ---- a null archive is one ----


def test_without_emissions_the_files_do_not_depend_on_the_earthquakes(tmp_path):
    """Rates, sizes, ranges and emissions' other settings change; not one byte of a day file does."""
    base = {"days": 3, "stations": ["GTO", "ALR"], "artefacts": {}}
    ours = contents(simulate(tmp_path / "a", **base))
    other = contents(
        simulate(
            tmp_path / "b", **base, emission={"lead_h": 5.0, "low_mhz": 20.0},
            earthquakes={"per_station_year": 200.0, "branching_ratio": 0.8, "b_value": 0.7, "max_magnitude": 8.0},
        )
    )  # fmt: skip
    assert ours["catalogue.csv"] != other["catalogue.csv"]
    files = [name for name in ours if name.startswith(("GTO", "ALR"))]
    assert len(files) >= 5
    assert all(ours[name] == other[name] for name in files)
    assert all(ours[name] == other[name] for name in ("kp.csv", "dst.csv", "stations.csv"))


def shift_p_value(level, before):
    """Permutation test by circular shifts: share of shifts whose difference of means is at least as large."""
    shifted = np.stack([np.roll(before, k) for k in range(before.size)])
    difference = shifted @ level / before.sum() - (~shifted) @ level / (~before).sum()
    return (difference >= difference[0] - 1e-12).mean()


def windows_before_events(spec, station):
    """(4 days,) windows that end within 48 h before an event in range."""
    ends = FIRST.astype("M8[ms]") + np.arange(1, 4 * spec.days + 1) * np.timedelta64(6, "h")
    origins = events_in_range(earthquakes(spec, [station]), station)["origin_utc"].to_numpy()
    ahead = origins[None] - ends[:, None]
    return ((ahead >= np.timedelta64(0)) & (ahead < np.timedelta64(48, "h"))).any(axis=1)


def test_band_power_before_events_of_a_null_archive_is_like_that_of_other_windows(tmp_path):
    spec = configuration(days=40, stations=["GTO"], earthquakes={"per_station_year": 40.0})
    archive = simulate_archive(spec, tmp_path / "a")
    level = np.log(band_power(read_days(archive, "GTO")[:1], 10, 40)).reshape(160, 36).mean(axis=1)
    before = windows_before_events(spec, STATIONS["GTO"])
    assert 10 < before.sum() < 80
    assert 0.02 < shift_p_value(level, before) < 0.98


def test_the_same_test_finds_emissions(tmp_path):
    spec = configuration(days=40, stations=["GTO"], earthquakes={"per_station_year": 40.0}, emission={"snr": 30.0})
    archive = simulate_archive(spec, tmp_path / "a")
    level = np.log(band_power(read_days(archive, "GTO")[:1], 10, 40)).reshape(160, 36).mean(axis=1)
    assert shift_p_value(level, windows_before_events(spec, STATIONS["GTO"])) < 0.02


def test_what_makes_the_power_is_independent_of_the_catalogue_over_many_seeds():
    """Kp and modulation, which set the power, against the events of the same seed: p-values are uniform."""
    p_values = []
    for seed in range(60):
        spec = configuration(days=40, seed=seed, stations=["GTO"], earthquakes={"per_station_year": 40.0})
        before = windows_before_events(spec, STATIONS["GTO"])
        if not 8 <= before.sum() <= 120:
            continue
        kp = make_activity(spec).kp_at(np.arange(160) * 21_600 + 10_800.0)
        site = make_site(STATIONS["GTO"], seed, 0)
        modulation = np.concatenate(
            [np.log10(_modulation(site, HUMP, day, seed)[:-1]).reshape(4, 360).mean(axis=1) for day in range(40)]
        )
        p_values.append(shift_p_value(0.23 * kp + 2 * modulation, before))
    assert len(p_values) > 40
    assert stats.kstest(p_values, "uniform").pvalue > 0.02


def test_no_two_things_draw_from_one_stream(monkeypatch):
    """numpy gives [7, 2] and [7, 2, 0, 0] one stream: seeds are compared without the zeros at their end."""
    used = {}
    original = np.random.default_rng

    def watched(seed):
        frame = sys._getframe(1)
        while frame.f_code.co_name in ("day_stream", "_generator", "rng"):  # they only put a seed together
            frame = frame.f_back
        key = tuple(int(number) for number in seed)
        while key[-1] == 0:
            key = key[:-1]
        used.setdefault(key, set()).add(f"{frame.f_code.co_filename}:{frame.f_lineno}")
        return original(seed)

    monkeypatch.setattr(np.random, "default_rng", watched)
    for geometry in ("uniform", "arcs"):
        spec = SimulateConfig(
            seed=977, days=3, stations=["GTO", "ALR"], emission={"snr": 1.0}, defect="duplicates", collected="study",
            earthquakes={"geometry": geometry, "per_station_year": 200.0, "per_year": 2000.0},
        )  # fmt: skip
        plan = make_plan(spec)
        for index, day in itertools.product((0, 1), (0, 1, 2)):
            add_artefacts(simulate_day(plan, index, day), spec, plan.histories[index], index, day)
    shared = {key: places for key, places in used.items() if len(places) > 1}
    mainshocks = (977, 2)  # around stations, or on arcs: never both
    assert {key: places for key, places in shared.items() if key != mainshocks} == {}
    assert all("earthquakes.py" in place for place in used[mainshocks])
    assert len(used) > 100


# ---- refusals ----


def test_a_folder_that_is_not_empty_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(UsageError, match=r"is not empty\. Choose another --out, or delete it"):
        small_simulation(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(UsageError, match="is not empty"):
        small_simulation(tmp_path / "thesis.tex")


def test_an_unknown_station_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(UsageError, match=r"simulate.stations: XXX not among ALR, .*"):
        small_simulation(tmp_path / "a", stations=["GTO", "XXX"])
    assert not (tmp_path / "a").exists()


def test_a_station_without_events_can_be_simulated(tmp_path):
    out = small_simulation(tmp_path / "a", days=1, stations=["GTO"], earthquakes={"per_station_year": 0.0})
    assert len(day_files(out)) == 1
    assert len(pd.read_parquet(out / "truth.parquet")) == 0
    assert len(read_catalogs([out / "catalogue.csv"]).events) > 10  # far earthquakes are there all the same


def interrupt(out, **settings):
    """Simulate five days of GTO, stopped after the first task of four."""

    def stop(_stage, done, _total):
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate_archive(configuration(days=5, stations=["GTO"], **settings), out, 1, stop)


def test_an_interrupted_simulation_is_marked_as_simulated_and_unfinished(tmp_path):
    """Its files look real: whatever is there must carry the mark, or prepare takes it for observed."""
    interrupt(tmp_path / "a")
    assert len(day_files(tmp_path / "a")) == 4
    assert json.loads((tmp_path / "a" / "simulation.json").read_text())["complete"] is False
    assert "UNFINISHED" in inspect_archive(tmp_path / "a").describe()


def test_an_interrupted_simulation_goes_on_and_ends_with_the_same_bytes(tmp_path):
    spec = configuration(days=5, stations=["GTO"])
    whole = simulate_archive(spec, tmp_path / "whole")
    interrupt(tmp_path / "a")
    first = min(day_files(tmp_path / "a"))
    written = first.stat().st_mtime_ns
    assert contents(simulate_archive(spec, tmp_path / "a")) == contents(whole)
    assert first.stat().st_mtime_ns == written  # kept, not made again
    assert json.loads((whole / "simulation.json").read_text())["complete"] is True
    assert "UNFINISHED" not in inspect_archive(whole).describe()
    simulate_archive(spec, tmp_path / "a")  # finished: perhaps killed before it could say so
    assert contents(tmp_path / "a") == contents(whole)
    assert first.stat().st_mtime_ns == written
    with pytest.raises(UsageError, match="is not empty"):
        simulate_archive(configuration(days=5, stations=["GTO"], seed=8), tmp_path / "a")


def test_an_unfinished_folder_of_other_settings_is_refused(tmp_path):
    interrupt(tmp_path / "a")
    before = contents(tmp_path / "a")
    with pytest.raises(UsageError, match=r"unfinished simulation with other settings\. .*another --out, or delete it"):
        simulate_archive(configuration(days=5, stations=["GTO"], seed=8), tmp_path / "a")
    assert contents(tmp_path / "a") == before


_KILLS = """
import os, signal, sys
from pathlib import Path
from seismag.config import SimulateConfig
from seismag.simulate import simulate_archive

def run(out, number):
    if (process := os.fork()) == 0:
        count = 0
        def count_operation(event, arguments):
            nonlocal count
            if event in ("open", "os.rename", "os.mkdir", "os.remove") and str(arguments[0]).startswith(str(out)):
                count += 1
                if count == number:
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(count_operation)
        simulate_archive(SimulateConfig.model_validate_json(sys.argv[2]), out)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])

for number in map(int, sys.argv[3:]):
    print(number, run(Path(sys.argv[1], str(number)), number))
"""


def test_a_simulation_killed_at_any_file_operation_ends_with_the_same_bytes(tmp_path):
    """From the operation before its mark to one after the last; the first three make folder and lock."""
    spec = configuration(days=1, stations=["GTO"])
    whole = contents(simulate_archive(spec, tmp_path / "whole"))
    numbers = ["1", "3", "4", "5", "9", "14", "20"]
    arguments = [sys.executable, "-c", _KILLS, tmp_path, spec.model_dump_json(), *numbers]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert f"{numbers[2]} -9" in done.stdout
    for number in numbers:
        assert contents(simulate_archive(spec, tmp_path / number)) == whole


def test_an_unfinished_simulation_whose_catalogue_changed_is_refused(tmp_path):
    small_simulation(tmp_path / "b", days=1, stations=["GTO"])
    catalog = tmp_path / "b" / "catalogue.csv"
    interrupt(tmp_path / "a", earthquakes={"catalog": str(catalog)})
    lines = catalog.read_text().splitlines()
    catalog.write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(UsageError, match="of other input files, or of files that have changed"):
        interrupt(tmp_path / "a", earthquakes={"catalog": str(catalog)})


def test_nothing_is_written_where_no_worker_can_start(tmp_path):
    with pytest.raises(UsageError, match="--workers 0: at least 1"):
        simulate_archive(configuration(days=1, stations=["GTO"]), tmp_path / "a", workers=0)
    assert not (tmp_path / "a").exists()
