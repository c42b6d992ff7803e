"""The screen of the demonstration, and its JSON document."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from seismag.config import build_config
from seismag.demonstration.compute import Demonstration, null_config, places
from seismag.demonstration.studies import Direction, EarlierStudy, StudyPlace, StudyResult
from seismag.demonstration.text import describe_demo
from seismag.estimate import Estimate

INJECTED = StudyResult(
    place=StudyPlace(Path("demo/archive"), Path("data/test"), Path("demo/injected")),
    conclusion="skill",
    skill=Estimate(0.43, 0.31, 0.55, 300),
    baseline="catalogue_rate",
    p_value=0.001,
    direction=Direction(12.4, 8.2, 16.1),
    n_events=30,
    n_controls=18,
    n_files=245,
    samples=496,
    dataset_id="abc",
    failed_checks=(),
    metrics={"n": 300},
)
NULL = replace(
    INJECTED, conclusion="no_skill", skill=Estimate(-0.04, -0.14, 0.06, 300), p_value=0.8,
    direction=Direction(95.0, 70.0, 120.0),
)  # fmt: skip
EARLIER = EarlierStudy(0.972, 360, ("shared_events", "overlapping_seconds", "duplicates"))


def test_the_screen_has_three_results_with_their_numbers() -> None:
    lines = describe_demo(INJECTED, NULL, EARLIER)
    text = "\n".join(lines)
    assert max(map(len, lines)) <= 80
    assert len(lines) + 10 + 3 <= 25  # with the lines of progress, the announcement and the last two
    assert "SKILL FOUND" in text
    assert "skill +0.43 (95 % interval +0.31 to +0.55), p 0.001, 30 event clusters" in text
    assert "direction recovered: mean error 12 degrees (8 to 16), by chance 90" in text
    assert "NO SKILL CLAIMED" in text
    assert "upper limit: a skill larger than +0.06 is excluded" in text
    assert "97 % ACCURACY CLAIMED" in text
    assert "but 3 integrity checks fail:" in text
    assert "shared_events, overlapping_seconds, duplicates" in text


def test_a_direction_at_chance_and_an_undefined_one_are_not_recovered() -> None:
    assert not NULL.direction.is_recovered
    undefined = replace(INJECTED, direction=Direction(None, None, None), skill=Estimate(0.4, None, None, 3),
                        conclusion="inconclusive", p_value=None)  # fmt: skip
    text = "\n".join(describe_demo(undefined, NULL, EARLIER))
    assert "direction: inconclusive" in text
    assert "INCONCLUSIVE" in text
    assert "(95 % interval - to -), p -," in text


def test_the_document_has_the_keys_that_others_rely_on() -> None:
    document = Demonstration(INJECTED, NULL, EARLIER, None, 101.26).to_json()
    injected, null = document["injected"], document["null"]
    assert injected["conclusion"] == "skill"
    assert injected["skill"] == {"value": 0.43, "low": 0.31, "high": 0.55}
    assert injected["p_value"] == 0.001
    assert injected["direction"] == {
        "mean_error_deg": 12.4, "low": 8.2, "high": 16.1, "chance_deg": 90.0, "recovered": True,
    }  # fmt: skip
    assert (null["conclusion"], null["upper_limit"]) == ("no_skill", 0.06)
    assert document["earlier_procedure"] == {
        "accuracy": 0.972, "n_test": 360, "failed_checks": ["shared_events", "overlapping_seconds", "duplicates"],
    }  # fmt: skip
    assert document["seconds"] == 101.3
    assert document["files"]["store"] == "data/test"


def test_the_two_configurations_differ_by_the_emission_and_by_names_alone() -> None:
    config = build_config({"simulate": {"emission": {"snr": 30.0}}, "split": {"name": "demo"}})
    null = null_config(config)
    assert null.simulate.emission.snr == 0
    assert null.split.name == "demo_null"
    restored = null.model_copy(update={"split": config.split, "train": config.train, "simulate": config.simulate})
    assert restored == config
    same = null.simulate.model_copy(update={"emission": config.simulate.emission})
    assert same == config.simulate
    injected_place, null_place = places(config)
    assert not set(vars(injected_place).values()) & set(vars(null_place).values())
