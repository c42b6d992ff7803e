"""Injection and recovery from day files: a detector of known sensitivity, a stored model, inputs that do not fit."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from fixtures import stored_model
from seismag import cli
from seismag.config import DataConfig, EmissionConfig, SimulateConfig
from seismag.domain import DataError, SeismagError, UsageError
from seismag.recovery import compute as injection
from seismag.recovery.compute import RecoveryPlan, one_window_a_cluster, recover, recovery_study
from seismag.simulate import simulate_archive
from seismag.windows.inputs import read_inputs
from seismag.windows.prepare import prepare_store
from seismag.windows.store import open_store

CLEAN = {
    "missing_day_fraction": 0.0, "missing_blocks_per_year": 0.0, "gaps_per_day": 0.0, "spikes_per_day": 0.0,
    "steps_per_day": 0.0, "drift_nt_per_day": 0.0, "dead_component_fraction": 0.0, "cultural_noise": 0.0,
}  # fmt: skip
SPEC = DataConfig(controls="all", guard_ahead_d=0, guard_behind_d=0, horizon_h=6, step_s=600, frequency_rows="log",
                  n_log_rows=48)  # fmt: skip
BAND = EmissionConfig(low_mhz=10, high_mhz=40)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("recover")


@pytest.fixture(scope="module")
def inputs(folder):
    quakes = {"per_station_year": 150.0, "min_magnitude": 5.0}
    simulate_archive(
        SimulateConfig(days=8, stations=["GTO", "ALR"], artefacts=CLEAN, earthquakes=quakes), folder / "archive"
    )
    return read_inputs(
        folder / "archive", folder / "archive/stations.csv", [folder / "archive/catalogue.csv"], None, None
    )


@pytest.fixture(scope="module")
def store_path(folder, inputs):
    prepare_store(inputs, folder / "store", SPEC)
    return folder / "store"


def write_model(path: Path, store_path: Path, **facts) -> Path:
    """A network at random that takes the store's spectrograms."""
    store = open_store(store_path)
    facts = {"run_id": path.stem, "preprocessing": store.attributes["preprocessing"]} | facts
    return stored_model.write_model(path, len(store.frequency_hz), 20.0, **facts)


@pytest.fixture(scope="module")
def model(folder, store_path):
    return write_model(folder / "random.pth", store_path)


def plan(**values):
    return RecoveryPlan(
        **{"snr": (0.1, 30.0), "windows": 8, "false_alarm_fraction": 0.1, "emission": BAND, "seed": 5} | values
    )


@pytest.fixture
def power_detector(monkeypatch, store_path):
    """P(Event) rises with the power of H and D in the band: an emission far above the background is always seen."""
    store = open_store(store_path)
    inside = (store.frequency_hz > 0.01) & (store.frequency_hz < 0.04)

    def p_event(power_db):
        level = np.nanmean(np.asarray(power_db, float)[:, :2, inside], axis=(1, 2, 3))
        return 1 / (1 + np.exp(-level / 10))

    def predict_power(_, power_db, **__):
        event = p_event(power_db)
        return np.column_stack([1 - event, event, 0 * event, 0 * event]), None, None

    def predict_store(loaded, opened, indices, **_):
        rows = opened.samples.iloc[indices].reset_index(drop=True)
        table = rows[["sample_id", "station", "start_utc", "split_group"]].assign(
            run_id=loaded.card.run_id, y_magnitude=rows["magnitude_class"]
        )
        return table.assign(p_magnitude_Normal=1 - p_event(opened.power[:][indices]))

    monkeypatch.setattr(injection, "predict_power", predict_power)
    monkeypatch.setattr(injection, "predict_store", predict_store)


@pytest.mark.usefixtures("power_detector")
def test_a_detector_of_power_finds_strong_emissions_and_weak_ones_as_often_as_nothing(model, store_path, inputs):
    found = recover([model], store_path, inputs, plan(snr=(0.01, 300.0)))
    table = found.injections
    assert len(table) == 16
    assert table["sample_id"].nunique() == 8
    strong, weak = table[table["snr_at_m5_100km"] == 300], table[table["snr_at_m5_100km"] == 0.01]
    assert strong["recovered"].all()
    np.testing.assert_array_equal(weak["recovered"], weak["p_event_without"] > weak["threshold"])
    assert (strong["p_event"].to_numpy() > weak["p_event"].to_numpy()).all()
    assert found.normal["alarm"].mean() <= 0.1
    normal = found.normal.set_index("sample_id")["p_event"]  # without an emission it is the window of the store
    np.testing.assert_allclose(weak["p_event_without"], normal[weak["sample_id"]], atol=1e-6)


@pytest.mark.usefixtures("power_detector")
def test_a_study_is_the_same_each_time_and_injected_once_a_day_first(model, store_path, inputs):
    first, second = (recover([model], store_path, inputs, plan(windows=3)).injections for _ in range(2))
    pd.testing.assert_frame_equal(first, second)
    assert first["start_utc"].dt.floor("D").nunique() == 3


@pytest.mark.usefixtures("power_detector")
def test_the_window_with_a_refused_emission_counts_as_missed(model, store_path, inputs, monkeypatch):
    real = injection.make_twins

    def refuse(*arguments):
        twins = real(*arguments)
        return injection.Twins(twins.power_db, twins.phasors, ("", *["spikes"] * (len(twins.reasons) - 1)))

    monkeypatch.setattr(injection, "make_twins", refuse)
    report, injections = recovery_study([model], store_path, inputs, plan(windows=4))
    assert not injections["recovered"].any()
    assert report["rejected_with_emission"] == 8


@pytest.mark.parametrize("normalisation", [
    {"method": "training"}, {"method": "trailing", "trailing_days": 45.0, "trailing_min": 3},
])  # fmt: skip
def test_without_an_emission_the_prediction_is_that_of_the_store(folder, store_path, inputs, normalisation):
    path = write_model(folder / f"{normalisation['method']}.pth", store_path, normalisation=normalisation)
    found = recover([path], store_path, inputs, plan(windows=3, snr=(1.0,)))
    expected = found.normal.set_index("sample_id")["p_event"][found.injections["sample_id"]]
    np.testing.assert_allclose(found.injections["p_event_without"], expected, atol=1e-5)
    assert (found.injections["p_event"] != found.injections["p_event_without"]).all()


def test_the_command_writes_table_figure_and_one_json_document(model, store_path, inputs, folder):
    archive = inputs.archive
    arguments = ["recover", "--model", str(model), "--archive", str(archive), "--data", str(store_path),
                 "--stations", str(archive / "stations.csv"), "--catalog", str(archive / "catalogue.csv"),
                 "--set", "recover.snr=[10.0,1.0]", "--set", "recover.windows=3", "--set",
                 "recover.false_alarm_fraction=0.1", "--json",
                 "--out", str(folder / "out")]  # fmt: skip
    result = CliRunner().invoke(cli.app, arguments, catch_exceptions=False)
    report = json.loads(result.stdout)
    written = json.loads((folder / "out" / "recovery.json").read_text())
    assert written.pop("document_sha256")
    assert report == written
    assert report["snr"] == [1.0, 10.0]
    assert report["windows"] == 3
    assert report["models"][0]["run_id"] == "random"
    assert "magnitude_exponent" in report["warnings"][0]
    assert len(pd.read_csv(folder / "out" / "recovery.csv")) == 6
    assert (folder / "out" / "recovery.png").stat().st_size > 10_000


def test_a_model_of_other_preprocessing_is_refused_by_its_keys(folder, store_path, inputs):
    other = open_store(store_path).attributes["preprocessing"] | {"step_s": 94}
    path = write_model(folder / "other.pth", store_path, preprocessing=other)
    with pytest.raises(SeismagError, match="other preprocessing: step_s 94 in training, 600 here"):
        recover([path], store_path, inputs, plan())


def test_a_store_without_unseen_normal_windows_is_refused(folder, store_path, inputs, monkeypatch):
    events = np.flatnonzero(open_store(store_path).samples["magnitude_class"] != "Normal")
    monkeypatch.setattr(injection, "unseen_windows", lambda *_: (events, None))
    path = write_model(folder / "seen.pth", store_path)
    with pytest.raises(DataError, match=r"no Normal window that .*seen\.pth has not seen.*data\.controls=all"):
        recover([path], store_path, inputs, plan())


def test_a_catalogue_that_the_labels_do_not_come_from_is_refused(model, store_path, inputs, folder):
    other = folder / "other.csv"
    pd.read_csv(inputs.archive / "catalogue.csv").iloc[1:].to_csv(other, index=False)
    changed = read_inputs(inputs.archive, inputs.archive / "stations.csv", [other], None, None)
    with pytest.raises(DataError, match="prepared from other files than --catalog"):
        recover([model], store_path, changed, plan())


def test_two_models_that_test_the_same_window_are_refused(model, store_path, inputs, folder):
    twin = write_model(folder / "twin.pth", store_path)
    with pytest.raises(UsageError, match="is tested by random and twin"):
        recover([model, twin], store_path, inputs, plan())


def test_models_of_two_studies_are_refused(model, store_path, inputs, monkeypatch):
    loaded = injection.load_checkpoint(model)
    card = loaded.card.model_copy(update={"document": {**loaded.card.document, "model": {"backbone": "y"}}})
    cards = iter([loaded, replace(loaded, card=card)])
    monkeypatch.setattr(injection, "load_checkpoint", lambda _path: next(cards))
    with pytest.raises(UsageError, match=r"differ in model\. Several models must be the folds of one"):
        recover([model, model], store_path, inputs, plan())


@pytest.mark.usefixtures("power_detector")
def test_files_of_formats_that_cannot_be_written_are_counted_and_named(model, store_path, inputs, monkeypatch):
    real = injection.find_targets
    monkeypatch.setattr(injection, "find_targets", lambda *a: ([], {"format_cdf": len(real(*a)[0])}))
    with pytest.raises(
        DataError, match=r"no Normal window can get an emission .*\d+ format_cdf.*FRG-604RC or IAGA-2002"
    ):
        recover([model], store_path, inputs, plan())


def test_an_snr_of_zero_is_refused_with_the_limit():
    with pytest.raises(UsageError, match=r"recover\.snr \[0\.0, 1\.0\]: each is a ratio of powers above 0"):
        plan(snr=(0.0, 1.0))


def test_each_cluster_of_earthquakes_gives_the_mainshock_window_of_largest_es_and_shortest_lead():
    samples = pd.DataFrame(
        [("a1", "c1", 2.0, 40.0, True), ("a2", "c1", 3.0, 30.0, True), ("a3", "c1", 3.0, 4.0, True),
         ("a4", "c1", 9.0, 4.0, False), ("b1", "c2", 1.0, 2.0, True), ("c1", "c3", 1.0, 2.0, False)],
        columns=["sample_id", "split_group", "es", "lead_hours", "is_mainshock"],
    )  # fmt: skip
    chosen = one_window_a_cluster(samples[["sample_id", "split_group"]], samples)
    assert list(chosen["sample_id"]) == ["a3", "b1"]
