"""Locked days of a study: its models record them, whatever store their windows are in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fixtures.study_store import make_store
from fixtures.training_settings import fit_one_baseline
from seismag.cards import read_card
from seismag.config import build_config
from seismag.domain import DataError
from seismag.models.predict import predict_inputs
from seismag.splits.holdout import REMEDY, locked_days, on_locked_days
from seismag.training import run as training_run
from seismag.training.run import evaluate_model, run_training
from seismag.windows.store import open_store

STARTS = pd.to_datetime(["2021-03-01 18:00", "2021-03-02 00:00", "2021-03-03 18:00", "2021-03-04 00:00"])
SAMPLES = pd.DataFrame({"sample_id": list("abcd"), "start_utc": STARTS})


def test_first_and_last_sealed_day() -> None:
    split = pd.DataFrame({"sample_id": list("abcd") * 2, "role": ["train", "sealed", "sealed", "test"] * 2})
    assert locked_days(SAMPLES, split) == ["2021-03-02", "2021-03-03"]


def test_split_that_seals_nothing_has_no_days() -> None:
    split = pd.DataFrame({"sample_id": list("abcd"), "role": "train"})
    assert locked_days(SAMPLES, split) is None
    assert not on_locked_days(None, SAMPLES).any()


def test_windows_that_start_on_sealed_days_are_marked() -> None:
    assert on_locked_days(["2021-03-02", "2021-03-03"], SAMPLES).tolist() == [
        False,
        True,
        True,
        False,
    ]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """A run that sealed the last fifth of the days, its store, and the same windows prepared under another name."""
    folder = tmp_path_factory.mktemp("sealed")
    config = build_config(
        {
            "split": {"n_folds": 2, "sealed_fraction": 0.2},
            "model": {"backbone": "test_convnext", "head_width": 16},
            "train": {"epochs": 1, "batch_size": 32},
            "evaluate": {"bootstrap": 100},
        }
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(training_run, "draw_figures", lambda *_: None)
        fit_one_baseline(patch)
        run = run_training(config, make_store(folder / "store"))
    return run.best_model, folder / "store", make_store(folder / "again", dataset_id="prepared_anew")


def test_card_tells_the_sealed_days(study: tuple[Path, Path, Path]) -> None:
    model, store, _ = study
    first, last = read_card(model).sealed_days_utc
    assert last == f"{open_store(store).samples['start_utc'].max():%Y-%m-%d}"
    assert first < last


@pytest.mark.parametrize("place", [1, 2])
def test_predict_leaves_sealed_windows_out(study: tuple[Path, Path, Path], place: int) -> None:
    sealed = on_locked_days(read_card(study[0]).sealed_days_utc, open_store(study[place]).samples)
    windows = predict_inputs(study[0], [study[place]], None).windows
    assert sealed.any()
    assert [not window.usable for window in windows] == sealed.tolist()
    assert {window.reason for window in windows if not window.usable} == {f"locked hold-out set: {REMEDY}"}


def test_same_windows_under_another_name_stay_sealed(
    study: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    fit_one_baseline(monkeypatch)
    model, _, again = study
    samples = open_store(again).samples
    _, predictions = evaluate_model(model, again, build_config({"evaluate": {"bootstrap": 100}}).evaluate)
    sealed = set(samples.loc[on_locked_days(read_card(model).sealed_days_utc, samples), "sample_id"])
    assert sealed
    assert not sealed & set(predictions["sample_id"])


def test_store_of_sealed_days_alone_is_refused(
    study: tuple[Path, Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_store(tmp_path / "later", dataset_id="later", start="2031-01-01")
    monkeypatch.setattr(training_run, "on_locked_days", lambda _days, samples: np.ones(len(samples), dtype=bool))
    with pytest.raises(DataError, match="every window is in the locked hold-out set of"):
        evaluate_model(study[0], tmp_path / "later", build_config({}).evaluate)
