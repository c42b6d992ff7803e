"""The estimate of a preparation, and the warning about too few independent groups, both before it."""

from __future__ import annotations

import logging
from pathlib import Path

import pandas as pd
import pytest

from fixtures.archive_files import small_simulation
from seismag.archive.survey import list_files
from seismag.config import DataConfig
from seismag.windows.budget import (
    PreparationBudget,
    describe_preparation,
    estimate_preparation,
    independent_groups,
    log_plan,
    shortage,
    window_bytes,
)
from seismag.windows.inputs import Inputs, read_inputs
from seismag.windows.prepare import prepare_store
from seismag.windows.store import open_store

SPEC = DataConfig(
    step_s=600, frequency_rows="log", n_log_rows=48, cross_spectra=True, controls="all", range_rule="fixed"
)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    archive = small_simulation(tmp_path_factory.mktemp("archive") / "sim", days=2)
    tables = [archive / name for name in ("stations.csv", "catalogue.csv", "kp.csv", "dst.csv")]
    return read_inputs(archive, tables[0], [tables[1]], tables[2], tables[3])


def test_estimate_grows_with_files_and_is_shared_by_workers(inputs: Inputs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seismag.windows.budget.os.cpu_count", lambda: 2)
    clock = iter(range(1000))  # each reading of the clock is a second later: a file takes 1/3 s, a day of noise 1 s
    monkeypatch.setattr("seismag.windows.budget.time.monotonic", lambda: float(next(clock)))
    files = list_files(inputs.archive)
    assert len(files) == 4
    one, two, many = (estimate_preparation(files, inputs, SPEC, workers) for workers in (1, 2, 8))
    assert one.files == 4
    assert one.seconds == pytest.approx(4 * (2 / 3 + 2.5))
    assert two.seconds == many.seconds == pytest.approx(one.seconds / 2)
    assert two.memory_bytes == 3 * one.memory_bytes  # and this process


def test_size_of_a_window_is_that_of_the_store(
    inputs: Inputs, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="seismag"):
        prepared = prepare_store(inputs, tmp_path / "store", SPEC)
    store = open_store(prepared.store)
    assert store.cross is not None
    assert len(store.samples) * window_bytes(SPEC) == store.power.nbytes + store.cross.nbytes
    said = [record.getMessage() for record in caplog.records]
    assert said[0].startswith("estimate: 4 files, 1 at a time: at most 1 minute, ")
    days = len(store.samples.groupby(["station", store.samples["start_utc"].dt.date]))
    assert any(sentence.startswith(f"{prepared.n_samples} windows of {days} station-days, ") for sentence in said)
    few = shortage(*independent_groups(store.samples))
    assert few is not None
    assert few in said  # before the spectrograms
    assert few in prepared.warnings


def test_too_few_groups_of_either_kind_are_named(caplog: pytest.LogCaptureFixture) -> None:
    groups = [*(f"event:{i}" for i in range(12)), *(f"normal:{i}" for i in range(9))]
    plan = pd.DataFrame({"split_group": groups * 2, "station": "GTO", "day": [*range(21)] * 2})
    plan["magnitude_class"] = ["Medium" if group.startswith("event") else "Normal" for group in plan["split_group"]]
    assert independent_groups(plan) == (12, 9)
    log_plan(plan, SPEC)
    assert "12 event clusters and 9 control blocks are independent" in caplog.text
    assert independent_groups(plan[plan["magnitude_class"] == "Medium"]) == (12, 0)
    assert shortage(10, 10) is None


def test_estimate_is_one_line() -> None:
    sentence = describe_preparation(PreparationBudget(73_000, 9000.0, 2.1e9, 0.8e9), 2)
    assert sentence == (
        "estimate: 73000 files, 2 at a time: at most 2.5 hours, 2.1 GB of disk and 800 MB of memory on this machine"
    )
