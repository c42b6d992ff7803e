"""Models on placebo windows: at chance where they know precursors only, and found out where they know more."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import zarr

from fixtures.study_store import make_store, renew_checksums, replace_samples
from fixtures.training_settings import fit_one_baseline, settings
from seismag.config import AuditConfig
from seismag.domain import DataError, UsageError
from seismag.training.checkpoint import load_checkpoint
from seismag.training.placebo import apart_from_training, evaluate_placebo
from seismag.training.run import run_training
from seismag.training.train import refuse_placebo
from seismag.windows.store import SAMPLES_FILE, open_store

FAST = AuditConfig(permutations=999, placebos=20)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("study")


@pytest.fixture(scope="module")
def model(folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("seismag.training.run.draw_figures", lambda *_: None)
        fit_one_baseline(patch)
        return run_training(settings(), make_store(folder / "store")).best_model


def as_placebo(path, kind="after_event", exchange=True):
    """Mark a store as placebo; ``exchange`` gives the labels of half of the clusters to quiet blocks."""
    zarr.open_group(path, mode="r+").attrs.update({"placebo": kind})
    if exchange:
        samples = pd.read_parquet(path / SAMPLES_FILE)
        cluster = np.arange(len(samples)) // 4
        swapped = cluster // 2 % 2 == 0
        partner = np.where(swapped, (cluster ^ 1) * 4 + np.arange(len(samples)) % 4, np.arange(len(samples)))
        for column in ("magnitude_class", "azimuth_class", "split_group", "event_id"):
            samples[column] = samples[column].to_numpy()[partner]
        replace_samples(path, samples)
    renew_checksums(path)
    return path


def test_a_model_of_precursors_is_at_chance_on_labels_that_none_explains(model, folder):
    store = as_placebo(make_store(folder / "placebo", seed=3, dataset_id="two", start="2023-01-01"))
    result = evaluate_placebo([model], store, FAST)
    assert result.name == "after_event"
    assert result.p_value is None
    assert result.statistic < result.null.high
    assert 0.3 < result.statistic < 0.7
    assert not result.blocking
    assert result.details["near_training"] == 0
    assert result.sentence.startswith("On windows after the earthquake (192 of 192")


def test_a_model_that_knows_more_is_found_out(model, folder):
    store = make_store(folder / "leak", seed=4, dataset_id="three", start="2023-01-01")
    result = evaluate_placebo([model], as_placebo(store, "shifted", exchange=False), FAST)
    assert result.name == "shifted_window"
    assert result.statistic > max(0.9, result.null.high)
    assert result.above_minimum


def test_windows_near_the_training_are_left_out(model, folder):
    store = as_placebo(make_store(folder / "same", seed=5, dataset_id="four"), "wrong_station")
    loaded = load_checkpoint(model)
    apart = apart_from_training(open_store(store), loaded.trained_on)
    samples = open_store(store).samples
    seen = pd.to_datetime([name[4:] for name in loaded.trained_on])
    slow = [min(abs(seen - start)) > pd.Timedelta(hours=49) for start in samples["start_utc"]]
    assert apart.tolist() == slow
    assert 0 < apart.sum() < len(apart)
    result = evaluate_placebo([model], store, FAST)
    assert result.name == "wrong_station"
    assert result.details["near_training"] == (~apart).sum()


def test_nothing_left_to_judge_is_said(model, folder):
    store = as_placebo(make_store(folder / "seen", seed=6, dataset_id="five"))
    samples = pd.read_parquet(store / SAMPLES_FILE)
    samples["start_utc"] = pd.Timestamp(load_checkpoint(model).trained_on[0][4:])
    replace_samples(store, samples)
    with pytest.raises(DataError, match="every window, or one near it, was in the training"):
        evaluate_placebo([model], store, FAST)


def test_names_that_tell_no_time_are_refused(folder):
    store = as_placebo(make_store(folder / "names", seed=7))
    with pytest.raises(DataError, match="'picture_17' of the model's training does not contain station and start"):
        apart_from_training(open_store(store), ["picture_17"])


def test_true_windows_are_no_placebo_windows(model, folder):
    with pytest.raises(UsageError, match=r"contains true windows\. Prepare placebo ones"):
        evaluate_placebo([model], make_store(folder / "true", seed=8), FAST)


def test_training_on_placebo_windows_is_refused_by_name(folder, monkeypatch):
    monkeypatch.chdir(folder)
    store = as_placebo(make_store(folder / "refused", seed=9))
    with pytest.raises(UsageError, match=r"contains placebo windows \(data\.placebo: after_event\)"):
        run_training(settings(), store)
    with pytest.raises(UsageError, match="which are for evaluation only"):
        refuse_placebo(open_store(store))
