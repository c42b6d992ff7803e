"""The report of a study: counts by hand, limits in words, the figure."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread
from scipy import stats

from seismag.recovery.figure import draw_recovery
from seismag.recovery.result import count_alarms, format_recovery, summarise_recovery

GRID = (1.0, 10.0, 100.0)


def study(seen=(0.1, 0.5, 1.0), hits=2, scale=1.0, windows=60):
    """Each window on a day of its own; the same fraction of them is seen at each SNR, the first ones."""
    start = np.datetime64("2021-01-01", "ms") + np.arange(windows) * np.timedelta64(1, "D")
    rows = [
        {
            "sample_id": f"w{i}", "start_utc": start[i], "magnitude": 5.0 + i % 2,
            "distance_km": (30.0, 150.0)[i // 2 % 2],
            "magnitude_class": ("Medium", "Large")[i % 2], "snr_at_m5_100km": snr, "snr": snr * scale,
            "p_event_without": 0.1, "p_event": 0.9, "threshold": 0.5, "recovered": i < fraction * windows, "reason": "",
        }
        for i in range(windows)
        for snr, fraction in zip(GRID, seen, strict=True)
    ]  # fmt: skip
    normal = pd.DataFrame({"start_utc": start, "alarm": np.arange(windows) < 3})
    quakes = pd.DataFrame({"start_utc": start[:40], "alarm": np.arange(40) < hits})
    return pd.DataFrame(rows), normal, quakes


@pytest.fixture(scope="module", autouse=True)
def few_replicates():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("seismag.recovery.curves.REPLICATES", 60)
        yield


@pytest.fixture(scope="module")
def report():
    return summary()


def summary(quakes=None, **changed):
    """The content of recovery.json of a study."""
    injections, normal, earthquakes = study(**changed)
    result = summarise_recovery(injections, normal, earthquakes.iloc[:quakes], seed=1)
    return result.to_json() | {"sentence": result.sentence, "windows": 60, "warnings": []}


def test_efficiencies_are_fractions_of_the_injected_windows(report):
    assert [(row["snr"], row["hits"], row["n"]) for row in report["efficiency"]] == [
        (1.0, 6, 60), (10.0, 30, 60), (100.0, 60, 60),
    ]  # fmt: skip
    assert report["false_alarms"]["value"] == 0.05
    assert report["false_alarms_of_twins"]["hits"] == 0


def test_the_tables_by_magnitude_and_distance_add_up_to_the_whole(report):
    for name in ("by_magnitude", "by_distance", "by_magnitude_and_distance"):
        for snr, whole in zip(GRID, report["efficiency"], strict=True):
            rows = [row for row in report[name] if row["snr_at_m5_100km"] == snr]
            assert sum(row["hits"] for row in rows) == whole["hits"]
            assert sum(row["n"] for row in rows) == whole["n"]
    assert [row["magnitude_class"] for row in report["by_magnitude"][:2]] == ["Medium", "Large"]
    assert [row["distance"] for row in report["by_distance"][:2]] == ["0-50 km", "100-200 km"]


def test_the_curve_passes_half_where_half_is_seen(report):
    half = report["curve"]["snr_50"]
    assert half["value"] == pytest.approx(10, rel=0.3)
    assert half["low"] < half["value"] < half["high"]


def test_the_sentence_gives_strength_alarms_and_limit(report):
    limit = report["upper_limits"][-1]
    assert limit["snr"] == 100
    assert f"at most {100 * limit['value']:.0f} % of the earthquakes" in report["sentence"].lower()
    assert "2 of 40 earthquakes have an alarm before them, 2.0 expected" in report["sentence"]
    assert "no more than chance" in report["sentence"]
    assert "e+" not in report["sentence"]
    text = format_recovery(report)
    assert text.replace("\n", " ").endswith(report["sentence"])
    assert max(map(len, text.splitlines())) <= 80


def test_a_lucky_lack_of_alarms_shows_beside_the_expected_limit(report):
    lucky = summary(hits=0)
    limit, usual = lucky["upper_limits"][-1], report["upper_limits"][-1]
    assert limit["expected"] == usual["expected"] == usual["value"]  # 2 of 40 are the median at 5 %
    assert limit["value"] < limit["expected"]


def test_more_alarms_than_chance_are_no_null_result():
    report = summary(hits=30)
    assert "more than chance, not a null result" in report["sentence"]


def test_thresholds_of_few_windows_make_more_alarms_likely_by_chance():
    normal, quakes = study()[1:]
    p_values = [count_alarms(normal.iloc[:n], quakes.iloc[:40].assign(alarm=np.arange(40) < 5))[1].p_value
                for n in (20, 60)]  # fmt: skip
    assert p_values[0] > p_values[1] > stats.binom.sf(4, 40, 0.05)


def test_several_models_have_thresholds_of_their_own():
    _, normal, quakes = study(hits=6)
    one = count_alarms(normal, quakes)[1]
    runs = [table.assign(run_id=np.arange(len(table)) % 2) for table in (normal, quakes)]
    assert count_alarms(*runs)[1].p_value != one.p_value


def test_a_model_that_detects_nothing_gives_no_limit():
    report = summary(seen=(0.05, 0.05, 0.05))
    assert [row["value"] for row in report["upper_limits"]] == [None, None, None]
    assert report["curve"]["snr_50"]["value"] is None
    assert "50 % efficiency is not reached up to SNR 100" in report["sentence"]
    assert "No limit at SNR 100" in report["sentence"]


def test_without_unseen_earthquakes_there_is_no_limit():
    report = summary(quakes=0)
    assert report["earthquakes"] == {"hits": 0, "n": 0, "rate": None, "p_value": None}
    assert "contains no earthquake that the model has not seen" in report["sentence"]


def test_efficiency_refers_to_the_snr_of_each_earthquake():
    report = summary(scale=10.0)
    assert [row["snr"] for row in report["efficiency"]] == [10.0, 100.0]  # 1000 is beyond the grid
    assert [row["hits"] for row in report["efficiency"]] == [6, 30]
    assert report["by_magnitude"][0]["snr_at_m5_100km"] == 1.0


def test_the_figure_is_drawn_with_and_without_a_limit(report, tmp_path):
    blind = summary(seen=(0.0, 0.0, 0.0))
    for name, content in (("seen", report), ("blind", blind)):
        draw_recovery(content, tmp_path / f"{name}.png")
        picture = imread(tmp_path / f"{name}.png")
        assert picture.std() > 0.05
