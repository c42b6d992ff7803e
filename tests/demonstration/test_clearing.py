"""``seismag demo`` replaces what a demonstration made, and nothing else; the studies themselves are stubbed here."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import zarr

from fixtures.plain_store import plain_attributes, plain_samples
from seismag.config import Config, DataConfig, build_config
from seismag.demonstration import compute as demo
from seismag.domain import UsageError
from seismag.folder_lock import LOCK_NAME
from seismag.windows.store import SAMPLES_FILE, create_arrays, finish_store

SPEC = DataConfig(n_bins=8)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def config() -> Config:
    return build_config({"data": {"store": "data/test"}})


class ReachedError(Exception):
    """The demonstration came as far as the studies: it has removed what it replaces."""


def begin(config, monkeypatch):
    def study(*_args):
        raise ReachedError

    monkeypatch.setattr(demo, "run_side_by_side", study)
    demo.run_demo(config, 1, lambda _: None)


def make_store(n: int, of_samples: str, place: str = "data/test", **attributes: str) -> Path:
    path = Path(place)
    ids = [f"ALR-{i}" for i in range(n)]
    create_arrays(path, ids, SPEC)
    if n:
        zarr.open_group(path, mode="r+")["power"][:] = 0
    samples = pd.DataFrame({"sample_id": ids, "origin": [of_samples] * n})
    days = pd.DataFrame({"verdict": []})
    finish_store(path, plain_samples(samples), pd.DataFrame({"reason": []}), days, plain_attributes(SPEC, **attributes))
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


@pytest.mark.parametrize("archive", [demo.ARCHIVE, demo.NULL_ARCHIVE])  # the one that an interrupted one began with
def test_what_a_demonstration_left_is_replaced(archive, config, monkeypatch):
    store = make_store(2, "simulated", origin="simulated")
    archive.mkdir(parents=True)
    (archive / "simulation.json").write_text("{}")
    with pytest.raises(ReachedError):
        begin(config, monkeypatch)
    assert not store.exists()
    assert not demo.RESULTS.exists()


def test_a_store_of_real_data_beside_the_store_is_not_removed(config, monkeypatch):
    make_store(2, "observed", "data/test_null")
    refuse(config, monkeypatch, r"data/test_null: holds real data; the demonstration will not replace it")


def test_the_store_without_the_signal_is_replaced(config, monkeypatch):
    store = make_store(2, "simulated", "data/test_null", origin="simulated")
    with pytest.raises(ReachedError):
        begin(config, monkeypatch)
    assert not store.exists()


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


def test_what_a_demonstration_left_that_was_killed_as_it_began_is_replaced(config, monkeypatch):
    for folder in (demo.ARCHIVE, Path("data/test/.work/0123"), Path("data/.test.removed")):
        folder.mkdir(parents=True)
        (folder / LOCK_NAME).touch()
    with pytest.raises(ReachedError):
        begin(config, monkeypatch)
    assert not demo.ARCHIVE.exists()
    assert list(Path("data").iterdir()) == []


def test_a_removal_that_is_killed_leaves_no_part_that_nobody_knows(config, monkeypatch):
    store = make_store(2, "simulated", origin="simulated")
    with monkeypatch.context() as patched:
        patched.setattr(demo.shutil, "rmtree", stop)
        with pytest.raises(KeyboardInterrupt):
            begin(config, monkeypatch)
    assert not store.exists()
    with pytest.raises(ReachedError):
        begin(config, monkeypatch)
    assert not store.with_name(".test.removed").exists()


def stop(path, **_):
    if path.exists():
        raise KeyboardInterrupt


def test_only_the_splits_of_its_own_name_are_removed(config, monkeypatch):
    Path("splits").mkdir()
    names = [f"{config.split.name}{end}.json" for end in ("", "_null", "_null_earlier")]
    for name in (*names, "mine.json"):
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
