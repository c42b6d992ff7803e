"""Tables that a stranger brings to ``seismag evaluate --predictions``: a sentence, the thing named, the way out."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fixtures.prediction_table import as_validation
from seismag.cli import main
from seismag.domain import AZIMUTH_CLASSES, MAGNITUDE_CLASSES

Run = Callable[..., tuple[int, str, str]]


def build_table(n_groups: int = 24, rows_each: int = 4) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(n_groups), rows_each)
    event = group % 2 == 0
    magnitude, azimuth = np.where(event, 1 + group // 2 % 3, 0), np.where(event, 1 + group // 2 % 8, 0)
    table = pd.DataFrame(
        {
            "run_id": "theirs", "fold": 1, "role": "test", "sample_id": [f"s{i}" for i in range(len(group))],
            "split_group": [f"g{g}" for g in group], "station": "GTO",
            "start_utc": pd.date_range("2021-01-01", periods=len(group), freq="6h"),
            "event_id": [f"e{g}" if e else None for g, e in zip(group, event, strict=True)],
            "y_magnitude": np.array(MAGNITUDE_CLASSES)[magnitude], "y_azimuth": np.array(AZIMUTH_CLASSES)[azimuth],
        }
    )  # fmt: skip
    for task, classes in (("magnitude", MAGNITUDE_CLASSES), ("azimuth", AZIMUTH_CLASSES)):
        table[[f"p_{task}_{name}" for name in classes]] = rng.dirichlet(np.ones(len(classes)), len(group))
    return table


@pytest.fixture
def evaluate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Write a table, run the command line on it in this process; gives status, standard output and error."""

    def run(table: pd.DataFrame, *options: str, suffix: str = "parquet") -> tuple[int, str, str]:
        path = tmp_path / f"predictions.{suffix}"
        table.to_parquet(path) if suffix == "parquet" else table.to_csv(path, index=False)
        arguments = ["--predictions", str(path), "--set", "evaluate.bootstrap=100", *options]
        monkeypatch.setattr(sys, "argv", ["seismag", "evaluate", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return run


def no_number(table: pd.DataFrame) -> pd.DataFrame:
    table.loc[3, "p_azimuth_N"] = np.nan
    return table


def logits(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(p_magnitude_Large=table["p_magnitude_Large"] / 2)


def negative(table: pd.DataFrame) -> pd.DataFrame:
    table.loc[2, ["p_magnitude_Normal", "p_magnitude_Large"]] = [-0.2, 0.9]
    return table


def no_truth(table: pd.DataFrame) -> pd.DataFrame:
    table.loc[5, "y_magnitude"] = None
    return table


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda t: t.drop(columns=["p_azimuth_SW"]), "columns missing: p_azimuth_SW. See docs/data-formats.md"),
        (lambda t: t.rename(columns={"p_magnitude_Large": "p_magnitude_Big"}), "names an unknown class Big"),
        (logits, "not 1 within 0.001. 94 of 96 rows are off. Write softmax probabilities, not logits."),
        (negative, "p_magnitude_Normal is -0.2 in row 2, not in [0, 1]"),
        (no_number, "p_azimuth_N is not a number in row 3"),
        (no_truth, "y_magnitude is missing in row 5 (1 such rows)"),
        (lambda t: t.assign(y_azimuth="NNE"), "is the unknown class 'NNE'. Known: Normal, N, NE"),
        (
            lambda t: pd.concat([t, t.iloc[:2]]),
            "sample_id s0 occurs twice in run theirs, fold 1, role test (2 such rows)",
        ),
        (lambda t: pd.concat([t, t.assign(fold=2)]), "sample_id s0 occurs 2 times in role test"),
        (lambda t: t.iloc[:0], "the table has no rows. Nothing can be evaluated."),
        (
            lambda t: t.assign(role="train"),
            "no row is of the test or validation set (role test, val). Training rows are not evaluated",
        ),
        (lambda t: t.assign(role="holdout"), "is the unknown role 'holdout'. Known: train, val, test, sealed."),
    ],
)
@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_a_table_that_cannot_be_judged_is_refused_by_name(
    evaluate: Run, spoil: Callable[[pd.DataFrame], pd.DataFrame], message: str, suffix: str
) -> None:
    status, out, error = evaluate(spoil(build_table()), suffix=suffix)
    assert status == 1
    assert message in error
    assert "predictions" in error
    assert "Traceback" not in error
    assert out == ""


def test_one_class_only_is_judged_with_a_sentence(evaluate: Run) -> None:
    table = build_table()
    status, out, _ = evaluate(table[table["y_magnitude"] == "Normal"])
    assert status == 0
    assert "the truth is Normal in every window, so balanced accuracy (and skill in it)" in " ".join(out.split())
    assert "undefined" in out


def test_one_group_is_judged_without_interval(evaluate: Run) -> None:
    status, out, _ = evaluate(build_table().assign(split_group="all"))
    assert status == 0
    assert "No interval can be given: inconclusive (1 event clusters, 0 control blocks" in " ".join(out.split())
    (row,) = [line for line in out.splitlines() if line.startswith("station-stratified ROC AUC")]
    assert row.split()[4:6] == ["-", "-"]  # low and high


def test_a_fold_without_validation_rows_is_named_and_the_rest_is_judged(evaluate: Run) -> None:
    table = build_table()
    second = table.assign(fold=2, sample_id="t" + table["sample_id"])
    validation = as_validation(table)
    status, out, _ = evaluate(pd.concat([table, second, validation]), "--json")
    metrics = json.loads(out)
    assert status == 0
    assert metrics["folds"] == [1, 2]
    assert metrics["magnitude"]["calibration"]["reason"].startswith("No validation rows (role val) in fold 2")
    assert metrics["magnitude"]["conformal"] is None


def test_a_table_without_mainshocks_is_judged_whole_and_says_what_to_do(evaluate: Run) -> None:
    status, out, _ = evaluate(build_table())
    assert status == 0
    assert "evaluated: windows before any event" in out
    assert "`--data STORE` adds the columns" in " ".join(out.split())


def test_other_events_than_mainshocks_or_all_are_refused(evaluate: Run) -> None:
    status, _, error = evaluate(build_table(), "--set", "evaluate.events=foreshocks")
    assert status == 2
    assert "evaluate.events: input should be 'mainshocks' or 'all', not 'foreshocks'" in error
