"""Each benchmark runs at its smallest size and prints its table; all of them use the public package alone."""

from __future__ import annotations

import ast
import json
import logging
import os
import re
import runpy
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from fixtures.archive_files import ALR, GTO, write_catalogue
from fixtures.plain_pictures import plain_pictures
from fixtures.training_settings import fit_one_baseline
from seismag.config import load_config

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted((ROOT / "benchmarks").glob("*.py"))
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
LABEL_TABLES = "--stations {tables}/stations.csv --catalog {tables}/catalogue.csv --kp {tables}/kp.csv"

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # replicates and nulls of a few windows may be empty


@dataclass(frozen=True)
class Smallest:
    """How a benchmark runs at its smallest size, and what it prints: a heading, and rows with a number each.

    Folders in ``options``: learned (what the learning benchmark left), tables (of labels), data (real),
    demonstrated, out.
    """

    options: str
    heading: str
    rows: tuple[str, ...]


SMALLEST = {
    "coverage": Smallest(
        "--parts scores --studies 2",
        "fraction",
        ("magnitude MCC", "detection AUC", "Δ magnitude log", "outside the aim beyond chance"),
    ),
    "audit": Smallest(
        "--parts scenarios tables --scenarios fault_duplicates --tables 1 --workers 1 --work {out} "
        "--set simulate.days=100 simulate.stations=[GTO,ALR] simulate.collected=study "
        "audit.permutations=999 audit.placebos=20 audit.partitions=1 audit.folds=2",
        "expected",
        ("fault_duplicates", "clean tables, checks failed"),
    ),
    "bound": Smallest(
        "--store {learned}/strong.zarr --folds 1 --work {out} --set train.epochs=1 split.n_folds=2 "
        "model.average_rotations=false",
        "50 % at",
        ("matched, station", "learnt filter 30", "network 30"),
    ),
    "checksums": Smallest("{learned}", "sha256", ("samples.parquet",)),
    "comparison": Smallest(
        "--store {learned}/strong.zarr --models convnext_tiny --small --epochs 1 --rounds 1 1 --work {out} "
        "--set model.head_width=16 evaluate.bootstrap=100",
        "AUC",
        ("convnext_tiny", "transfer_function"),
    ),
    "demo": Smallest("--seeds 1 --work {demonstrated}", "with signal", ("101 ", "skill in 1 of 1")),
    "evaluate": Smallest(
        "--rows 192 --timed-rows 96", "memory, MB", ("96           8", "96           1", "192           8")
    ),
    "evening": Smallest(
        "--archive {learned}/strong --work {out} --workers 1 --parts prepare table --set split.n_folds=2",
        "estimate",
        ("prepare", "6 stations x 1 year", "24 x 8"),
    ),
    "faults": Smallest(
        "--size smoke --work {out} --workers 1",
        "kills",
        ("simulate", "models fetch", "predict ", "catalogue, last line", "recording", "store", "predictions"),
    ),
    "gradcam": Smallest(
        "--model convnext_atto --size 32 --samples 2 --batch 2 --rounds 1",
        "convnext_atto 32 x 32",
        ("forward pass", "seismag, both tasks", "whole network, both tasks", "largest difference"),
    ),
    "injection": Smallest(
        "--work {learned} --windows 2 --trained-on strong --tried-on strong --inputs power_cross",
        "trained on strong, tried on strong, power_cross",
        ("snr     0.1", "snr   1e+03"),
    ),
    "spikes": Smallest("{data}/bmkg/S250101.ALR", "usual nT", ("S250101.ALR",)),
    "labels": Smallest(LABEL_TABLES, "dobrovolsky", ("classes", "clusters", "Normal, worst station", "within 2 years")),
    "learning": Smallest(
        "--smoke --archives strong --models standard --inputs power_cross --workers 1 --device {device} --seed 311 "
        "--work {learned} --out {out}/learning.json",
        "archive model",
        ("strong  known band", "strong  standard"),
    ),
    "pictures": Smallest(
        "--publication {publication} --archive {learned}/strong --out {out}", "", ("day", "map", "gradcam")
    ),
    "placebos": Smallest(
        "--model {model} --true {learned}/strong.zarr {placebo}", "null, 95 %", ("true", "wrong_station")
    ),
    "prepare": Smallest(
        "--days 2 --rounds 1",
        "2 station-days",
        (
            "seismag prepare",
            "plain reference",
            "bare kernel",
            "read (checksum",
            "write (zstd",
            "time, of prepare",
            "size, of the",
        ),
    ),
    "simulate": Smallest(
        "--data {data} --realisations 1 --days 2", "simulated / real power", ("BOU", "quiet days", "[500, 1500)")
    ),
    "splits": Smallest(LABEL_TABLES, "split  ", ("loeo", "loso", "region", "blocked", "naive", "20 % locked")),
    "training": Smallest(
        "--size 32 --batch 4 --steps 1 --rounds 1 --precision-size 32 --device {device}",
        "images/s",
        ("bare loop", "seismag train", "seismag predict", "32-true", "bf16-mixed"),
    ),
}
PARTS = ("simulated_archive", "coverage_", "audit_", "faults_")  # which others import
NAMES = [path.stem for path in FILES if not path.stem.startswith(PARTS)]


@contextmanager
def as_found() -> Iterator[None]:
    """What a benchmark sets for its own process is put back: environment, path and log level."""
    package = logging.getLogger("seismag")
    level = package.level
    try:
        with patch.dict(os.environ), patch.object(sys, "path", [str(ROOT / "benchmarks"), *sys.path]):
            os.environ.pop("SEISMAG_SMALL", None)
            yield
    finally:
        package.setLevel(level)


def printed_by(name: str, options: str) -> str:
    """Run a benchmark as ``python benchmarks/NAME.py OPTIONS`` does, in this process."""
    path = ROOT / "benchmarks" / f"{name}.py"
    with as_found(), patch.object(sys, "argv", [str(path), *options.split()]), redirect_stdout(StringIO()) as text:
        try:
            runpy.run_path(str(path), run_name="__main__")
        except SystemExit as end:
            if end.code not in (0, 1):  # 1: what it found does not hold, at this size
                raise
    return text.getvalue()


def run_here(command: list[str], **_: Any) -> CompletedProcess[str]:
    """In place of subprocess.run: a benchmark that starts itself needs no second import."""
    return CompletedProcess(command, 0, printed_by(Path(command[1]).stem, " ".join(command[2:])), "")


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Archive, store and runs of the learning benchmark at its smallest size, and its result."""
    folder = tmp_path_factory.mktemp("learning")
    options = SMALLEST["learning"].options.format(learned=folder, out=folder, device=DEVICE)
    with plain_pictures(), pytest.MonkeyPatch.context() as one:
        fit_one_baseline(one)
        printed_by("learning", options)
    return folder


def write_label_tables(folder: Path) -> Path:
    """Two stations and, every 30 days, an earthquake near one of them, far enough from the others for a cluster."""
    folder.mkdir()
    far = pd.read_csv(write_catalogue(folder / "catalogue.csv", days=700))
    near = far.iloc[60::90].reset_index(drop=True)
    turn = near.index.to_numpy() // 2
    distance_deg, azimuth = np.where(turn < 6, 0.4, 0.8), np.radians(60 * turn)
    station = pd.DataFrame([{"code": s.code, "lat": s.latitude_deg, "lon": s.longitude_deg} for s in (GTO, ALR)])
    nearest = station.iloc[near.index % 2].reset_index(drop=True)
    near = near.assign(
        event_id=[f"near{i}" for i in near.index],
        latitude_deg=nearest["lat"] + distance_deg * np.cos(azimuth),
        longitude_deg=nearest["lon"] + distance_deg * np.sin(azimuth),
        magnitude=np.where(turn % 2, 5.0, 4.8),
    )
    pd.concat([far, near]).sort_values("origin_utc").to_csv(folder / "catalogue.csv", index=False)
    station.rename(columns={"lat": "latitude_deg", "lon": "longitude_deg"}).to_csv(folder / "stations.csv", index=False)
    time_utc = np.datetime64("2021-01-01T00:00:00") + np.arange(700 * 8) * np.timedelta64(3, "h")
    kp = np.resize([1.0, 2.0, 3.0, 2.0], len(time_utc))
    pd.DataFrame({"time_utc": np.char.add(time_utc.astype(str), "Z"), "kp": kp}).to_csv(folder / "kp.csv", index=False)
    return folder


def write_publication(folder: Path) -> Path:
    """The figures that the pictures of README.md are made of."""
    (folder / "figures").mkdir(parents=True)
    for name in runpy.run_path(str(ROOT / "benchmarks" / "pictures.py"))["FIGURES"]:
        Image.new("RGB", (1200, 800), "white").save(folder / "figures" / f"{name}.png")
    return folder


def write_demonstrated(folder: Path) -> Path:
    """The row of a finished demonstration: running one is left to tests/cli/test_quickstart.py."""
    study = {
        "conclusion": "skill", "skill": {"value": 0.48, "low": 0.4, "high": 0.5}, "p_value": 0.001,
        "direction": {"mean_error_deg": 12.0},
    }  # fmt: skip
    silent = {**study, "conclusion": "no_skill", "skill": {"value": None, "low": None, "high": None}}
    row = {"seed": 101, "injected": study, "null": silent, "earlier_procedure": {"accuracy": 0.97}, "seconds": 100.0}
    folder.mkdir()
    (folder / "seed-101.json").write_text(json.dumps(row))
    return folder


def make_placebo_store(learned: Path, store: Path) -> Path:
    """The archive of the learning benchmark with the labels of the wrong station."""
    with as_found():
        learning = runpy.run_path(str(ROOT / "benchmarks" / "learning.py"))
        archive = runpy.run_path(str(ROOT / "benchmarks" / "simulated_archive.py"))
        entries = [*learning["SIZES"]["smoke"].simulate, *learning["EVEN"], "data.placebo=wrong_station"]
        config = load_config(learning["SCENARIOS"] / "injected_strong.yaml", entries)
        archive["make_store"](config, learned / "strong", store)
    return store


@pytest.mark.parametrize("name", sorted(NAMES, key=lambda name: name != "learning"))  # others use what it leaves
def test_smallest_size_prints_its_table(
    name: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    smallest = SMALLEST[name]
    words: dict[str, Any] = {"device": DEVICE, "out": tmp_path / "out"}
    words["out"].mkdir()
    if "{learned}" in smallest.options:
        words["learned"] = request.getfixturevalue("learned")
    if "{data}" in smallest.options:
        words["data"] = request.getfixturevalue("real_data")
    if "{tables}" in smallest.options:
        words["tables"] = write_label_tables(tmp_path / "tables")
    if "{demonstrated}" in smallest.options:
        words["demonstrated"] = write_demonstrated(tmp_path / "demonstrated")
    if "{publication}" in smallest.options:
        words["publication"] = write_publication(tmp_path / "publication")
    if "{model}" in smallest.options:
        words["model"] = min((words["learned"] / "experiments_convnext").glob("strong-*")) / "best_model.pth"
        words["placebo"] = make_placebo_store(words["learned"], tmp_path / "placebo.zarr")
    monkeypatch.setattr("subprocess.run", run_here)
    fit_one_baseline(monkeypatch)
    with nullcontext() if name == "pictures" else plain_pictures():
        text = printed_by(name, smallest.options.format(**words))
    assert smallest.heading in text
    table = text[text.index(smallest.heading) :]
    without_number = [row for row in smallest.rows if not re.search(rf"^.*{re.escape(row)}.*\d", table, re.MULTILINE)]
    assert without_number == [], table


def test_learning_uses_its_finished_rows_again(learned: Path, tmp_path: Path) -> None:
    first = json.loads((learned / "learning.json").read_text())
    assert [row["model"] for row in first["rows"]] == ["known band", "standard"]
    assert first["rows"][0]["direction"]["value"] > 0.8  # the emission is there, and points at its source
    runs = sorted((learned / "experiments_convnext").glob("strong-*"))
    printed_by("learning", SMALLEST["learning"].options.format(learned=learned, out=tmp_path, device=DEVICE))
    again = json.loads((tmp_path / "learning.json").read_text())
    assert again["rows"] == first["rows"]
    assert sorted((learned / "experiments_convnext").glob("strong-*")) == runs  # not trained a second time
    assert len(runs) == 2


def test_audit_puts_the_scores_of_two_procedures_side_by_side(learned: Path) -> None:
    with as_found():
        audit = runpy.run_path(str(ROOT / "benchmarks" / "audit.py"))
    metrics = json.loads((min((learned / "experiments_convnext").glob("strong-*")) / "metrics.json").read_text())
    row: dict[str, Any] = {"gate": "pass", "failed": ["clock"], "skill": "inconclusive"}
    row |= {task: audit["headline"](metrics, task) for task in ("magnitude", "azimuth", "detection")}
    text = "\n".join(audit["naive_lines"]({"naive": row, "ours": row}))
    accuracy = metrics["detection"]["accuracy"]
    assert accuracy["low"] is None  # fewer than ten clusters
    ours = f"{accuracy['value']:.3f} (no interval)"
    assert f"detection accuracy: {ours}   |   {ours}" in text
    assert "audit of ours: integrity checks pass, failed: clock; inconclusive" in text


def test_commands_of_the_page_exist() -> None:
    page = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8").replace("\\\n", " ")
    commands = re.findall(r"(?:python|pytest) ((?:benchmarks|tests)/\S+\.py)([^\n`]*)", page)
    assert len(commands) >= 14
    options = set(re.findall(r'"(--[a-z-]+)"', "".join(path.read_text(encoding="utf-8") for path in FILES)))
    for script, rest in commands:
        assert (ROOT / script).is_file(), script
        assert set(re.findall(r"(?<!\S)--[a-z-]+", rest)) <= options, script + rest


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_benchmarks_use_public_names_and_no_test(path: Path) -> None:
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    modules = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    modules += [node.module or "." for node in nodes if isinstance(node, ast.ImportFrom)]
    names = [alias.name for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names]
    names += [node.attr for node in nodes if isinstance(node, ast.Attribute)]
    names += [part for module in modules for part in module.split(".")]
    assert [name for name in names if name.startswith("_") and not name.startswith("__")] == []
    of_tests = {entry.stem for entry in (ROOT / "tests").iterdir()} - {file.stem for file in FILES} | {"tests"}
    assert of_tests.isdisjoint(module.split(".")[0] for module in modules)
