"""``seismag audit`` from files to the exit status: tables, stores, predictions, injected errors."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from fixtures.finished_study import settings, training_in
from fixtures.study_store import make_store, replace_samples
from seismag.audit import compute as study
from seismag.audit.checks.class_by import Labelled
from seismag.audit.compute import audit_labels, audit_predictions, audit_store
from seismag.audit.result import Audit
from seismag.audit.table import prepare_table, read_audit_table
from seismag.audit.text import format_audit
from seismag.cli import app
from seismag.config import SplitConfig, load_config
from seismag.domain import AZIMUTH_CLASSES, MAGNITUDE_CLASSES, DataError, UsageError
from seismag.estimate import CheckResult, NullInterval
from seismag.splits import assign_split
from seismag.training.run import run_training

FEW = ["audit.permutations=999", "audit.placebos=20", "audit.partitions=4"]
SPEC = load_config(None, FEW).audit.model_copy(update={"placebos": 2})
GROUPS = ["station", "date"]


def names(audit: Audit, verdict: str) -> set[str]:
    return {test.name for test in audit.tests if test.verdict == verdict}


def clean_table(n_groups: int = 120, seed: int = 1) -> pd.DataFrame:
    """Four stations, two windows a day, a class that nothing predicts."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(n_groups), 2)
    date = pd.Timestamp("2021-01-01") + pd.to_timedelta(3 * group, unit="D")
    return pd.DataFrame(
        {
            "station": rng.choice(["ALR", "GTO", "KPY", "TRT"], n_groups)[group], "date": date.strftime("%Y-%m-%d"),
            "hour": np.tile([0, 12], n_groups), "kp_max": rng.uniform(0, 6, n_groups)[group].round(1),
            "magnitude_class": rng.choice(["Normal", "Medium"], n_groups)[group],
        }
    )  # fmt: skip


@pytest.fixture
def audit(tmp_path: Path) -> Callable[[pd.DataFrame], Audit]:
    def run(frame: pd.DataFrame) -> Audit:
        frame.to_csv(tmp_path / "table.csv", index=False)
        return audit_labels(tmp_path / "table.csv", "magnitude_class", GROUPS, SPEC)

    return run


def test_a_clean_table_passes_and_columns_that_state_the_class_are_no_features(audit: Callable[..., Audit]) -> None:
    table = clean_table()
    document = audit(table.assign(mag_class=table["magnitude_class"], other=table["magnitude_class"].str[:2]))
    assert not document.failed
    assert names(document, "fail") == set()
    assert {"station", "date", "hour", "kp_max"} == set(document.baselines)


@pytest.mark.parametrize(
    ("spoil", "test"),
    [
        (lambda t: t.assign(station=np.where(t.magnitude_class == "Normal", "ALR", "GTO")), "class_by_station"),
        (lambda t: t.assign(kp_max=np.where(t.magnitude_class == "Normal", 1.0, t.kp_max)), "class_by_space_weather"),
        (lambda t: t.assign(file="x/" + t.magnitude_class.str.lower() + t.index.astype(str)), "label_in_name"),
        (lambda t: t.assign(augmentation_type=np.where(t.index % 3, "", "augmented")), "copies"),
        (lambda t: t.assign(magnitude=np.where(t.magnitude_class == "Normal", np.nan, 7.5)), "label_values"),
    ],
)
def test_an_injected_error_fails_its_check(audit: Callable[..., Audit], spoil, test: str) -> None:
    document = audit(spoil(clean_table()))
    assert document.failed
    assert test in names(document, "fail")


def test_the_command_prints_the_report_and_ends_with_3_where_a_check_fails(tmp_path: Path) -> None:
    table = clean_table()
    table.to_csv(tmp_path / "clean.csv", index=False)
    table.assign(station=np.where(table["magnitude_class"] == "Normal", "<b>", "GTO")).to_csv(tmp_path / "bad.csv")
    more = ["--label", "magnitude_class", "--groups", "station,date", *(f"--set={entry}" for entry in FEW)]
    good = CliRunner().invoke(app, ["audit", "--table", str(tmp_path / "clean.csv"), *more])
    assert good.exit_code == 0
    assert good.stdout.startswith("Integrity checks passed")
    arguments = ["audit", "--table", str(tmp_path / "bad.csv"), *more]
    bad = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "out")])
    assert bad.exit_code == 3
    assert bad.stdout.startswith("INTEGRITY CHECKS FAILED")
    assert json.loads((tmp_path / "out" / "audit.json").read_text())["gate"] == "fail"
    page = (tmp_path / "out" / "audit.html").read_text()
    assert "class by station" in page
    assert "<b>" not in page
    assert json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)["gate"] == "fail"


@pytest.mark.parametrize(
    "arguments",
    [[], ["--table", "t.csv"], ["--data", "s", "--label", "x"], ["--data", "s", "--set", "audit.placebo=[p]"]],
)
def test_options_that_do_not_belong_together_are_refused(arguments: list[str]) -> None:
    result = CliRunner().invoke(app, ["audit", *arguments])
    assert isinstance(result.exception, UsageError)


@pytest.mark.real
def test_the_station_predicts_the_class_of_the_published_table(real_data: Path) -> None:
    path = real_data / "published_tables" / "benchmark_test.csv"
    magnitude = audit_labels(path, "magnitude_class", GROUPS, SPEC)
    assert magnitude.failed
    assert magnitude.baselines["station"].accuracy >= 0.95
    assert {"copies", "class_by_station", "azimuth_follows_magnitude"} <= names(magnitude, "fail")
    by_station = magnitude.test("class_by_station").sentence
    assert "Normal (133 rows) comes from 2 of 20 stations: TRD (129) and GTO (4)." in by_station
    table = prepare_table(read_audit_table(path), "azimuth_class", GROUPS)
    azimuth = Labelled.build(table.y, table.group, table.classes, SPEC)
    station = next(feature for feature in table.features if feature.family == "station")
    assert azimuth.scores(station.code).accuracy >= 0.62


@pytest.mark.real
def test_the_published_table_shuffled_within_station_has_no_skill_above_the_station(
    real_data: Path, audit: Callable[..., Audit]
) -> None:
    frame = pd.read_csv(real_data / "published_tables" / "benchmark_test.csv", keep_default_na=False)
    frame = frame[frame["augmentation_type"] != "augmented"]
    rng = np.random.default_rng(7)
    frame["magnitude_class"] = frame.groupby("station")["magnitude_class"].transform(lambda c: rng.permutation(c))
    kept = frame[[c for c in frame if not c.startswith(("azi", "mag")) or c == "magnitude_class"]]
    assert audit(kept).test("skill_above_station").p_value > 0.05


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every third event is an aftershock."""
    path = make_store(tmp_path_factory.mktemp("audit") / "store")
    samples = pd.read_parquet(path / "samples.parquet")
    number = samples["event_id"].str[1:].astype(float)
    samples["is_mainshock"], samples["is_aftershock"] = number.notna() & (number % 6 != 0), number % 6 == 0
    replace_samples(path, samples)
    return path


def predictions_of(store: Path, split: pd.DataFrame, knows: bool) -> pd.DataFrame:
    """Predictions of the test windows from the class, or at random."""
    samples = pd.read_parquet(store / "samples.parquet")
    rows = split[split["role"] == "test"].merge(samples, on="sample_id", suffixes=("", "_"))
    rng = np.random.default_rng(3)
    p_event = rng.uniform(0.1, 0.9, len(rows))
    if knows:
        p_event = np.where(rows["magnitude_class"] != "Normal", 0.5 + p_event / 2, p_event / 2)
    table = rows[["fold", "role", "sample_id", "split_group", "station", "start_utc", "event_id"]].assign(
        run_id="theirs", y_magnitude=rows["magnitude_class"], y_azimuth=rows["azimuth_class"]
    )
    for task, (normal, *events) in (("magnitude", MAGNITUDE_CLASSES), ("azimuth", AZIMUTH_CLASSES)):
        table[f"p_{task}_{normal}"] = 1 - p_event
        for name in events:
            table[f"p_{task}_{name}"] = p_event / len(events)
    return table


@pytest.mark.usefixtures("counting_rules_only")
@pytest.mark.parametrize(("knows", "verdict"), [(True, "skill"), (False, "no_skill")])
def test_skill_is_found_in_predictions_that_have_it_and_not_by_chance(
    store: Path, tmp_path: Path, knows: bool, verdict: str
) -> None:
    split = assign_split(pd.read_parquet(store / "samples.parquet"), SplitConfig(n_folds=3), 49.0)
    predictions_of(store, split, knows).to_parquet(tmp_path / "predictions.parquet")
    split.to_parquet(tmp_path / "split.parquet")
    config = load_config(None, [*FEW, f"train.runs_dir={tmp_path / 'none'}"])
    audit = audit_predictions(tmp_path / "predictions.parquet", store, tmp_path / "split.parquet", config)
    found = {test.name: test.verdict for test in audit.tests}
    assert found["skill_above_no_signal"] == verdict
    assert found["shared_events"] == "pass"
    assert found["overlapping_seconds"] == "pass"
    assert audit.metrics["detection"]["auc_within_station"]["n"] > 0
    assert (audit.metrics["events"], audit.metrics["n_events"]) == ("mainshocks", 16)  # the store says which they are
    assert audit.metrics["all_events"]["n_events"] == 24


@pytest.mark.parametrize("command", ["audit", "evaluate", "alarms"])
def test_a_window_that_the_store_does_not_know_is_named(store: Path, tmp_path: Path, command: str) -> None:
    split = assign_split(pd.read_parquet(store / "samples.parquet"), SplitConfig(n_folds=3), 49.0)
    table = predictions_of(store, split, knows=True)
    table.assign(sample_id=["elsewhere", *table["sample_id"][1:]]).to_parquet(tmp_path / "predictions.parquet")
    arguments = [command, "--predictions", str(tmp_path / "predictions.parquet"), "--data", str(store)]
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, DataError)
    assert re.search(r"1 of 192 windows .*are not in the (store|samples), for example elsewhere", str(result.exception))


def test_numbers_that_are_none_are_null_in_the_file_and_on_standard_output(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nan = float("nan")
    odd = CheckResult(
        "clock", "Unknown.", statistic=np.float64(nan), null=NullInterval(nan, -np.inf, np.inf),
        p_value=nan, placebo_rate=np.float32(nan), blocking=True, details={"hours": np.array([1.5, nan])},
    )  # fmt: skip
    monkeypatch.setattr(study, "check_clock", lambda *_: odd)
    arguments = ["audit", "--data", str(store), "--out", str(tmp_path), "--json", *(f"--set={entry}" for entry in FEW)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code in (0, 3), result.exception
    printed = json.loads(result.stdout, parse_constant=pytest.fail)
    written = json.loads((tmp_path / "audit.json").read_text(), parse_constant=pytest.fail)
    assert written.pop("document_sha256")
    assert printed == written
    clock = next(test for test in printed["tests"] if test["name"] == "clock")
    assert clock["verdict"] == "inconclusive"
    assert clock["p_value"] is clock["statistic"] is clock["placebo_rate"] is None
    assert clock["null"] == {"mean": None, "low": None, "high": None}
    assert clock["details"] == {"hours": [1.5, None]}
    assert "Unknown." in (tmp_path / "audit.html").read_text(encoding="utf-8")


def test_a_leaking_split_fails(store: Path, tmp_path: Path) -> None:
    samples = pd.read_parquet(store / "samples.parquet")
    role = np.where(np.arange(len(samples)) % 2, "test", "train")  # windows of one earthquake on two sides
    pd.DataFrame({"sample_id": samples["sample_id"], "fold": 1, "role": role}).to_parquet(tmp_path / "split.parquet")
    document = audit_store(store, tmp_path / "split.parquet", load_config(None, FEW))
    assert "shared_events" in names(document, "fail")
    assert document.failed


@pytest.fixture(scope="module")
def two_configurations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store in data/ and the runs of two configurations on it."""
    folder = tmp_path_factory.mktemp("tried")
    make_store(folder / "data" / "store")
    with training_in(folder):
        for name, rate in (("slow", 1e-3), ("fast", 2e-3)):
            run_training(settings(run_name=name, learning_rate=rate), Path("data/store"))
    return folder


def tried_by_the_audit(predictions: Path, store: Path | None) -> tuple[int | None, str | None]:
    audit = audit_predictions(predictions, store, None, load_config(None, FEW))
    document = audit.to_json()
    assert f"configurations tried on these recordings: {audit.tried.number or 'unknown'}" in format_audit(audit)
    return document["configurations_tried"], document["configurations_unknown"]


@pytest.mark.usefixtures("counting_rules_only")
def test_what_was_tried_is_reset_by_nothing(
    two_configurations: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(two_configurations, tmp_path / "study"))
    second, first = sorted((folder / "experiments_convnext").iterdir())
    table = first / "predictions.parquet"
    monkeypatch.chdir(folder)
    assert tried_by_the_audit(table, None) == (2, None)  # found by the configuration of the run
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert tried_by_the_audit(table, folder / "data" / "store") == (2, None)
    shutil.rmtree(second)
    assert tried_by_the_audit(table, folder / "data" / "store") == (2, None)
    shutil.rmtree(folder / "data" / "store")  # prepared anew, as another data set of the same recordings
    store = make_store(folder / "data" / "anew", dataset_id="two")
    number, unknown = tried_by_the_audit(table, store)
    assert (number, unknown) == (2, None)
    theirs = pd.read_parquet(table).assign(run_id="theirs")
    theirs.to_parquet(tmp_path / "theirs.parquet", index=False)
    number, unknown = tried_by_the_audit(tmp_path / "theirs.parquet", store)
    assert number is None
    assert "theirs is not in the access log" in str(unknown)
    assert tried_by_the_audit(tmp_path / "theirs.parquet", None)[0] is None
