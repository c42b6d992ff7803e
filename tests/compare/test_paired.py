"""Paired differences between models on the same windows: by hand, in the limits, and where nothing differs."""

import numpy as np
import pandas as pd
import pytest

from fixtures.prediction_table import build_table
from seismag.compare.paired import (
    BEST_BASELINE,
    COMPARED,
    PairedComparison,
    PairedDifference,
    align_tables,
    compare_tables,
)
from seismag.config import EvaluateConfig
from seismag.domain import DataError
from seismag.scoring.forecasts import BaselineData

pytestmark = pytest.mark.usefixtures("counting_rules_only")
NOTHING = BaselineData()


def another_model(table: pd.DataFrame, hit: float = 0.4, seed: int = 1) -> pd.DataFrame:
    """The same windows, other probabilities."""
    drawn = build_table(hit=hit, seed=seed)
    probabilities = [column for column in table if column.startswith("p_")]
    return table.assign(run_id="run_b", **{column: drawn[column].to_numpy() for column in probabilities})


def differences(comparison: PairedComparison, name: str) -> list[PairedDifference]:
    found = comparison.forecasts[name].difference
    assert found is not None
    return [entry for task in found.values() for entry in task.values()]


def test_model_against_itself_differs_by_nothing() -> None:
    table = build_table(n_events=80, n_blocks=12)
    document = compare_tables({"a": table, "b": table.assign(run_id="run_b")}, NOTHING)
    found = differences(document, "b")
    assert len(found) == sum(map(len, COMPARED.values()))
    assert document.n_comparisons["models"] == 7  # not of log score and Brier score, which have no limits
    assert {(entry.value, entry.p_value) for entry in found} == {(0.0, 1.0), (0.0, None)}
    assert all(entry.low is None or entry.low == -entry.high < 0 for entry in found)


def test_better_model_is_found_and_the_reference_has_no_difference() -> None:
    table = build_table(hit=0.1)
    document = compare_tables({"a": table, "b": another_model(table, hit=0.7)}, NOTHING)
    assert document.facts["reference"] == "a"
    assert document.forecasts["a"].difference is None
    found = document.forecasts["b"].difference
    assert found is not None
    assert all((found[task]["log_score"].low or 0) > 0 for task in COMPARED)
    assert all((found[task]["log_score"].p_adjusted or 0) < 0.01 for task in COMPARED)
    assert (found["detection"]["brier"].value or 0) > 0  # a smaller Brier score is better


def test_difference_is_that_of_the_scores_and_changes_sign_with_the_reference() -> None:
    table = build_table()
    other = another_model(table)
    one = compare_tables({"a": table, "b": other}, NOTHING).forecasts
    two = compare_tables({"b": other, "a": table}, NOTHING).forecasts
    for task, scores in COMPARED.items():
        for score in scores:
            values = [one[name].scores[task][score].value for name in ("b", "a")]
            sign = -1 if score == "brier" else 1
            forward, back = one["b"].difference[task][score], two["a"].difference[task][score]
            assert forward.value == pytest.approx(sign * (values[0] - values[1]), abs=1e-12)
            if forward.low is None:
                assert (score, back.low, forward.p_value) == ("balanced_accuracy", None, None)
                continue
            assert (forward.low, forward.high) == pytest.approx((-back.high, -back.low), abs=1e-12)
            assert forward.p_value == pytest.approx(back.p_value)


def test_pairing_makes_the_interval_narrower_than_the_scores_apart() -> None:
    table = build_table(n_events=24)
    drawn = build_table(n_events=24, seed=1)
    probabilities = [column for column in table if column.startswith("p_")]
    near = table.assign(**{column: 0.9 * table[column] + 0.1 * drawn[column] for column in probabilities})
    entry = compare_tables({"a": table, "b": near}, NOTHING).forecasts["b"]
    own, difference = entry.scores["magnitude"]["log_score"], entry.difference["magnitude"]["log_score"]
    assert difference.high - difference.low < 0.5 * (own.high - own.low)


def test_best_non_magnetic_baseline_is_named_in_each_score() -> None:
    table = build_table()
    document = compare_tables({"a": table, "b": another_model(table)}, NOTHING)
    rule = document.forecasts[BEST_BASELINE]
    assert rule.group == "no_signal"
    for task, scores in COMPARED.items():
        assert set(rule.scores[task]) == set(scores)
        assert all(rule.scores[task][score].baseline for score in scores)
    assert document.n_comparisons["rules"] == sum(map(len, COMPARED.values())) - 2  # classes of events are rare


def test_classical_forecast_stands_beside_the_models_with_the_tasks_it_has() -> None:
    table = build_table()
    columns = [f"p_detection_{name}" for name in ("Normal", "Event")]
    even = pd.DataFrame(0.5, index=pd.Index(table["sample_id"], name="sample_id"), columns=columns)
    training = BaselineData(extra={"polarisation_ratio": even})
    entry = compare_tables({"a": table, "b": another_model(table)}, training).forecasts["polarisation_ratio"]
    assert entry.group == "classical"
    assert set(entry.scores) == {"detection"}
    assert entry.scores["detection"]["log_score"].value == pytest.approx(np.log(0.5))
    assert entry.scores["detection"]["auc_within_station"].value == 0.5


def test_mainshocks_are_the_primary_choice_where_they_are_known() -> None:
    table = build_table()
    after = table["event_id"].isin(["event_0", "event_1"])
    known = table.assign(is_mainshock=~after & table["event_id"].notna(), is_aftershock=after)
    document = compare_tables({"a": known, "b": another_model(known)}, NOTHING).facts
    assert (document["events"], document["n"], document["n_event_groups"]) == ("mainshocks", len(table) - 8, 10)
    every = compare_tables({"a": known, "b": another_model(known)}, NOTHING, EvaluateConfig(events="all")).facts  # type: ignore[call-arg]
    assert (every["events"], every["n"]) == ("all", len(table))


def test_order_of_the_rows_does_not_matter(rng: np.random.Generator) -> None:
    table = build_table()
    other = another_model(table)
    shuffled = other.iloc[rng.permutation(len(other))]
    pair = [compare_tables({"a": table, "b": entry}, NOTHING).forecasts["b"] for entry in (other, shuffled)]
    assert pair[0] == pair[1]


def test_other_windows_are_refused_by_name() -> None:
    table = build_table()
    with pytest.raises(
        DataError, match=r"a and b were not evaluated on the same windows: b lacks 3 .* s0000 in fold 1"
    ):
        align_tables({"a": table, "b": table.iloc[3:]})
    with pytest.raises(DataError, match=r"a lacks 3 of them"):
        align_tables({"a": table.iloc[3:], "b": table})
    with pytest.raises(DataError, match=r"train both with the same section split"):
        align_tables({"a": table, "b": table.assign(fold=2)})


def test_other_labels_are_refused() -> None:
    table = build_table()
    other = table.copy()
    other.loc[other.index[-1], "y_magnitude"] = "Large"
    with pytest.raises(DataError, match="a and b: y_magnitude of 1 windows differs, for example of s0095"):
        align_tables({"a": table, "b": other})


@pytest.mark.parametrize(("n_events", "n_blocks"), [(1, 3), (9, 40), (40, 9)])
def test_few_groups_leave_no_interval_and_no_p(n_events: int, n_blocks: int) -> None:
    table = build_table(n_events=n_events, n_blocks=n_blocks)
    probabilities = [column for column in table if column.startswith("p_")]
    other = table.assign(**{column: table[column].to_numpy()[::-1] for column in probabilities})
    document = compare_tables({"a": table, "b": other}, NOTHING)
    assert all(d.p_value is None and d.low is None for d in differences(document, "b"))
    assert all(s.low is None for scores in document.forecasts["b"].scores.values() for s in scores.values())
    assert document.n_comparisons == {"models": 0, "rules": 0}
    reason = f"inconclusive ({n_events} event clusters, {n_blocks} control blocks; at least 10 of each are needed)"
    assert f"No interval can be given: {reason}." in document.warnings


def test_classes_left_out_of_a_difference_are_named() -> None:
    """The scores are over four classes, their differences over the two that are frequent enough."""
    table = build_table(n_events=40, n_blocks=40)
    rare = {"cluster_2": "Medium", "cluster_5": "Large"}
    label = table["split_group"].map(rare).fillna("Moderate")
    table = table.assign(y_magnitude=np.where(table["y_magnitude"] == "Normal", "Normal", label))
    drawn = build_table(n_events=40, n_blocks=40, seed=1)
    other = table.assign(**{column: drawn[column].to_numpy() for column in table if column.startswith("p_")})
    document = compare_tables({"a": table, "b": other}, NOTHING)
    found = document.forecasts["b"].to_json()["difference"]["magnitude"]
    assert found["balanced_accuracy"]["classes"] == ["Normal", "Moderate"]
    assert "classes" not in found["mcc"]
    sentence = next(text for text in document.warnings if text.startswith("magnitude"))
    assert "Medium (1), Large (1)" in sentence
    assert "differences in balanced accuracy are over Normal, Moderate" in sentence
    names = [f"p_magnitude_{name}" for name in ("Normal", "Moderate", "Medium", "Large")]

    def recall(model: pd.DataFrame) -> float:
        right = model[names].to_numpy().argmax(axis=1) == pd.Index(names).get_indexer(
            "p_magnitude_" + table["y_magnitude"]
        )
        return float(np.mean([right[table["y_magnitude"] == name].mean() for name in ("Normal", "Moderate")]))

    expected = recall(other) - recall(table)
    assert found["balanced_accuracy"]["value"] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("n_events", "n_large"), [(12, 12), (40, 1)])
def test_models_of_equal_skill_are_seldom_told_apart(
    monkeypatch: pytest.MonkeyPatch, n_events: int, n_large: int
) -> None:
    """Also where a class is in one cluster: its recall is 0 or 1 in most tables."""
    monkeypatch.setattr("seismag.compare.paired.COMPARED", {"magnitude": ("balanced_accuracy", "log_score")})
    struck, n_tables = 0, 40
    for seed in range(n_tables):
        table, drawn = (
            build_table(n_events=n_events, n_blocks=n_events, rows_each=2, seed=k) for k in (seed, 1000 + seed)
        )
        rare = table["split_group"].isin([f"cluster_{k}" for k in range(n_large)])
        label = np.where(table["y_magnitude"] == "Normal", "Normal", np.where(rare, "Large", "Medium"))
        probabilities = [column for column in table if column.startswith("p_")]
        table = table.assign(y_magnitude=label)
        other = table.assign(**{column: drawn[column].to_numpy() for column in probabilities})
        document = compare_tables({"a": table, "b": other}, NOTHING)
        found = document.forecasts["b"].difference["magnitude"].values()
        struck += any((entry.p_adjusted or 1.0) <= 0.05 for entry in found)
    assert struck <= 6  # of 40 at 5 % or less; a binomial of 5 % exceeds this with probability 0.003
