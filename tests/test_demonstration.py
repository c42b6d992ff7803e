"""``seismag demo`` replaces what a demonstration made, and nothing else; the line itself is stubbed here."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import zarr

from seismag import demonstration as demo
from seismag.audit.result import Audit, close_checks
from seismag.config import Config, DataConfig, build_config
from seismag.domain import UsageError
from seismag.estimate import CheckResult
from seismag.runs import Run
from seismag.windows.store import SAMPLES_FILE, create_arrays, finish_store

SPEC = DataConfig(n_bins=8)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def config() -> Config:
    return build_config({"data": {"store": "data/test"}})


class ReachedError(Exception):
    """The demonstration came as far as simulating: it has removed what it replaces."""


def begin(config, monkeypatch):
    def simulate(*_args):
        raise ReachedError

    monkeypatch.setattr(demo, "simulate_archive", simulate)
    demo.run_demo(config, 1, lambda *_: None, lambda _: None)


def make_store(n: int, of_samples: str, **attributes: str) -> Path:
    path = Path("data/test")
    ids = [f"ALR-{i}" for i in range(n)]
    create_arrays(path, ids, SPEC)
    if n:
        zarr.open_group(path, mode="r+")["power"][:] = 0
    samples = pd.DataFrame({"sample_id": ids, "origin": [of_samples] * n})
    days = pd.DataFrame({"verdict": []})
    finish_store(path, samples, pd.DataFrame({"reason": []}), days, {"dataset_id": "x", **attributes})
    return path


def snapshot() -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}


def refuse(config, monkeypatch, match):
    before = snapshot()
    with pytest.raises(UsageError, match=match):
        begin(config, monkeypatch)
    assert snapshot() == before


def test_an_empty_place_is_begun_in(config, monkeypatch):
    with pytest.raises(ReachedError):
        begin(config, monkeypatch)


def test_what_a_demonstration_left_is_replaced(config, monkeypatch):
    store = make_store(2, "simulated", origin="simulated")
    demo.ARCHIVE.mkdir(parents=True)
    (demo.ARCHIVE / "simulation.json").write_text("{}")
    with pytest.raises(ReachedError):
        begin(config, monkeypatch)
    assert not store.exists()
    assert not demo.RESULTS.exists()


def test_the_audit_of_a_demonstration_is_a_headline_a_conclusion_and_the_path_of_the_report(config, monkeypatch):
    skill = CheckResult("skill_above_no_signal", "inconclusive (six event clusters).", verdict="inconclusive")
    tests = close_checks([skill, CheckResult("clock", "Fine.", p_value=0.4, blocking=True)], 0.01)
    audit = Audit({"kind": "predictions", "path": "p", "rows": 9}, tests, 0.01)
    asked = []
    monkeypatch.setattr(demo, "audit_predictions", lambda *given: asked.append(given) or audit)
    monkeypatch.setattr(demo, "write_audit_page", lambda _audit, out: out / "audit.html")
    run = Run(Path("runs/demo_1"))
    lines = demo._audit(run, Path("data/test"), config).splitlines()
    assert asked == [(run.predictions, Path("data/test"), None, config)]
    assert lines[0].startswith("Integrity checks passed: none of 1 blocking checks failed")
    assert "inconclusive (six event clusters)" in lines[1]
    assert lines[2].split() == ["page", "demo/audit/audit.html"]
    assert json.loads((demo.AUDIT / "audit.json").read_text())["gate"] == "pass"


def test_a_foreign_folder_named_demo_is_not_removed(config, monkeypatch):
    demo.RESULTS.mkdir()
    (demo.RESULTS / "slides.pdf").write_bytes(b"mine")
    refuse(config, monkeypatch, r"demo: exists and is not from a demonstration\. Move it")


def test_a_foreign_folder_at_the_place_of_the_store_is_not_removed(config, monkeypatch):
    Path("data/test").mkdir(parents=True)
    Path("data/test/thesis.tex").write_text("mine")
    refuse(config, monkeypatch, r"data/test: exists and is not a store; .* choose another data\.store")


@pytest.mark.parametrize("attributes", [{}, {"origin": "observed"}])
def test_a_store_of_real_data_is_not_removed(attributes, config, monkeypatch):
    make_store(2, "observed", **attributes)
    refuse(config, monkeypatch, "holds real data")


def test_a_store_without_samples_is_judged_by_what_it_was_made_from(config, monkeypatch):
    store = make_store(0, "", origin="simulated")
    with pytest.raises(ReachedError):
        begin(config, monkeypatch)
    assert not store.exists()
    make_store(0, "", origin="observed")
    refuse(config, monkeypatch, "holds real data")


def test_a_store_without_samples_or_origin_is_not_called_real(config, monkeypatch):
    make_store(0, "")
    refuse(config, monkeypatch, "contains no sample that states whether its data are real")


def test_unfinished_work_is_removed_only_when_it_is_simulated(config, monkeypatch):
    work = Path("data/test/.work/0123")
    work.mkdir(parents=True)
    (work / "part.parquet").write_bytes(b"hours of work")
    refuse(config, monkeypatch, "holds unfinished work that is not from simulated data")
    (work / "simulation.json").touch()
    with pytest.raises(ReachedError):
        begin(config, monkeypatch)
    assert not Path("data/test").exists()


def test_only_the_splits_of_its_own_name_are_removed(config, monkeypatch):
    Path("splits").mkdir()
    for name in (f"{config.split.name}.json", "mine.json"):
        (Path("splits") / name).write_text(json.dumps({}))
    with pytest.raises(ReachedError):
        begin(config, monkeypatch)
    assert [path.name for path in Path("splits").iterdir()] == ["mine.json"]


def test_a_file_that_only_bears_the_name_of_a_table_is_no_store(config, monkeypatch):
    Path("data/test").mkdir(parents=True)
    (Path("data/test") / SAMPLES_FILE).write_bytes(b"mine")
    before = snapshot()
    with pytest.raises(Exception, match="not a store"):
        begin(config, monkeypatch)
    assert snapshot() == before
