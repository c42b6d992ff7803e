"""Finished runs on disk: what a folder is, and where the runs behind it lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from seismag.domain import DataError, UsageError
from seismag.files import write_checked_json
from seismag.training.finished import final_results, require_files, runs_behind


def make_results(folder: Path) -> Path:
    folder.mkdir(parents=True)
    split = {"path": "a", "sha256": "b", "method": "loeo", "n_folds": 1, "n_groups": 3, "proof": None}
    document = {"dataset_id": "d", "run_ids": ["a_1"], "split_certificate": split, "folds": []}
    write_checked_json(folder / "loeo_convnext_final_results.json", document)
    (folder / "predictions.parquet").touch()
    return folder


def make_run_folder(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name in ("provenance.json", "config.yaml", "predictions.parquet"):
        (folder / name).write_text("{}")
    return folder


def test_cross_validation_is_known_by_its_final_results(tmp_path: Path) -> None:
    found = final_results(make_results(tmp_path / "loeo"))
    assert found is not None
    assert found["run_ids"] == ["a_1"]


def test_run_has_no_final_results(tmp_path: Path) -> None:
    assert final_results(make_run_folder(tmp_path / "a_1")) is None


@pytest.mark.parametrize("runs_dir", ["experiments_convnext", "elsewhere"])
def test_folds_are_found_whatever_the_runs_folder_is_called(tmp_path: Path, runs_dir: str) -> None:
    results = make_results(tmp_path / "loeo")
    fold = make_run_folder(tmp_path / runs_dir / "a_1")
    assert [run.path for run in runs_behind(results, ["a_1"])] == [fold.resolve()]


def test_lost_fold_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="its fold a_1 is in no runs folder next to it"):
        runs_behind(make_results(tmp_path / "loeo"), ["a_1"])


@pytest.mark.parametrize(
    ("make", "way_out"), [(make_results, "seismag crossval ... --out"), (make_run_folder, "seismag train --resume")]
)
def test_missing_file_is_named_with_the_way_out(tmp_path: Path, make: object, way_out: str) -> None:
    assert callable(make)
    folder = make(tmp_path / "x")
    with pytest.raises(DataError, match=f"has no metrics.json, .*{way_out}"):
        require_files(folder, ["metrics.json"], make is make_results)
    (folder / "predictions.parquet").unlink()
    with pytest.raises(DataError, match=f"has no predictions.parquet, .*{way_out}"):
        final_results(folder)


def test_folder_that_is_neither_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="neither a run"):
        final_results(tmp_path)
    with pytest.raises(UsageError, match="no such folder"):
        final_results(tmp_path / "nowhere")
