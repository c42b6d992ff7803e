"""What was tried on recordings, run by run; it is recorded with the store, and nothing resets it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from fixtures.study_store import make_store
from seismag.access_log import AccessLog
from seismag.config import build_config
from seismag.runs import config_yaml
from seismag.training.tried import configuration_checksum, list_configurations
from seismag.windows.store import Store, open_store
from seismag.windows.tried import begin_tried, read_tried, record_tried


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return open_store(make_store(tmp_path_factory.mktemp("tried") / "store"))


def write_run(runs_dir: Path, run_id: str, created: str, dataset_id: str = "one", **settings: Any) -> Path:
    folder = runs_dir / run_id
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(config_yaml(build_config(settings)))
    facts = {"run_id": run_id, "dataset_id": dataset_id, "created_utc": created, "status": "complete", "error": None}
    (folder / "provenance.json").write_text(json.dumps(facts))
    return folder


def test_folds_of_a_configuration_count_once(tmp_path: Path, store: Store) -> None:
    write_run(tmp_path, "a_1", "2026-01-01", split={"fold": 1}, train={"run_name": "a_1"})
    write_run(tmp_path, "a_2", "2026-01-02", split={"fold": 2}, train={"run_name": "a_2"}, data={"store": "elsewhere"})
    write_run(tmp_path, "b", "2026-01-03", train={"learning_rate": 1e-3})
    write_run(tmp_path, "else", "2026-01-04", dataset_id="other")
    listed = list_configurations(tmp_path, store)
    assert [(run["run_id"], run["configuration"]) for run in listed["runs"]] == [("a_1", 1), ("a_2", 1), ("b", 2)]
    assert [run["differs_from_first"] for run in listed["runs"]] == [[], [], ["train.learning_rate=0.001"]]
    assert (listed["configurations"], listed["recorded_runs"]) == (0, 0)  # none of them was recorded by a training


def test_failed_run_is_listed_with_its_reason(tmp_path: Path, store: Store) -> None:
    folder = write_run(tmp_path, "a", "2026-01-01")
    facts = json.loads((folder / "provenance.json").read_text())
    (folder / "provenance.json").write_text(json.dumps({**facts, "status": "failed", "error": "DataError: x"}))
    (run,) = list_configurations(tmp_path, store)["runs"]
    assert (run["status"], run["error"], run["val_loss"], run["detection"]) == ("failed", "DataError: x", None, None)


def test_best_loss_and_scores_are_read(tmp_path: Path, store: Store) -> None:
    folder = write_run(tmp_path, "a", "2026-01-01")
    (folder / "history.csv").write_text("epoch,val_loss\n1,2.5\n2,1.5\n3,1.75\n")
    score = {"value": 0.6, "low": 0.5, "high": 0.7}
    detection = {"balanced_accuracy": score, "auc_within_station": score}
    (folder / "metrics.json").write_text(json.dumps({"detection": detection}))
    (run,) = list_configurations(tmp_path, store)["runs"]
    assert run["val_loss"] == 1.5
    assert run["detection"] == detection


def test_folder_that_is_no_run_is_passed_over(tmp_path: Path, store: Store) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "provenance.json").write_text("not JSON")
    assert list_configurations(tmp_path, store)["runs"] == []


def test_a_configuration_is_its_settings_and_those_of_the_preparation() -> None:
    first = {"train": {"epochs": 3, "run_name": "a", "runs_dir": "x"}, "split": {"fold": 1}, "data": {"store": "here"}}
    second = {
        "train": {"epochs": 3, "run_name": "b", "runs_dir": "y"},
        "split": {"fold": 2},
        "data": {"store": "there"},
    }
    assert configuration_checksum(first, {"horizon_h": 48}) == configuration_checksum(second, {"horizon_h": 48})
    assert configuration_checksum(first, {"horizon_h": 48}) != configuration_checksum(first, {"horizon_h": 24})
    assert configuration_checksum({"train": {"epochs": 4}}, None) != configuration_checksum(first, None)


SAMPLES = pd.DataFrame(
    {"station": ["GTO", "GTO", "ALR"], "start_utc": pd.to_datetime(["2021-01-01", "2021-03-01"] * 2)[:3]}
)


def prepare(path: Path, dataset_id: str, samples: pd.DataFrame = SAMPLES) -> Path:
    path.mkdir(parents=True)
    begin_tried(path, dataset_id, samples)
    return path


def test_every_training_counts_wherever_its_run_lies(tmp_path: Path) -> None:
    store = prepare(tmp_path / "data" / "store", "one")
    assert (read_tried(store, "one").number, read_tried(store, "one").unknown) == (0, None)
    for run_id, configuration in (("r1", "a"), ("r2", "b"), ("r3", "a"), ("r1", "a")):
        record_tried(store, "one", run_id, configuration)
    tried = read_tried(store, "one", ["r1", "r3"])
    assert (tried.number, list(tried.trainings)) == (2, [("r1", "a"), ("r2", "b"), ("r3", "a")])
    assert tried.since_utc is not None


def test_runs_of_other_working_folders_that_began_in_the_same_second_count_both(tmp_path: Path) -> None:
    store = prepare(tmp_path / "store", "one")
    record_tried(store, "one", "run_20260101_000000", "a")
    record_tried(store, "one", "run_20260101_000000", "b")
    assert read_tried(store, "one", ["run_20260101_000000"]).number == 2


def test_the_same_recordings_prepared_anew_are_the_same_data(tmp_path: Path) -> None:
    first = prepare(tmp_path / "first", "one")
    record_tried(first, "one", "r1", "a")
    shutil.rmtree(first)
    guarded = prepare(tmp_path / "guarded", "two")  # other guards, another data set
    record_tried(guarded, "two", "r2", "b")
    assert read_tried(guarded, "two").number == 2
    later = SAMPLES.assign(start_utc=SAMPLES["start_utc"] + pd.Timedelta(days=900))
    assert read_tried(prepare(tmp_path / "later", "three", later), "three").number == 0
    assert read_tried(prepare(tmp_path / "elsewhere", "four", SAMPLES.assign(station="TRD")), "four").number == 0


def test_the_access_log_of_another_store_is_named(tmp_path: Path) -> None:
    first, second = prepare(tmp_path / "a" / "first", "one"), prepare(tmp_path / "b" / "second", "two")
    for run_id in ("r1", "r2"):
        record_tried(first, "one", run_id, run_id)
    assert read_tried(first, "one").number == 2
    for file in second.glob("tried*"):
        shutil.copyfile(file, first / file.name)
    assert "the access log of data set two, not of one" in str(read_tried(first, "one").unknown)


def test_a_store_that_moves_takes_with_it_what_was_tried(tmp_path: Path) -> None:
    record_tried(prepare(tmp_path / "first", "one"), "one", "r1", "a")
    second = prepare(tmp_path / "second", "two")
    record_tried(second, "two", "r2", "b")
    moved = Path(shutil.move(second, tmp_path.parent / f"{tmp_path.name}_moved"))
    assert read_tried(moved, "two").number == 2


def test_where_it_cannot_be_known_it_is_unknown(tmp_path: Path) -> None:
    store = prepare(tmp_path / "store", "one")
    record_tried(store, "one", "r1", "a")
    theirs = read_tried(store, "one", ["theirs"])
    assert (theirs.number, theirs.unknown) == (
        None,
        f"theirs is not in the access log of {store}: it was not trained on this store",
    )
    for path in [*tmp_path.glob("tried*"), *store.glob("tried*")]:
        path.unlink()
    gone = read_tried(store, "one")
    assert gone.number is None
    assert "neither in it nor beside it" in str(gone.unknown)
    record_tried(store, "one", "r2", "b")  # a later training does not begin anew at one
    assert read_tried(store, "one").number is None


def test_a_changed_log_makes_the_number_unknown(tmp_path: Path) -> None:
    store = prepare(tmp_path / "store", "one")
    record_tried(store, "one", "r1", "a")
    record_tried(store, "one", "r2", "b")
    log = store / "tried_configurations.jsonl"
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:-1]))
    tried = read_tried(store, "one")
    assert tried.number is None
    assert "cut off" in str(tried.unknown)


def test_a_training_that_cannot_be_recorded_says_so_and_is_not_counted_as_known(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = prepare(tmp_path / "store", "one")
    for path in (store, tmp_path):
        (path / "tried_configurations.head.json").write_text("{}")
    record_tried(store, "one", "r1", "a")
    assert caplog.text.count("the training is not recorded") == 2
    assert read_tried(store, "one", ["r1"]).number is None


def test_a_folder_that_cannot_be_written_leaves_the_log_in_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = prepare(tmp_path / "store", "one")
    append = AccessLog.append

    def refuse(log: AccessLog, *facts: dict[str, object]) -> list[dict[str, Any]]:
        if log.folder != store:
            raise log._unwritable(PermissionError(13, "Permission denied"))
        return append(log, *facts)

    monkeypatch.setattr(AccessLog, "append", refuse)
    record_tried(store, "one", "r1", "a")
    assert "the training is recorded in" in caplog.text
    assert "unknown" not in caplog.text
    assert read_tried(store, "one", ["r1"]).number == 1
