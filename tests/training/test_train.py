"""Training of a run on a tiny store."""

from __future__ import annotations

import logging
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from fixtures.training_store import changed, latest, resume, same_weights
from fixtures.training_store import train as train_new
from seismag.config import Config
from seismag.domain import SeismagError, UsageError
from seismag.runs import Run, update_provenance
from seismag.training.checkpoint import load_checkpoint
from seismag.training.inference import predict_roles
from seismag.training.model import ConvNeXtMultiTask
from seismag.training.train import train_model

COLUMNS = (
    "epoch,learning_rate,train_loss,val_loss,val_balanced_accuracy_magnitude,val_balanced_accuracy_azimuth,seconds"
)


def test_training_fills_the_run_folder(
    store: Any, split: pd.DataFrame, config: Config, run: Run, caplog: pytest.LogCaptureFixture, monkeypatch: Any
) -> None:
    monkeypatch.chdir(run.path.parent)
    caplog.set_level(logging.INFO, logger="seismag")
    rng_state = torch.get_rng_state()
    train_model(store, split, config, run)
    assert torch.equal(torch.get_rng_state(), rng_state)
    names = {path.name for path in run.path.iterdir()}
    assert names == {
        "config.yaml", "provenance.json", "history.csv", "tensorboard",
        "best_model.pth", "best_model.json", "checkpoint_latest.pth", "checkpoint_latest.json",
    }  # fmt: skip
    assert [path.name for path in run.path.parent.iterdir()] == [run.run_id]  # nothing written elsewhere
    assert list((run.path / "tensorboard").glob("events*"))
    assert (run.path / "history.csv").read_text().splitlines()[0] == COLUMNS
    history = pd.read_csv(run.path / "history.csv")
    assert history["epoch"].tolist() == [1, 2, 3]
    assert history["learning_rate"].iloc[0] > history["learning_rate"].iloc[2] > 0
    lines = [record.message for record in caplog.records if record.message.startswith("epoch")]
    assert len(lines) == 3
    assert "epoch 3/3" in lines[2]
    loaded = load_checkpoint(run.best_model)
    assert set(loaded.trained_on) == set(split.loc[split["role"].isin(["train", "val"]), "sample_id"])
    card = loaded.card.document
    assert card["epoch"] == history["epoch"][history["val_loss"].idxmin()]
    assert card["val_loss"] == pytest.approx(history["val_loss"].min())

    table = predict_roles(run, store, split)
    assert table["role"].value_counts().to_dict() == {"val": 8, "test": 8}
    pd.testing.assert_frame_equal(pd.read_parquet(run.predictions), table)
    assert np.load(run.path / "embeddings.npy").shape == (16, 64)


def test_same_seed_gives_the_same_numbers_and_another_does_not(
    store: Any, split: pd.DataFrame, config: Config, tmp_path: Path
) -> None:
    configs = [changed(config, epochs=1, seed=seed) for seed in (1, 1, 2)]
    runs = [train_new(store, split, seeded, tmp_path / str(i))[0] for i, seeded in enumerate(configs)]
    one, again, other = (latest(run)["model"] for run in runs)
    assert same_weights(one, again)
    assert not same_weights(one, other)


def test_interrupted_training_resumes_with_other_workers_to_the_weights_of_an_uninterrupted_one(
    store: Any, split: pd.DataFrame, config: Config, run: Run, tmp_path: Path
) -> None:
    whole, expected = train_new(store, split, config, tmp_path / "whole")
    handler = signal.getsignal(signal.SIGINT)
    history = resume(store, split, config, run, killed_after=2, num_workers=2)
    assert signal.getsignal(signal.SIGINT) == handler
    assert run.provenance()["resumed_after_epochs"] == [2]
    assert same_weights(latest(run)["model"], latest(whole)["model"])
    best, expected_best = (load_checkpoint(entry.best_model).model.state_dict() for entry in (run, whole))
    assert same_weights(best, expected_best)
    pd.testing.assert_frame_equal(history.drop(columns="seconds"), expected.drop(columns="seconds"))


def test_resuming_a_finished_training_changes_nothing(
    store: Any, split: pd.DataFrame, config: Config, run: Run
) -> None:
    config = changed(config, epochs=1)
    (run.path / "config.yaml").write_text((run.path / "config.yaml").read_text().replace("epochs: 3", "epochs: 1"))
    first = train_model(store, split, config, run)
    before = run.latest_checkpoint.read_bytes()
    again = train_model(store, split, config, run, resume=True)
    assert run.latest_checkpoint.read_bytes() == before
    pd.testing.assert_frame_equal(first, again)

    with pytest.raises(UsageError, match="contains a training already"):
        train_model(store, split, config, run)
    with pytest.raises(UsageError, match=r"train\.learning_rate 0\.5 now, 0\.001 before"):
        train_model(store, split, changed(config, learning_rate=0.5), run, resume=True)
    store.attributes["dataset_id"] = "other"
    with pytest.raises(UsageError, match="began on the dataset d0, not other"):
        train_model(store, split, config, run, resume=True)


def test_the_checkpoint_of_another_run_or_of_other_windows_is_not_resumed(
    store: Any, split: pd.DataFrame, config: Config, run: Run, tmp_path: Path
) -> None:
    config = changed(config, epochs=1)
    (run.path / "config.yaml").write_text((run.path / "config.yaml").read_text().replace("epochs: 3", "epochs: 1"))
    train_model(store, split, config, run)
    update_provenance(run, seismag_version="0.0.1")
    renamed = Run(Path(shutil.copytree(run.path, tmp_path / "renamed_20260101_000000")))
    train_model(store, split, config, renamed, resume=True)
    assert "several versions of seismag" in renamed.provenance()["warnings"][-1]
    test = split["role"] == "test"
    other_split = split.assign(role=split["role"].mask(test, "train").mask(split["role"] == "train", "test"))
    with pytest.raises(UsageError, match=r"windows of training and validation were not among .* Start a new run"):
        train_model(store, other_split, config, renamed, resume=True)
    update_provenance(run, run_id="small_fold2_20260101_000000")
    with pytest.raises(
        UsageError, match=r"is the checkpoint of trial_.*, in the folder of small_fold2_20260101_000000"
    ):
        train_model(store, split, config, Run(run.path.rename(run.path.with_name("small_fold2"))), resume=True)


def test_training_never_reads_the_test_role(store: Any, split: pd.DataFrame, config: Config, run: Run) -> None:
    held_out = store.samples["sample_id"].isin(split.loc[split["role"].isin(["test", "purged"]), "sample_id"])
    power = store.power[:]
    power[held_out.to_numpy()] = np.inf  # reading one is an error
    store.power = power
    store.samples.loc[held_out, ["magnitude_class", "azimuth_class"]] = "unheard of"
    train_model(store, split, changed(config, epochs=1), run)


@pytest.mark.parametrize("role", ["train", "val", "test"])
def test_empty_role_is_refused_before_training(
    store: Any, split: pd.DataFrame, config: Config, run: Run, role: str
) -> None:
    with pytest.raises(SeismagError, match=f"fold 1 has no sample in the set {role}"):
        train_model(store, split[split["role"] != role], config, run)


def test_loss_that_is_no_number_names_epoch_step_and_way_out(
    store: Any, split: pd.DataFrame, config: Config, run: Run
) -> None:
    wild = changed(config, learning_rate=1e30)
    with pytest.raises(SeismagError, match=r"epoch 1, .*loss is (nan|inf)\. Lower train\.learning_rate \(now 1e\+30\)"):
        train_model(store, split, wild, run)


def test_too_little_memory_for_the_batch_is_named(
    store: Any, split: pd.DataFrame, config: Config, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ConvNeXtMultiTask, "classify", lambda *_: torch.empty(10**15))
    monkeypatch.setattr(ConvNeXtMultiTask, "check_input", lambda *_: None)
    with pytest.raises(SeismagError, match=r"too little memory for a step with train\.batch_size 8 .*to 4"):
        train_model(store, split, config, run)


def test_checkpoint_of_another_architecture_in_the_run_is_refused(
    store: Any, split: pd.DataFrame, config: Config, run: Run, tmp_path: Path
) -> None:
    other = changed(config, {"model": {"backbone": "test_resnet"}}, epochs=1)
    stray, _ = train_new(store, split, other, tmp_path / "stray")
    for name in ("checkpoint_latest.pth", "checkpoint_latest.json"):
        (run.path / name).write_bytes((stray.path / name).read_bytes())
    with pytest.raises(SeismagError, match=r"its network is test_resnet, .* is test_convnext"):
        train_model(store, split, config, run, resume=True)


def test_training_stops_when_patience_is_exhausted(store: Any, split: pd.DataFrame, config: Config, run: Run) -> None:
    # a rate this small leaves the weights as they are (float32), so no epoch is better than the first
    history = train_model(store, split, changed(config, epochs=9, patience=2, learning_rate=1e-20), run)
    assert len(history) == 3
    assert load_checkpoint(run.best_model).card.document["epoch"] == 1


def test_model_of_the_last_epoch_is_kept_on_request(store: Any, split: pd.DataFrame, config: Config, run: Run) -> None:
    history = train_model(store, split, changed(config, epochs=4, patience=1, learning_rate=1e-20, keep="last"), run)
    assert len(history) == 4
    assert load_checkpoint(run.best_model).card.document["epoch"] == 4


def test_class_absent_from_training_is_named_in_the_run(
    store: Any, split: pd.DataFrame, config: Config, run: Run
) -> None:
    large = store.samples["magnitude_class"] == "Large"
    store.samples.loc[large, "magnitude_class"] = "Medium"
    train_model(store, split, changed(config, epochs=1), run)
    assert "magnitude: no training sample of Large" in run.provenance()["warnings"][0]


def test_validation_with_unlearnable_classes_only_is_refused(
    store: Any, split: pd.DataFrame, config: Config, run: Run
) -> None:
    val = store.samples["sample_id"].isin(split.loc[split["role"] == "val", "sample_id"])
    store.samples["magnitude_class"] = np.where(val, "Large", "Normal")
    with pytest.raises(SeismagError, match="magnitude: the validation set contains only classes that training lacks"):
        train_model(store, split, config, run)


def test_progress_counts_the_batches_of_all_epochs_and_nothing_else_is_printed(
    store: Any, split: pd.DataFrame, config: Config, run: Run, capfd: pytest.CaptureFixture[str], recwarn: Any
) -> None:
    calls: list[tuple[str, int, int]] = []
    train_model(store, split, changed(config, epochs=2), run, progress=lambda *call: calls.append(call))
    total = calls[0][2]
    assert [done for _, done, _ in calls] == [*range(1, total + 1), total]
    assert {stage for stage, _, _ in calls} == {"batches of 2 epochs"}
    captured = capfd.readouterr()
    assert captured.out == ""
    assert "Tip" not in captured.err
    assert "GPU" not in captured.err
    assert [str(entry.message) for entry in recwarn] == []
