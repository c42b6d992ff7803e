"""The public Python API, tried as in docs/python.md: the numbers are those of the commands."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import seismag
from fixtures.archive_files import ALR, FIRST, day_bytes, day_name, quiet_day
from fixtures.commands import run_seismag
from fixtures.window_tables import DAY, END, HOUR, START, STATION, catalog_of, quake, windows_at
from seismag.config import load_config
from seismag.domain import DataError
from seismag.recordings import Recording


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("api")


@pytest.fixture(scope="module")
def day_file(folder: Path) -> Path:
    path = folder / day_name(ALR, FIRST)
    path.write_bytes(day_bytes(ALR, FIRST, quiet_day(ALR, FIRST)))
    return path


def test_importing_seismag_imports_nothing_heavy():
    code = "import seismag, sys; assert not {'numpy', 'pandas', 'torch', 'scipy'} & set(sys.modules), sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_names_of_the_api_are_there_and_documented():
    for name in seismag.__all__:
        assert getattr(seismag, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'reed'"):
        seismag.reed  # noqa: B018


def test_a_package_of_the_same_name_can_be_called():
    for name in ("audit", "simulate"):
        importlib.import_module(f"seismag.{name}")
        assert callable(getattr(seismag, name))


def test_a_day_file_becomes_a_table_and_a_spectrogram(day_file):
    recording = seismag.read(str(day_file))
    frame = recording.to_pandas()
    assert list(frame.columns) == ["H", "D", "Z"]
    assert len(frame) == 86_400
    power = seismag.spectrogram(recording).power
    assert power.dims == ("component", "frequency", "time")
    assert "nT" in power.attrs["units"]


def test_a_table_of_y_and_p_event_alone_is_scored():
    table = pd.DataFrame({"y": [0, 0, 1, 1] * 10, "p_event": [0.1, 0.4, 0.6, 0.9] * 10})
    scores = seismag.evaluate(table)
    assert scores["detection"]["balanced_accuracy"]["value"] == 1.0


def test_a_table_is_audited_as_by_the_command(folder):
    rng = np.random.default_rng(1)
    table = pd.DataFrame({"station": rng.choice(["A", "B"], 200), "date": np.arange(200) % 50})
    table["label"] = np.where(table["station"] == "A", "Normal", "Large")
    path = folder / "labels.csv"
    table.to_csv(path, index=False)
    fast = ["audit.permutations=999", "audit.placebos=20", "audit.partitions=4"]
    ours = seismag.audit(path, label="label", groups=["station", "date"], config=load_config(None, fast))
    command = run_seismag(
        "audit", "--table", path, "--label", "label", "--groups", "station,date", "--json",
        *(part for entry in fast for part in ("--set", entry)),
    )  # fmt: skip
    theirs = json.loads(command.stdout)
    assert [test["verdict"] for test in ours["tests"]] == [test["verdict"] for test in theirs["tests"]]
    assert ours["gate"] == theirs["gate"] == "fail"


def test_windows_are_labelled_by_a_catalogue():
    catalog = catalog_of(quake("q", END + 12 * HOUR, 5.5))
    labels = seismag.label(windows_at(START, START - 50 * DAY), catalog, {"GTO": STATION})
    assert labels.set_index("start_utc").loc[START, "magnitude_class"] == "Medium"
    assert set(labels["magnitude_class"]) == {"Medium", "Normal"}


def test_labelled_windows_keep_their_order_their_index_and_their_columns():
    catalog = catalog_of(quake("q", END + 12 * HOUR, 5.5))
    windows = windows_at(START - 50 * DAY, START, START - 5 * DAY).assign(mine=[1.0, 2.0, 3.0], kp_max=[4.0, 5.0, 6.0])
    windows = windows.iloc[[1, 2, 0]].set_axis(["event", "excluded", "normal"])
    labels = seismag.label(windows, catalog, {"GTO": STATION})
    assert labels["magnitude_class"].fillna("").to_dict() == {"event": "Medium", "excluded": "", "normal": "Normal"}
    assert labels.loc["excluded", "reason"] == "guard"
    pd.testing.assert_frame_equal(labels[windows.columns], windows)
    eastern = windows.assign(start_utc=windows["start_utc"].dt.tz_localize("UTC").dt.tz_convert("Asia/Makassar"))
    assert seismag.label(eastern, catalog, {"GTO": STATION})["event_id"].equals(labels["event_id"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"station": "gto"}, "station 'gto' is not among the stations: GTO"),
        ({"start_utc": END + HOUR}, "row 0 goes from .* Each window needs a start and a later end"),
        ({"end_utc": pd.NaT}, "row 0 goes from .* to NaT"),
        ({"end_utc": 1_700_000_000}, "end_utc is no time but int64. Convert it with pandas.to_datetime"),
    ],
)
def test_windows_that_cannot_be_labelled_are_named(change, message):
    catalog = catalog_of(quake("q", END + 12 * HOUR, 5.5))
    with pytest.raises(DataError, match=message):
        seismag.label(windows_at(START).assign(**change), catalog, {"GTO": STATION})


def test_what_a_function_cannot_take_is_named(folder):
    table = pd.DataFrame({"y": [0, 1], "station": ["A", "B"]})
    wrong = {
        "^give a recording or its path, not ndarray": lambda: seismag.spectrogram(np.zeros((3, 9))),
        "config: give a whole configuration": lambda: seismag.split(table, load_config().split),
        "stations: give a path, not DataFrame": lambda: seismag.label(windows_at(START), "quakes.csv", table),
        "windows: give a DataFrame, not list": lambda: seismag.label([], catalog_of(), {"GTO": STATION}),
        "table: give a path, not dict": lambda: seismag.evaluate({"y": [0]}),
        "no column p_event": lambda: seismag.evaluate(table),
        "samples: no column sample_id, start_utc": lambda: seismag.split(table),
        "none.csv: no such file": lambda: seismag.evaluate(folder / "none.csv"),
        "table: it has no rows": lambda: seismag.audit(table.iloc[:0], "y"),
    }
    for message, call in wrong.items():
        with pytest.raises((TypeError, DataError), match=message):
            call()


def test_a_recording_of_an_array_has_its_samples():
    array = np.arange(12.0).reshape(3, 4)
    recording = Recording.from_array(array, "2023-01-01", station="LUT")
    np.testing.assert_array_equal(recording.to_pandas().to_numpy().T, array)
    with pytest.raises(ValueError, match="three rows"):
        Recording.from_array(array[:2], "2023-01-01")
    kept = recording.field_nt[0, 0]
    array[0, 0] = 1e9
    assert recording.field_nt[0, 0] == kept
    for changed, message in (
        ({"rate_hz": -1.0}, "rate_hz is -1.0; give samples per second, above 0"),
        ({"rate_hz": np.nan}, "rate_hz is nan"),
        ({"start_utc": "8 March 2021"}, "start_utc is '8 March 2021'; write UTC as"),
        ({"start_utc": "NaT"}, "write UTC as"),
    ):
        with pytest.raises(ValueError, match=message):
            Recording.from_array(**{"field_nt": array, "start_utc": "2023-01-01", **changed})
