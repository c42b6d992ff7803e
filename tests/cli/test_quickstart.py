"""The README's commands, verbatim, one after the other as a new user runs them, on a smaller demonstration."""

from __future__ import annotations

import doctest
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from fixtures.commands import Finished, run_script, run_seismag
from fixtures.plain_pictures import plain_pictures
from fixtures.training_settings import fit_one_baseline
from seismag import api
from seismag.recordings import read_recording
from seismag.report.publication import check_folder

ROOT = Path(__file__).resolve().parents[2]
SMALLER = {  # with SEISMAG_SMALL=1: what files below configs/ and training/ contain, and what is run in its place
    "demo.yaml": [
        ("stations: [GTO, ALR, TRT, KPY]", "stations: [GTO, ALR]"), ("per_station_year: 8", "per_station_year: 14"),
        ("days: 520", "days: 140\n  seed: 8"), ("bootstrap: 1000", "bootstrap: 100"),
    ],
    "convnext_tiny.yaml": [("n_folds: 10", "n_folds: 3")],
    "loeo_validation.yaml": [("n_folds: 10", "n_folds: 3")],
    "config_improved.json": [('"n_folds": 10', '"n_folds": 3')],
}  # fmt: skip
OF_THE_TUTORIAL = {  # the same size for what a command of the tutorial does not read from demo.yaml
    "prepare": "--config configs/demo.yaml",
    "audit": "--set audit.permutations=999 --set audit.placebos=20 --set evaluate.bootstrap=100",
    "alarms": "--set evaluate.bootstrap=100",
    "explain": "--samples 2 --set evaluate.bootstrap=100",
}


def run(command: str, folder: Path) -> Finished:
    """Run a line of the README in this process; the demonstration alone draws figures and fits every baseline."""
    if command.startswith("seismag demo"):
        return run_as_written(command, folder)
    with plain_pictures(), pytest.MonkeyPatch.context() as patch:
        fit_one_baseline(patch)
        return run_as_written(command, folder)


def run_as_written(command: str, folder: Path) -> Finished:
    before, _, command = command.replace("--workers 2", "--workers 1").rpartition(" && ")
    words = shlex.split(command)
    folder = folder / before.removeprefix("cd ")
    if words[0] == "python":
        return run_script(words[1], *words[2:], cwd=folder)
    assert words[0] == "seismag"
    return run_seismag(*words[1:], cwd=folder)


def shrink(folder: Path) -> None:
    for path in [*folder.glob("configs/*"), *folder.glob("training/*")]:
        for written, smaller in SMALLER.get(path.name, []):
            text = path.read_text()
            assert text.count(written) == 1
            path.write_text(text.replace(written, smaller))


@pytest.fixture(scope="module", autouse=True)
def small() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEISMAG_SMALL", "1")
        yield


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """A working copy in which the demonstration has run."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("scripts", "configs", "training"):
        shutil.copytree(ROOT / name, folder / name)
    shrink(folder)
    result = run("seismag demo --json --workers 1", folder)
    assert result.returncode == 0, result.stderr
    (folder / "demo.json").write_text(result.stdout)
    (folder / "demo.log").write_text(result.stderr)
    return folder


def test_demo_shows_three_results_on_one_screen(checkout):
    lines = (checkout / "demo.log").read_text().splitlines()
    text = "\n".join(lines)
    assert len(lines) <= 25
    assert max(map(len, lines)) <= 80
    for part in (
        "1  with an injected signal",
        "2  without a signal",
        "3  without a signal, procedure of earlier systems",
    ):
        assert part in text
    assert "ACCURACY CLAIMED" in text


def test_the_page_of_the_demo_needs_no_other_file(checkout):
    page = (checkout / "demo" / "index.html").read_text(encoding="utf-8")
    assert page.count('<img src="data:image/webp;base64,') == 5
    assert "<script" not in page
    assert not re.search(r"(src|href)=\"(https?:|//)", page)
    assert all((checkout / "demo" / link).is_file() for link in re.findall(r'href="([^"]+)"', page))


def test_demo_prints_one_json_document_and_nothing_else(checkout):
    facts = json.loads((checkout / "demo.json").read_text())
    assert facts["files"]["store"] == "data/test"
    assert all((checkout / path).exists() for path in facts["files"].values())
    recorded = json.loads((checkout / "demo" / "injected" / "metrics.json").read_text())
    for task in ("magnitude", "azimuth", "detection"):
        for score in ("accuracy", "balanced_accuracy", "mcc", "skill_above_best_baseline"):
            assert facts["metrics"][task][score] == recorded[task][score]
    assert facts["samples"] == len(pd.read_parquet(checkout / "data" / "test" / "samples.parquet"))
    null = pd.read_parquet(checkout / "data" / "test_null" / "samples.parquet")
    assert facts["null"]["samples"] == len(null)
    audit = json.loads((checkout / "demo" / "earlier" / "audit" / "audit.json").read_text())
    failed = [test["name"] for test in audit["tests"] if test["gates"] and test["verdict"] == "fail"]
    assert facts["earlier_procedure"]["failed_checks"] == failed
    assert {"shared_events", "duplicates"} <= set(failed)


def test_the_two_archives_differ_by_the_signal_alone(checkout):
    injected, null = checkout / "demo" / "archive", checkout / "demo" / "null_archive"
    files = [path.relative_to(injected) for path in injected.glob("*/*.gz")]
    assert sorted(files) == sorted(path.relative_to(null) for path in null.glob("*/*.gz"))
    truth = pd.read_parquet(injected / "truth.parquet")
    with_signal = {f"{row.station}/S{row.start_utc:%y%m%d}.{row.station}.gz" for row in truth.itertuples()}
    differ = {file.as_posix() for file in files if (injected / file).read_bytes() != (null / file).read_bytes()}
    assert differ == with_signal
    for table in ("stations.csv", "catalogue.csv", "kp.csv", "dst.csv"):
        assert (injected / table).read_bytes() == (null / table).read_bytes()
    assert pd.read_parquet(null / "truth.parquet").empty


def test_demo_trains_validates_and_tests_on_different_groups(checkout):
    split = pd.read_parquet(checkout / "splits" / "demo.parquet")
    certificate = json.loads((checkout / "splits" / "demo.json").read_text())
    assert not any(certificate["proof"].values())
    for _, rows in split[split["role"] != "purged"].groupby("fold"):
        assert (rows.groupby("split_group")["role"].nunique() == 1).all()


def test_a_script_runs_in_a_process_of_its_own(checkout):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    result = subprocess.run(
        ["bash", "-c", "python scripts/train.py --help"],
        cwd=checkout, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "Train a model on one fold" in result.stdout


def test_train_script_runs_verbatim(checkout):
    result = run("python scripts/train.py --config configs/convnext_tiny.yaml", checkout)
    assert result.returncode == 0, result.stderr
    assert "SEISMAG_SMALL=1" in result.stderr
    folder = max((checkout / "experiments_convnext").glob("convnext_tiny_*"))
    expected = {
        "config.yaml", "provenance.json", "history.csv", "best_model.pth", "best_model.json", "checkpoint_latest.pth",
        "predictions.parquet", "embeddings.npy", "metrics.json",
    }  # fmt: skip
    assert expected <= {path.name for path in folder.iterdir()}
    provenance = json.loads((folder / "provenance.json").read_text())
    assert provenance["status"] == "complete"
    table = pd.read_parquet(folder / "predictions.parquet")
    probabilities = table.filter(like="p_magnitude_").sum(axis=1)
    assert probabilities.between(1 - 1e-6, 1 + 1e-6).all()
    assert set(table["role"]) == {"val", "test"}


def test_evaluate_script_runs_verbatim(checkout):
    command = "python scripts/evaluate.py --model models/convnext_loeo_best.pth --data data/test"
    result = run(f"{command} --json", checkout)
    assert result.returncode == 0, result.stderr
    metrics = json.loads(result.stdout)
    for task in ("magnitude", "azimuth", "detection"):
        assert {"accuracy", "balanced_accuracy", "macro_f1", "mcc", "per_class", "confusion", "baselines"} <= set(
            metrics[task]
        )
        assert "skill_above_best_baseline" in metrics[task]
    card = json.loads((checkout / "models" / "convnext_loeo_best.json").read_text())
    recorded = json.loads((checkout / "experiments_convnext" / card["run_id"] / "metrics.json").read_text())
    assert metrics["magnitude"]["confusion"] == recorded["magnitude"]["confusion"]
    assert "Δ balanced accuracy" in run(command, checkout).stdout


def test_enhanced_training_runs_verbatim(checkout):
    result = run("cd training && python run_enhanced_training.py", checkout)
    assert result.returncode == 0, result.stderr
    folder = max((checkout / "experiments_convnext").glob("enhanced_*"))
    card = json.loads((folder / "best_model.json").read_text())
    assert (card["model"]["attention"], card["model"]["azimuth_head"]) == ("cbam", "hierarchical")
    evaluated = run(
        f"python training/evaluate_enhanced_model.py --model {folder / 'best_model.pth'} --data data/test --json",
        checkout,
    )
    assert evaluated.returncode == 0, evaluated.stderr


def test_fine_tuning_runs_from_a_model_of_the_same_split(checkout):
    begun = max((checkout / "experiments_convnext").glob("convnext_tiny_*")) / "best_model.pth"
    command = f"python scripts/train.py --config configs/finetune.yaml --set train.init_from={begun}"
    refused = run(f"{command} --set split.name=other --set split.seed=1", checkout)  # it has seen test windows
    assert refused.returncode == 2
    assert "test windows of this fold" in refused.stderr
    result = run(command, checkout)
    assert result.returncode == 0, result.stderr
    folder = max((checkout / "experiments_convnext").glob("finetune_v3_gpu_*"))
    assert json.loads((folder / "best_model.json").read_text())["initial_weights"]["taken"] == "all"


def test_enhanced_training_without_data_names_the_command(tmp_path):
    shutil.copytree(ROOT / "training", tmp_path / "training")
    result = run("cd training && python run_enhanced_training.py", tmp_path)
    assert result.returncode == 2
    assert "make demo" in result.stderr


def test_predict_gives_probabilities_for_each_window_of_a_day(checkout):
    day_file = max((checkout / "demo" / "archive").glob("*/*.gz"))
    result = run(f"seismag predict {day_file} --model models/convnext_loeo_best.pth --json", checkout)
    entries = json.loads(result.stdout)["predictions"]
    assert [entry["start_utc"][11:13] for entry in entries] == ["00", "06", "12", "18"]
    assert {entry["station"] for entry in entries} == {read_recording(day_file).station}
    for entry in entries:
        assert entry["usable"]
        assert sum(entry["p_magnitude"].values()) == pytest.approx(1)
        assert sum(entry["p_azimuth"].values()) == pytest.approx(1)


def test_predict_on_the_real_day_of_alor_gives_four_windows(checkout, real_data):
    command = f"seismag predict {real_data / 'bmkg' / 'S250101.ALR'} --model models/convnext_loeo_best.pth --json"
    entries = json.loads(run(command, checkout).stdout)["predictions"]
    assert len(entries) == 4
    for entry in entries:
        assert sum(entry["p_magnitude"].values()) == pytest.approx(1)
        assert sum(entry["p_azimuth"].values()) == pytest.approx(1)


def test_a_model_is_not_used_on_windows_prepared_otherwise(checkout):
    archive = "demo/archive"
    prepared = run(
        f"seismag prepare --archive {archive} --stations {archive}/stations.csv --catalog {archive}/catalogue.csv "
        "--out other --config configs/demo.yaml --set data.step_s=188 --set data.min_magnitude=6.0",
        checkout,
    )
    assert prepared.returncode == 0, prepared.stderr
    result = run("seismag evaluate --model models/convnext_loeo_best.pth --data other", checkout)
    assert result.returncode == 1
    assert "step_s 600 in training, 188 here" in result.stderr


def test_a_fold_of_the_cross_validation_runs_by_the_script(checkout):
    command = "python scripts/train_loeo.py --config configs/loeo_validation.yaml"
    before = (checkout / "models" / "convnext_loeo_best.pth").read_bytes()
    result = run(f"{command} --folds 2 --json", checkout)
    assert result.returncode == 0, result.stderr
    assert "SEISMAG_SMALL=1" in result.stderr
    document = json.loads(result.stdout)
    assert [fold["fold"] for fold in document["folds"]] == [2]
    assert document["missing"] == [1, 3]
    assert not document["complete"]
    assert [path.name for path in (checkout / "loeo_convnext_results").iterdir()] == ["fold_2.json"]
    assert (checkout / "models" / "convnext_loeo_best.pth").read_bytes() == before
    refused = run(f"{command} --folds 0", checkout)
    assert refused.returncode == 2
    assert "count from 1 to 3" in refused.stderr


def code_blocks(page: str, language: str) -> list[str]:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_the_code_of_the_python_page_runs_as_written(checkout, monkeypatch):
    monkeypatch.chdir(checkout)
    names: dict[str, object] = {}
    for block in code_blocks("python.md", "python"):
        exec(block, names)
    command = run(
        "seismag predict demo/archive/GTO/S210303.GTO.gz --model models/convnext_loeo_best.pth "
        "--stations demo/archive/stations.csv --json",
        checkout,
    )
    printed = [entry["p_event"] for entry in json.loads(command.stdout)["predictions"]]
    own = names["model"].predict(names["own"], stations="demo/archive/stations.csv")
    assert printed == names["table"]["p_event"].tolist() == own["p_event"].tolist()
    assert names["labels"]["magnitude_class"].equals(names["store"].samples["magnitude_class"])


def test_the_examples_of_the_api_run(checkout, monkeypatch, tmp_path):
    monkeypatch.chdir(checkout)
    samples = api.open_store("data/test").samples
    samples.drop(columns=["event_ids", "cluster_ids"]).to_csv(tmp_path / "labels.csv", index=False)
    files = {
        "day_file": "demo/archive/GTO/S210303.GTO.gz", "store_folder": "data/test",
        "model_file": "models/convnext_loeo_best.pth", "catalog_file": "demo/archive/catalogue.csv",
        "station_file": "demo/archive/stations.csv", "labels_file": tmp_path / "labels.csv",
        "new_folder": tmp_path / "new",
    }  # fmt: skip
    found = doctest.testmod(api, extraglobs={"pd": pd, **files})
    assert found.attempted >= 12
    assert not found.failed


def tutorial_commands() -> list[str]:
    return [line for block in code_blocks("tutorial.md", "sh") for line in block.splitlines()]


@pytest.mark.parametrize("command", tutorial_commands(), ids=lambda command: " ".join(command.split()[1:3]))
def test_a_command_of_the_tutorial_runs_as_written(checkout, command):
    result = run(f"{command} {OF_THE_TUTORIAL.get(command.split()[1], '')}", checkout)
    assert result.returncode == 0, f"{command}\n{result.stdout[-2000:]}\n{result.stderr[-2000:]}"


def test_the_publication_of_the_tutorial_is_consistent(checkout):
    page = (checkout / "tutorial" / "publication" / "report.html").read_text(encoding="utf-8")
    assert "(simulated data)" in page
    assert check_folder(checkout / "tutorial" / "publication") == []
