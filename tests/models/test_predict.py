"""``seismag predict``: one bad input ends nothing, nothing is predicted twice, nothing is computed in vain."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from fixtures.commands import run_seismag as run
from fixtures.plain_store import plain_attributes, plain_samples
from seismag.api import load_model
from seismag.archive.quality import main_field
from seismag.archive.stations import read_stations
from seismag.config import DataConfig, build_config
from seismag.domain import DataError, SeismagError, UsageError
from seismag.models.predict import (
    predict_inputs,
    require_readable,
    require_table_ending,
    write_predictions,
)
from seismag.models.predict_text import describe_predictions
from seismag.recordings import read_recording
from seismag.recordings.frg604rc import MARK_INJECTED, encode_day
from seismag.runs import create_run
from seismag.scoring.calibration import Calibration
from seismag.scoring.predictions import TASK_CLASSES
from seismag.scoring.reference import PredictionReference
from seismag.spectrograms.compute import bridge_short_gaps, make_grid, power_and_phasors, to_decibel
from seismag.training.checkpoint import build_card, load_checkpoint, save_checkpoint
from seismag.training.inference import predict_power
from seismag.training.model import ConvNeXtMultiTask
from seismag.training.scaling import fit_scaling
from seismag.windows.store import PREPROCESSING_KEYS, create_arrays, finish_store, write_shard

SPEC = DataConfig(n_bins=40)
ALR = read_stations(None)["ALR"]
KEYS = {
    "origin", "station", "start_utc", "end_utc", "p_magnitude", "p_azimuth", "usable", "reason", "p_event",
    "in_training", "p_event_calibrated", "percentile", "base_rate", "base_rate_of", "event_likelier",
    "magnitude_if_event", "magnitude_if_event_p", "azimuth_if_event", "azimuth_if_event_p",
}  # fmt: skip


def day_bytes(day: dt.date, mark: bytes = b"") -> bytes:
    rng = np.random.default_rng(day.toordinal())
    level = np.array(main_field(ALR, np.datetime64(day)).hdz)[:, None]
    field = level + np.cumsum(rng.normal(0, 0.02, (3, 86_400)), axis=1)
    return encode_day("ALR", day, ALR.latitude_deg, ALR.longitude_deg, field, mark=mark)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Two good days, a cut one, a web page, and a store of three windows."""
    folder = tmp_path_factory.mktemp("predict")
    for number in (1, 2, 3):
        content = day_bytes(dt.date(2025, 1, number))
        (folder / f"S25010{number}.ALR").write_bytes(content if number < 3 else content[:500_000])
    (folder / "S250104.ALR").write_bytes(day_bytes(dt.date(2025, 1, 4), mark=MARK_INJECTED))
    (folder / "page.bin").write_bytes(b"<html>404</html>")
    make_store(folder / "store", 3)
    return folder


def make_store(path: Path, n: int) -> None:
    grid = make_grid(SPEC)
    start = pd.to_datetime("2021-03-01") + pd.to_timedelta(6 * np.arange(n), unit="h")
    samples = pd.DataFrame(
        {"sample_id": [f"ALR-{i}" for i in range(n)], "station": "ALR", "start_utc": start,
         "end_utc": start + pd.Timedelta(hours=6), "split_group": "normal:1", "event_id": None,
         "magnitude_class": "Normal", "azimuth_class": "Normal"}
    )  # fmt: skip
    create_arrays(path, samples["sample_id"].tolist(), SPEC)
    power = np.random.default_rng(0).normal(-20, 5, (n, 3, len(grid.frequency_hz), len(grid.time_s)))
    if n:
        write_shard(path, 0, power.astype(np.float16), None)
    tables = pd.DataFrame({"reason": []}), pd.DataFrame({"verdict": []})
    finish_store(path, plain_samples(samples), *tables, plain_attributes(SPEC))


@pytest.fixture(scope="module")
def model(folder) -> Path:
    return make_model(folder, "m.pth", {})


def make_model(folder, name, settings, trained_on=(), **facts) -> Path:
    """Random weights: what is predicted does not matter here; ``facts`` stand in its model card."""
    model = {"backbone": "convnext_atto", "head_width": 32, **settings.get("model", {})}
    config = build_config({**settings, "model": model})
    grid = make_grid(SPEC)
    preprocessing = {key: getattr(SPEC, key) for key in PREPROCESSING_KEYS}
    store = SimpleNamespace(
        samples=pd.DataFrame({"origin": ["simulated"]}), frequency_hz=grid.frequency_hz, time_s=grid.time_s,
        attributes={"dataset_id": "d0", "preprocessing": preprocessing, "config": {}},
    )  # fmt: skip
    power = np.random.default_rng(1).normal(-20, 5, (4, 3, len(grid.frequency_hz), len(grid.time_s)))
    card = build_card(store, config, create_run(folder / "runs", "trial", config, dataset_id="d0"))
    card |= {"data_origin": ["simulated"], **facts}
    save_checkpoint(folder / name, ConvNeXtMultiTask(config.model), fit_scaling([power]), card, trained_on)
    return folder / name


def test_one_unreadable_file_does_not_end_the_others(model, folder):
    inputs = [folder / name for name in ("S250103.ALR", "S250101.ALR", "page.bin", "none.bin", "store", "S250102.ALR")]
    entries = predict_inputs(model, inputs, None).to_json()["predictions"]
    assert all(set(entry) == KEYS for entry in entries)
    assert [entry["usable"] for entry in entries] == [False] * 4 + [True] * 4 + [False] * 2 + [True] * 7
    cut, page, none = entries[:4], entries[8], entries[9]
    assert [entry["start_utc"] for entry in cut] == [f"2025-01-03T{hour:02d}:00:00Z" for hour in (0, 6, 12, 18)]
    assert all("the file is cut" in entry["reason"] and entry["station"] == "ALR" for entry in cut)
    assert all(entry["p_magnitude"] is entry["p_azimuth"] is None for entry in (*cut, page, none))
    assert (page["station"], page["start_utc"], page["end_utc"]) == (None, None, None)
    assert "web page" in page["reason"]
    assert "cannot be read" in none["reason"]


@pytest.fixture(scope="module")
def compared(folder) -> Path:
    """A model with a reference, trained on the first window of the store and of a day file."""
    fits = {task: Calibration(1.0, np.zeros(len(classes))) for task, classes in TASK_CLASSES.items()}
    controls = np.linspace(0, 1, 41)
    reference = PredictionReference(1, controls, 12, {"KPY": (1, 4), "GTO": (3, 4)}, fits, 30, 11, None)
    return make_model(folder, "compared.pth", {}, ("ALR-0", "ALR-2025-01-01T00"), reference=reference.to_json())


def test_windows_are_compared_with_the_reference_of_the_model_but_not_those_of_its_training(compared, folder):
    document = predict_inputs(compared, [folder / "store", folder / "S250101.ALR", folder / "page.bin"], None).to_json()
    entries = document["predictions"]
    assert [entry["in_training"] for entry in entries] == [True, False, False, True, False, False, False, None]
    assert [entry["percentile"] is None for entry in entries] == [
        entry["in_training"] is not False for entry in entries
    ]
    for entry in entries[:-1]:
        assert entry["p_event_calibrated"] == pytest.approx(entry["p_event"])  # a calibration that changes nothing
        assert (entry["base_rate"], entry["base_rate_of"]) == (0.5, "all stations")
        assert entry["event_likelier"] == (entry["p_event"] > 0.5) == (entry["magnitude_if_event"] is not None)
        if entry["percentile"] is not None:
            assert entry["percentile"] == pytest.approx(100 * entry["p_event"], abs=2)
    assert entries[-1]["base_rate"] is entries[-1]["event_likelier"] is None
    assert document["reference"]["n_controls"] == 41
    assert document["reference_missing"] is None


def test_the_table_of_the_api_has_the_numbers_of_the_command(compared, folder, tmp_path):
    result = predict_inputs(compared, [folder / "S250101.ALR"], None)
    write_predictions(result, tmp_path / "table.parquet")
    table, own = pd.read_parquet(tmp_path / "table.parquet"), load_model(compared).predict(folder / "S250101.ALR")
    columns = [name for name in table if name not in ("start_utc", "end_utc", "reason")]
    pd.testing.assert_frame_equal(table[columns], own[columns], check_dtype=False)
    entries = result.to_json()["predictions"]
    for key in ("p_event", "p_event_calibrated", "percentile", "base_rate", "magnitude_if_event_p"):
        expected = [np.nan if entry[key] is None else entry[key] for entry in entries]
        np.testing.assert_array_equal(own[key], expected)
    assert own["event_likelier"].tolist() == [entry["event_likelier"] for entry in entries]


def test_a_model_without_a_reference_says_what_is_missing_and_how_to_get_it(model, folder):
    result = predict_inputs(model, [folder / "S250101.ALR"], None)
    document = result.to_json()
    assert document["reference"] is None
    assert "'seismag train --resume RUN'" in document["reference_missing"]
    assert {entry["percentile"] for entry in document["predictions"]} == {None}
    words = " ".join(describe_predictions(result).split())
    assert "base rate: not known, for the model card contains no P(event) of control windows" in words


def test_a_damaged_reference_is_an_error_that_names_it(folder):
    path = make_model(folder, "damaged.pth", {}, reference={"fold": 1})
    with pytest.raises(SeismagError, match=r"damaged\.pth, reference of its model card: controls is missing"):
        predict_inputs(path, [folder / "S250101.ALR"], None).to_json()


def test_a_model_that_takes_cross_spectra_computes_them_of_a_day_file(folder):
    path = make_model(folder, "cross.pth", {"model": {"input": "power_cross"}})
    entries = predict_inputs(path, [folder / "S250101.ALR", folder / "S250102.ALR"], None).to_json()["predictions"]
    field = read_recording(folder / "S250101.ALR").field_nt.reshape(3, 4, -1).swapaxes(0, 1)
    power, phasors = power_and_phasors(bridge_short_gaps(field.reshape(12, -1), 3).reshape(field.shape), SPEC)
    loaded = load_checkpoint(path)
    p_magnitude, _, _ = predict_power(loaded, to_decibel(power), phasors=phasors.astype(np.float16))
    np.testing.assert_allclose([list(entry["p_magnitude"].values()) for entry in entries[:4]], p_magnitude, rtol=1e-3)
    with pytest.raises(SeismagError, match="no cross-spectra"):
        predict_inputs(path, [folder / "store"], None)


def test_windows_of_a_store_without_enough_past_are_reported_with_their_reason(folder):
    settings = {"train": {"normalisation": "trailing", "trailing_days": 2.0, "trailing_min": 2}}
    path = make_model(folder, "trailing.pth", settings)
    entries = predict_inputs(path, [folder / "store"], None).to_json()["predictions"]
    assert [entry["usable"] for entry in entries] == [False, False, True]
    assert all(set(entry) == KEYS for entry in entries)
    assert "fewer than 2 windows of this station within the 2 days before it" in entries[0]["reason"]
    assert entries[0]["p_azimuth"] is None
    with pytest.raises(UsageError, match="a day file does not contain them"):
        predict_inputs(path, [folder / "S250101.ALR"], None)


def test_repeated_inputs_are_predicted_once_in_the_order_given(model, folder, monkeypatch):
    monkeypatch.chdir(folder)
    inputs = [
        folder / "S250102.ALR",
        folder / "S250101.ALR",
        Path("S250102.ALR"),
        folder / "runs" / ".." / "S250101.ALR",
    ]
    entries = predict_inputs(model, inputs, None).to_json()["predictions"]
    assert [entry["start_utc"][:10] for entry in entries] == ["2025-01-02"] * 4 + ["2025-01-01"] * 4


def test_progress_counts_files_and_windows(model, folder):
    calls = []
    inputs = [folder / "S250101.ALR", folder / "page.bin", folder / "store"]
    predict_inputs(model, inputs, None, lambda *call: calls.append(call))
    assert calls == [("files", 1, 2), ("files", 2, 2), ("windows", 0, 3), ("windows", 3, 3)]


def test_a_result_of_which_no_input_was_readable_is_an_error_with_its_reason(model, folder):
    some = predict_inputs(model, [folder / "page.bin", folder / "S250101.ALR"], None)
    require_readable(some)
    assert [entry["file"] for entry in some.unreadable] == [str(folder / "page.bin")]
    with pytest.raises(DataError, match=r"nothing could be read: .*web page .* \(1 more reasons in the predictions\)"):
        require_readable(predict_inputs(model, [folder / "page.bin", folder / "S250103.ALR"], None))


def test_what_was_simulated_is_called_so_beside_what_was_observed(model, folder):
    inputs = [folder / name for name in ("S250101.ALR", "S250104.ALR", "page.bin")]
    result = predict_inputs(model, inputs, None)
    assert [window.origin for window in result.windows] == ["observed"] * 4 + ["simulated"] * 4 + [None]
    assert "4 of 9 windows are SIMULATED" in describe_predictions(result)
    assert "are SIMULATED" not in describe_predictions(predict_inputs(model, [folder / "S250101.ALR"], None))


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".json"])
def test_the_table_holds_what_could_not_be_used(ending, model, folder, tmp_path):
    out = tmp_path / "new folder" / f"table{ending}"
    write_predictions(predict_inputs(model, [folder / "page.bin", folder / "S250101.ALR"], None), out)
    if ending == ".json":
        rows = pd.DataFrame(json.loads(out.read_text())["predictions"])
    else:
        rows = pd.read_csv(out) if ending == ".csv" else pd.read_parquet(out)
    assert rows["usable"].tolist() == [False, True, True, True, True]
    assert rows["start_utc"].isna().tolist() == [True, False, False, False, False]
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_a_table_without_any_window_has_its_columns(model, tmp_path):
    make_store(tmp_path / "empty", 0)
    result = predict_inputs(model, [tmp_path / "empty"], None)
    write_predictions(result, tmp_path / "table.csv")
    assert {"station", "usable", "p_magnitude_Large", "run_id"} <= set(pd.read_csv(tmp_path / "table.csv").columns)
    require_readable(result)  # it was read, and holds nothing


def test_an_unknown_ending_names_those_that_work():
    with pytest.raises(UsageError, match=r"--out t\.xlsx: end it in \.csv, \.parquet or \.json"):
        require_table_ending(Path("t.xlsx"))


def test_the_command_fails_only_when_nothing_was_readable(model, folder):
    some = run("predict", folder / "page.bin", folder / "S250101.ALR", "--model", model, "--json")
    assert some.returncode == 0, some.stderr
    assert len(json.loads(some.stdout)["predictions"]) == 5
    assert "files: 2 of 2" in some.stderr
    nothing = run("predict", folder / "page.bin", "--model", model, "--json")
    assert nothing.returncode == 1
    assert len(json.loads(nothing.stdout)["predictions"]) == 1
    assert "nothing could be read" in nothing.stderr
    assert "Traceback" not in nothing.stderr
