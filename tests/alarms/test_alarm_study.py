"""`seismag alarms` from files to files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from fixtures.commands import run_seismag
from seismag.alarms.study import evaluate_alarms
from seismag.config import EvaluateConfig
from seismag.domain import DataError

MakeTable = Callable[..., pd.DataFrame]
CONFIG = EvaluateConfig.model_validate({"bootstrap": 100})


def test_the_command_prints_one_document_and_writes_its_files(tmp_path: Path, make_table: MakeTable) -> None:
    make_table().to_parquet(tmp_path / "predictions.parquet")
    done = run_seismag(
        "alarms", "--predictions", tmp_path / "predictions.parquet", "--out", tmp_path / "out",
        "--set", "evaluate.bootstrap=100", "--json",
    )  # fmt: skip
    printed = json.loads(done.stdout)
    assert printed == json.loads((tmp_path / "out" / "alarms.json").read_text())
    assert next(iter(printed)) == "power"
    assert (tmp_path / "out" / "molchan.png").stat().st_size > 10_000


def test_a_table_without_earthquakes_is_refused_by_name(tmp_path: Path, make_table: MakeTable) -> None:
    make_table(n_events=0).to_parquet(tmp_path / "quiet.parquet")
    with pytest.raises(DataError, match=r"quiet\.parquet: No window with an earthquake is evaluated"):
        evaluate_alarms(tmp_path / "quiet.parquet", None, CONFIG, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_output_folder_that_cannot_be_made_is_named(tmp_path: Path, make_table: MakeTable) -> None:
    make_table().to_parquet(tmp_path / "predictions.parquet")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="Choose another --out"):
        evaluate_alarms(tmp_path / "predictions.parquet", None, CONFIG, tmp_path / "file" / "out")
