"""All folds of a split on a small store: what is written, what is trained again, and what a failure leaves."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fixtures.study_store import make_store
from fixtures.training_settings import fit_one_baseline
from seismag.cards import read_card, write_card
from seismag.config import Config, build_config
from seismag.domain import DataError, SeismagError, UsageError
from seismag.models.registry import promote_model
from seismag.parallel import Progress, silent
from seismag.runs import Run
from seismag.splits import NAIVE_WARNING
from seismag.training import crossval, fold_runs
from seismag.training import run as training_run
from seismag.training.checkpoint import copy_checkpoint, load_checkpoint
from seismag.training.crossval import crossval_json, describe_crossval, parse_folds, require_folds, run_crossval
from seismag.training.run import evaluate_model
from seismag.windows.store import open_store

MODEL = Path("models/convnext_loeo_best.pth")


def settings(**split: Any) -> Config:
    return build_config(
        {
            "split": {"n_folds": 3, **split},
            "model": {"backbone": "test_convnext", "head_width": 16},
            "train": {"epochs": 1, "batch_size": 32, "learning_rate": 1e-3, "warmup_epochs": 0.0, "run_name": "small"},
            "evaluate": {"bootstrap": 100},
        }
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("crossval")


@pytest.fixture(autouse=True)
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the study; only ``state``, which is made before, draws figures."""
    monkeypatch.chdir(folder)
    for module in (crossval, training_run):
        monkeypatch.setattr(module, "draw_figures", lambda *_: None)
    monkeypatch.setattr(training_run, "draw_training_curves", lambda *_: None)
    fit_one_baseline(monkeypatch)
    return folder


@pytest.fixture(scope="module")
def store_path(folder: Path) -> Path:
    return make_store(folder / "store")


@pytest.fixture(scope="module")
def state(folder: Path, store_path: Path) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name in ("draw_figures", "draw_training_curves"):  # those of each fold
            patch.setattr(training_run, name, lambda *_: None)
        fit_one_baseline(patch)
        return run_crossval(settings(), store_path)


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fold_runs, "run_training", lambda *_: pytest.fail("a complete fold was trained again"))


def test_results_of_all_folds_lie_where_the_design_says(state: Any, here: Path) -> None:
    names = {path.name for path in (here / "loeo_convnext_results").iterdir()}
    assert {
        "fold_1.json", "fold_2.json", "fold_3.json", "loeo_convnext_final_results.json", "predictions.parquet",
        "embeddings.npy", "metrics.json", "scores.png", "confusion_magnitude.png", "confusion_azimuth.png",
        "reliability.png", "subsets.png", "best_model.pth", "best_model.json",
    } == names  # fmt: skip
    final = json.loads((here / "loeo_convnext_results/loeo_convnext_final_results.json").read_text())
    keys = {"n_folds", "folds", "magnitude", "azimuth", "skill_above_best_baseline", "split_certificate", "run_ids"}
    assert keys <= set(final)
    assert final["n_folds"] == len(final["folds"]) == len(final["run_ids"]) == 3
    assert final["split_certificate"]["proof"] == {"groups": 0, "events": 0, "close_windows": 0, "samples": 0}
    assert (here / final["split_certificate"]["path"]).is_file()
    for run_id in final["run_ids"]:
        assert (here / "experiments_convnext" / run_id / "metrics.json").is_file()
    folds = [json.loads((state.results / f"fold_{k}.json").read_text()) for k in (1, 2, 3)]
    assert all(fold.pop("document_sha256") for fold in folds)
    assert final["folds"] == folds


@pytest.mark.parametrize("task", ["magnitude", "azimuth", "detection"])
def test_mean_and_deviation_are_those_of_the_folds_and_the_interval_that_of_all_windows(state: Any, task: str) -> None:
    folders = [Path("experiments_convnext") / run for run in state.final["run_ids"]]
    metrics = [json.loads((path / "metrics.json").read_text()) for path in folders]
    for score in ("accuracy", "balanced_accuracy", "mcc"):
        values = [entry[task][score]["value"] for entry in metrics]
        entry = state.final[task][score]
        assert entry["mean"] == pytest.approx(sum(values) / 3)
        assert entry["std"] == pytest.approx(pd.Series(values).std())
        assert entry["pooled"] == state.metrics[task][score]
        assert [fold[task][score]["mean"] for fold in state.final["folds"]] == values
    skill = state.final["skill_above_best_baseline"][task]["log_score"]
    assert skill["pooled"]["low"] <= skill["pooled"]["value"] <= skill["pooled"]["high"]


def test_the_joint_table_tests_each_window_once(state: Any, store_path: Path) -> None:
    table = pd.read_parquet(state.results / "predictions.parquet")
    tested = table[table["role"] == "test"]
    assert sorted(tested["sample_id"]) == sorted(open_store(store_path).samples["sample_id"])
    assert state.metrics["n"] == len(tested)
    assert set(table["run_id"]) == set(state.final["run_ids"])
    assert len(np.load(state.results / "embeddings.npy")) == len(table)


def test_the_exported_model_is_the_fold_with_the_lowest_validation_loss(state: Any, here: Path) -> None:
    models = {run: here / "experiments_convnext" / run / "best_model.pth" for run in state.final["run_ids"]}
    losses = {run: read_card(path).val_loss for run, path in models.items()}
    card = read_card(here / MODEL)
    assert card.run_id == min(losses, key=lambda run: losses[run])
    assert state.model == Path("loeo_convnext_results/best_model.pth")
    assert card.sha256 == read_card(here / state.model).sha256
    assert crossval_json(state)["default_model"] == {"file": str(MODEL), "replaced": None}


def test_the_exported_model_has_the_reference_of_its_own_fold(state: Any) -> None:
    card, table = read_card(state.model), pd.read_parquet(state.results / "predictions.parquet")
    assert card.reference is not None
    controls = table[(table["role"] == "test") & (table["y_magnitude"] == "Normal") & (table["fold"] == card.fold)]
    np.testing.assert_array_equal(card.reference["controls"], np.sort(1 - controls["p_magnitude_Normal"]))


def test_pooled_skill_comes_first_and_the_places_last(state: Any) -> None:
    lines = describe_crossval(state).splitlines()
    assert lines[0].startswith("3 runs, test set: 192 windows")
    first_score = next(i for i, line in enumerate(lines) if "balanced accuracy" in line)
    assert "Δ balanced accuracy" in lines[first_score]
    assert first_score < 10
    assert [line.split()[0] for line in lines[-5:]] == ["results", "final", "table", "model", str(MODEL)]
    assert crossval_json(state)["complete"]
    require_folds(state)


@pytest.mark.usefixtures("no_training")
def test_other_scores_are_asked_of_the_same_runs(state: Any, store_path: Path, tmp_path: Path) -> None:
    config = settings()
    config = config.model_copy(update={"evaluate": config.evaluate.model_copy(update={"confidence": 0.5})})
    model = MODEL.read_bytes()
    again = run_crossval(config, store_path, out=tmp_path / "out")
    assert again.model == tmp_path / "out" / "best_model.pth"
    assert read_card(again.model).run_id in again.final["run_ids"]
    assert crossval_json(again)["default_model"] is None
    assert str(MODEL) not in describe_crossval(again)
    assert MODEL.read_bytes() == model
    assert again.final["confidence"] == 0.5
    narrow, wide = (s.final["azimuth"]["accuracy"]["pooled"] for s in (again, state))
    assert narrow["value"] == wide["value"]
    assert narrow["high"] - narrow["low"] < wide["high"] - wide["low"]
    assert (
        again.folds[0].metrics["azimuth"]["accuracy"]["value"] == state.folds[0].metrics["azimuth"]["accuracy"]["value"]
    )


@pytest.mark.usefixtures("no_training")
def test_the_same_command_again_trains_nothing_and_says_whose_model_it_replaces(
    state: Any, store_path: Path, here: Path
) -> None:
    best = read_card(MODEL).run_id
    other = next(run for run in state.final["run_ids"] if run != best)
    copy_checkpoint(here / "experiments_convnext" / other / "best_model.pth", MODEL)
    of_run = here / "experiments_convnext" / best / "best_model.pth"
    document = dict(read_card(of_run).document)
    reference = document.pop("reference")  # as an earlier version leaves it
    write_card(of_run, document)
    again = run_crossval(settings(), store_path)
    assert read_card(of_run).reference == read_card(state.model).reference == reference
    assert again.final == state.final
    assert describe_crossval(again).splitlines()[-1].split(maxsplit=1) == [
        str(MODEL), f"(a copy; replaces that of run {other})"
    ]  # fmt: skip
    assert crossval_json(again)["default_model"]["replaced"] == f"run {other}"
    assert read_card(MODEL).run_id == best
    MODEL.write_bytes(b"damaged")
    assert crossval.update_default_model(state.model) == "an unknown run (no valid card)"
    assert crossval.update_default_model(state.model) is None


@pytest.mark.usefixtures("state")
def test_a_failing_fold_leaves_the_others_and_is_named(
    store_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, model = fold_runs.run_training, read_card(MODEL).sha256

    def fail_in_fold_2(config: Config, *arguments: Any) -> Run:
        if config.split.fold == 2:
            raise DataError("fold 2 cannot be read.")
        if config.split.fold == 3:
            raise RuntimeError("out of memory")
        return real(config, *arguments)

    monkeypatch.setattr(fold_runs, "run_training", fail_in_fold_2)
    broken = run_crossval(settings(seed=5, name="other"), store_path, out=tmp_path / "out")
    assert [result.fold for result in broken.folds] == [1]
    assert broken.failed == {2: "fold 2 cannot be read.", 3: "RuntimeError: out of memory"}
    assert broken.final is None
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"fold_1.json"}
    assert read_card(MODEL).sha256 == model
    with pytest.raises(SeismagError, match=r"folds 2, 3 failed; the others are kept"):
        require_folds(broken)
    monkeypatch.setattr(fold_runs, "run_training", real)
    mended = run_crossval(settings(seed=5, name="other"), store_path, folds="1-2", out=tmp_path / "out")
    assert mended.folds[0] == broken.folds[0]  # the finished run was found again
    assert mended.missing == (3,)
    assert "not finished: fold 3" in describe_crossval(mended)
    document = crossval_json(mended)
    assert (document["complete"], document["n_folds"], document["missing"]) == (False, 3, [3])


@pytest.mark.usefixtures("state")
def test_an_interrupted_fold_goes_on_in_its_own_run_and_replaces_the_results_of_another_study(
    store_path: Path, tmp_path: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = settings(seed=6, name="interrupted")

    def stop(*_arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(training_run, "predict_roles", stop)
        before = set((here / "experiments_convnext").glob("small_fold2_*"))
        with pytest.raises(KeyboardInterrupt):
            run_crossval(config, store_path, folds="2", out=tmp_path / "out")
    (begun,) = set((here / "experiments_convnext").glob("small_fold2_*")) - before
    out = tmp_path / "out"
    shutil.copytree(here / "loeo_convnext_results", out, dirs_exist_ok=True)  # of another study: replaced whole
    resumed = run_crossval(config, store_path, folds="2", out=out)
    assert resumed.folds[0].metrics["run_ids"] == [begun.name]
    assert resumed.missing == (1, 3)
    assert Run(begun).provenance()["resumed_after_epochs"] == [1]
    assert {path.name for path in out.iterdir()} == {"fold_2.json"}


@pytest.mark.usefixtures("no_training")
def test_a_folder_of_results_that_cannot_be_made_is_found_before_the_training(store_path: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"file/out: cannot be made .*Choose another --out"):
        run_crossval(settings(seed=8, name="nowhere"), store_path, out=tmp_path / "file" / "out")


@pytest.mark.usefixtures("state")
def test_a_dask_cluster_trains_the_folds_that_are_left_and_brings_reasons_back(
    store_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker in a thread of this process; its training is stubbed, what travels to it and back is not."""
    from distributed import LocalCluster

    asked = []

    def fail(config: Config, store: Path, begun: Path | None, progress: Progress) -> Run:
        asked.append((config.split.fold, config.train.num_workers, store.is_absolute(), begun, progress is silent))
        raise DataError(f"fold {config.split.fold} cannot be read.")

    monkeypatch.setattr(fold_runs, "run_training", fail)
    config = settings(seed=7, name="dask")
    config = config.model_copy(update={"train": config.train.model_copy(update={"num_workers": 2})})
    with LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None) as cluster:
        address = cluster.scheduler_address
        done = run_crossval(settings(), store_path, out=tmp_path / "done", scheduler=address)  # complete: none is sent
        failed = run_crossval(config, store_path, "1,3", tmp_path / "failed", scheduler=address)
    assert len(done.folds) == 3
    assert sorted(asked) == [(1, 0, True, None, True), (3, 0, True, None, True)]
    assert failed.failed == {1: "fold 1 cannot be read.", 3: "fold 3 cannot be read."}
    assert failed.missing == (2,)


def test_a_naive_run_says_so_wherever_it_is_judged_and_never_becomes_a_model_to_use(
    store_path: Path, here: Path
) -> None:
    naive = run_crossval(settings(method="naive", n_folds=2), store_path)
    assert naive.results == Path("naive_convnext_results")
    assert naive.model is None
    assert not list((here / "models").glob("*naive*"))
    assert naive.final is not None
    assert describe_crossval(naive).startswith(NAIVE_WARNING)
    run = here / "experiments_convnext" / naive.final["run_ids"][0]
    for path in (naive.results / "metrics.json", naive.results / "fold_1.json", run / "metrics.json",
                 naive.results / "naive_convnext_final_results.json"):  # fmt: skip
        assert NAIVE_WARNING in json.loads(path.read_text())["warnings"]
    with pytest.raises(UsageError, match="naive: for comparison only"):
        evaluate_model(run / "best_model.pth", store_path, settings().evaluate)
    with pytest.raises(SeismagError, match="naive: for comparison only"):
        promote_model(run, allow_simulated=True)


def test_sealed_windows_reach_no_training_and_no_prediction(store_path: Path, here: Path, tmp_path: Path) -> None:
    config = settings(sealed_fraction=0.2, name="sealed")
    state = run_crossval(config, store_path, folds="1", out=tmp_path / "out")
    split = pd.read_parquet(here / "splits" / "sealed.parquet")
    sealed = set(split.loc[split["role"] == "sealed", "sample_id"])
    run = Run(here / "experiments_convnext" / state.folds[0].metrics["run_ids"][0])
    assert len(sealed) > 20
    assert not sealed & set(pd.read_parquet(run.predictions)["sample_id"])
    assert not sealed & set(load_checkpoint(run.best_model).trained_on)
    _, judged = evaluate_model(run.best_model, store_path, config.evaluate)
    assert not sealed & set(judged["sample_id"])


@pytest.mark.parametrize(
    ("text", "expected"), [(None, [1, 2, 3, 4, 5]), ("2", [2]), ("1,3-5", [1, 3, 4, 5]), (" 5 , 1 - 2", [1, 2, 5])]
)
def test_folds_are_named_by_number_or_range(text: str | None, expected: list[int]) -> None:
    assert parse_folds(text, 5) == expected


@pytest.mark.parametrize("text", ["0,3-5", "6", "5-4"])
def test_a_fold_that_does_not_exist_is_refused_with_the_range(text: str) -> None:
    with pytest.raises(UsageError, match=r"not among the folds, which count from 1 to 5"):
        parse_folds(text, 5)


@pytest.mark.parametrize("text", ["", "1,,2", "1-", "-1"])
def test_a_choice_of_folds_that_is_none_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match=r"neither a number nor a range. Write for example 1,3-5"):
        parse_folds(text, 5)
