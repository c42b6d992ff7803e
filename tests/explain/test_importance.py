"""Losses of scores, by hand and in limiting cases."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from seismag.config import EvaluateConfig
from seismag.explain.importance import measure_importance, skill_of_study

SPEC = EvaluateConfig(bootstrap=300, confidence=0.95, seed=1)
N = 96


@pytest.fixture
def rows() -> pd.DataFrame:
    event = np.arange(N) % 2 == 0
    return pd.DataFrame(
        {
            "y_magnitude": np.where(event, "Large", "Normal"),
            "y_azimuth": np.where(event, "N", "Normal"),
            "split_group": [f"{'e' if i % 2 == 0 else 'n'}{i // 4}" for i in range(N)],
        }
    )


def probabilities(rows: pd.DataFrame, right: float) -> dict[str, np.ndarray]:
    """``right`` for the true class, the rest shared alike."""
    result = {}
    for task, k, place in (("magnitude", 4, {"Normal": 0, "Large": 3}), ("azimuth", 9, {"Normal": 0, "N": 1})):
        probs = np.full((len(rows), k), (1 - right) / (k - 1))
        probs[np.arange(len(rows)), rows[f"y_{task}"].map(place)] = right
        result[task] = probs
    return result


def test_losses_by_hand(rows: pd.DataFrame) -> None:
    plain, after = probabilities(rows, 0.8), probabilities(rows, 0.1)  # after: a wrong class leads (0.3)
    changed, same = measure_importance(rows, plain, [after, plain], SPEC)
    loss = changed["magnitude"]["log_score"]
    assert loss["value"] == pytest.approx(np.log(0.8 / 0.1))
    assert (loss["low"], loss["high"]) == (None, None)  # every window loses the same, so nothing varies
    assert changed["magnitude"]["balanced_accuracy"]["value"] == pytest.approx(1.0)
    # detection: an event window says 0.3 for Normal after, so Event stays right; Normal windows say 0.1, so all wrong
    assert changed["detection"]["balanced_accuracy"]["value"] == pytest.approx(0.5)
    for task in ("magnitude", "azimuth", "detection"):
        reach = 1 - 0.025 ** (4 / N)  # in none of the groups a difference
        assert list(same[task]["balanced_accuracy"].values()) == pytest.approx([0.0, -reach, reach])
        assert list(same[task]["log_score"].values()) == [pytest.approx(0.0, abs=1e-12), None, None]


def test_an_interval_is_wider_where_windows_share_a_cluster(rows: pd.DataFrame) -> None:
    plain = probabilities(rows, 0.8)
    better = probabilities(rows, 0.2)
    lost = np.arange(N) // 4 % 2 == 0  # whole clusters lose
    part = {task: np.where(lost[:, None], better[task], plain[task]) for task in plain}
    (by_cluster,) = measure_importance(rows, plain, [part], SPEC)
    (by_window,) = measure_importance(rows.assign(split_group=[str(i) for i in range(N)]), plain, [part], SPEC)

    def width(entry: dict) -> float:
        return entry["magnitude"]["log_score"]["high"] - entry["magnitude"]["log_score"]["low"]

    assert width(by_cluster) > 1.2 * width(by_window)


def test_skill_is_shown_only_above_a_constant_prediction(rows: pd.DataFrame) -> None:
    found = skill_of_study(rows, probabilities(rows, 0.8), SPEC)
    assert found["detection"]["shown"]
    assert found["detection"]["chance"] == 0.5
    constant = {"magnitude": np.tile([0.7, 0.1, 0.1, 0.1], (N, 1)), "azimuth": np.tile([0.2] + [0.1] * 8, (N, 1))}
    blind = skill_of_study(rows, constant, SPEC)
    assert blind["magnitude"]["value"] == pytest.approx(0.5)
    assert not any(entry["shown"] for entry in blind.values())
