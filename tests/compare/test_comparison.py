"""Several runs in identical folds: what the comparison holds, and what it refuses."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from fixtures.study_store import make_store, replace_samples
from seismag.compare.compute import compare_runs, describe_cost
from seismag.compare.text import format_comparison
from seismag.config import Config, EvaluateConfig, build_config
from seismag.domain import DataError, UsageError
from seismag.models.cost import LatencyPlan
from seismag.runs import Run, update_provenance
from seismag.training.crossval import run_crossval
from seismag.training.run import run_training
from seismag.training.tried import setting_differences

SPEC = EvaluateConfig(bootstrap=100)  # type: ignore[call-arg]


def settings(name: str, fold: int = 1, **model: Any) -> Config:
    return build_config(
        {
            "split": {"n_folds": 2, "fold": fold},
            "model": {"backbone": "convnext_atto", "head_width": 16, **model},
            "train": {"epochs": 1, "batch_size": 32, "learning_rate": 1e-3, "warmup_epochs": 0.0, "run_name": name},
            "evaluate": {"bootstrap": 100},
        }
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("comparison")


@pytest.fixture(scope="module", autouse=True)
def little_work() -> Iterator[None]:
    """Neither figures, nor narrow intervals, nor logistic baselines are looked at here."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("crossval.draw_figures", "run.draw_figures", "run.draw_training_curves"):
            patch.setattr(f"seismag.training.{name}", lambda *_: None)
        patch.setattr("seismag.scoring.baselines.LOGISTIC_BASELINES", ())
        yield


@pytest.fixture(autouse=True)
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


@pytest.fixture(scope="module")
def store(folder: Path) -> Path:
    return make_store(folder / "store")


@pytest.fixture(scope="module")
def runs(folder: Path, store: Path) -> list[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return [
            run_training(settings("plain_fold1"), store).path,
            run_training(settings("wide_fold1", head_width=32), store).path,
        ]


@pytest.fixture(scope="module")
def document(folder: Path, runs: list[Path]) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return compare_runs(runs, SPEC, latency=LatencyPlan({1: 2}, 1))


def test_models_stand_in_their_order_with_what_differs(document: dict[str, Any], runs: list[Path]) -> None:
    first, second = document["models"]
    assert [first["id"], second["id"]] == [run.name for run in runs]
    assert first["differs"] == []
    assert second["differs"] == [{"key": "model.head_width", "value": 32, "reference": 16}]
    assert (first["difference"], first["backbone"], second["name"]) == (None, "convnext_atto", "wide_fold1")


def test_scores_are_those_of_the_run(document: dict[str, Any], runs: list[Path]) -> None:
    metrics = json.loads((runs[1] / "metrics.json").read_text())
    for task, scores in document["models"][1]["scores"].items():
        for score, entry in scores.items():
            assert entry["value"] == pytest.approx(metrics[task][score]["value"], abs=1e-6), (task, score)
    assert (document["n"], document["dataset_id"]) == (metrics["n"], metrics["dataset_id"])


def test_rules_are_those_of_the_run(document: dict[str, Any], runs: list[Path]) -> None:
    metrics = json.loads((runs[0] / "metrics.json").read_text())
    rules = {rule["name"]: rule for rule in document["rules"]}
    for task in ("detection", "magnitude", "azimuth"):
        entry = rules["best_no_signal"]["scores"][task]["log_score"]
        skill = metrics[task]["skill_above_best_baseline"]["log_score"]
        assert entry["baseline"] == skill["baseline"]
        difference = rules["best_no_signal"]["difference"][task]["log_score"]["value"]
        assert difference == pytest.approx(-skill["value"], abs=1e-6)


def test_cost_is_counted_and_timed(document: dict[str, Any], runs: list[Path]) -> None:
    first, second = document["models"]
    assert second["parameters"]["total"] > first["parameters"]["total"] > 3_000_000
    assert second["flops"] > first["flops"] > 1e6
    assert first["weights_bytes"] == (runs[0] / "best_model.pth").stat().st_size
    assert first["latency"]["batch_1"]["ratio_to_first"] == 1.0
    assert {"utc", "device", "processor", "threads", "torch"} <= set(document["session"])


def test_table_names_each_model_and_its_cost(document: dict[str, Any]) -> None:
    text = format_comparison(document)
    assert all(word in text for word in ("plain", "wide", "best_no_signal", "reference", "Mparam", "ms"))
    assert max(map(len, text.splitlines())) <= 80


def moved_run(run: Path, folder: Path, **facts: str) -> Path:
    moved = Path(shutil.copytree(run, folder / "moved"))
    update_provenance(Run(moved), **facts)
    return moved


def test_other_data_set_is_refused_by_name(runs: list[Path], tmp_path: Path) -> None:
    moved = moved_run(runs[1], tmp_path, dataset_id="two")
    with pytest.raises(DataError, match=r"plain_\w+ was trained on data set one \(.*store\), moved on two"):
        compare_runs([runs[0], moved], SPEC)


def test_other_fold_is_refused(runs: list[Path], tmp_path: Path) -> None:
    moved = moved_run(runs[1], tmp_path)
    pd.read_parquet(moved / "predictions.parquet").assign(fold=2).to_parquet(moved / "predictions.parquet")
    with pytest.raises(DataError, match=r"was evaluated on fold 1, moved on fold 2.*same split.fold"):
        compare_runs([runs[0], moved], SPEC)


def test_other_split_is_refused(runs: list[Path], tmp_path: Path) -> None:
    moved = moved_run(runs[1], tmp_path, split_certificate_sha256="0" * 64)
    with pytest.raises(DataError, match=r"was trained by split loeo .*moved by .*00000000.*section split"):
        compare_runs([runs[0], moved], SPEC)


def test_one_run_alone_has_its_cost_and_the_rules(runs: list[Path]) -> None:
    document = compare_runs(runs[:1], SPEC, latency=None)
    assert document["models"][0]["flops"] > 0
    assert document["latency_measured"] == "not measured"
    assert "not measured" in format_comparison(document)
    assert document["n_comparisons"]["models"] == 0 < document["n_comparisons"]["rules"]


def test_cost_of_one_run_needs_no_scores(runs: list[Path], document: dict[str, Any]) -> None:
    cost = describe_cost(runs[0], latency=None)
    (model,) = cost["models"]
    compared = document["models"][0]
    assert {key: model[key] for key in ("id", "parameters", "flops", "weights_bytes", "input")} == {
        key: compared[key] for key in ("id", "parameters", "flops", "weights_bytes", "input")
    }
    assert "scores" not in model
    assert cost["reference"] == runs[0].name


def test_what_cannot_be_compared_is_refused(runs: list[Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no run given"):
        compare_runs([], SPEC)
    with pytest.raises(UsageError, match="Name each run once"):
        compare_runs([runs[0], runs[0]], SPEC)
    with pytest.raises(UsageError, match=r"neither a run .* nor a finished cross-validation"):
        compare_runs([runs[0], tmp_path], SPEC)
    with pytest.raises(UsageError, match="no such folder"):
        compare_runs([runs[0], tmp_path / "nowhere"], SPEC)


def test_run_without_predictions_is_named(runs: list[Path], tmp_path: Path) -> None:
    moved = Path(shutil.copytree(runs[1], tmp_path / runs[1].name))
    (moved / "predictions.parquet").unlink()
    with pytest.raises(DataError, match=r"has no predictions.parquet.*seismag train --resume"):
        compare_runs([runs[0], moved], SPEC)


def test_predictions_of_another_model_are_refused(runs: list[Path], tmp_path: Path) -> None:
    moved = Path(shutil.copytree(runs[1], tmp_path / runs[1].name))
    shutil.copyfile(runs[0] / "predictions.parquet", moved / "predictions.parquet")
    words = f"predictions of {runs[0].name}, but the models are {runs[1].name}. Copy the folder again"
    with pytest.raises(DataError, match=words):
        compare_runs([runs[0], moved], SPEC)


def test_a_store_of_other_labels_is_refused(runs: list[Path], store: Path, tmp_path: Path) -> None:
    other = make_store(tmp_path / "other")
    samples = pd.read_parquet(store / "samples.parquet")
    replace_samples(other, samples.assign(azimuth_class=samples["azimuth_class"].replace("N", "S")))
    with pytest.raises(DataError, match=r"y_azimuth of .* windows is not that of the store"):
        compare_runs(runs, SPEC, data=other)


def test_absent_store_is_named(runs: list[Path], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"does not exist. --data names a store that does not exist"):
        compare_runs(runs, SPEC, data=tmp_path / "nowhere")


def test_cross_validations_are_compared_over_all_folds(store: Path, runs: list[Path]) -> None:
    # fold 1 of both is there already
    results = [run_crossval(settings(name, **model), store, out=Path(f"{name}_results")).results
               for name, model in (("plain", {}), ("wide", {"head_width": 32}))]  # fmt: skip
    document = compare_runs(results, SPEC, latency=None)
    assert [model["name"] for model in document["models"]] == ["plain", "wide"]
    assert document["split"]["folds"] == [1, 2]
    assert [len(model["run_ids"]) for model in document["models"]] == [2, 2]
    with pytest.raises(DataError, match="was evaluated on fold 1, 2"):
        compare_runs([results[0], runs[0]], SPEC)


def test_names_and_places_are_no_differences() -> None:
    one, two = (config.model_dump(mode="json") for config in (settings("a"), settings("b", fold=2, attention="cbam")))
    assert setting_differences(one, two) == [{"key": "model.attention", "value": "cbam", "reference": "none"}]
