"""The bound beside the model, and recovery by day: counts, curves and ratios of injections with known statistics."""

import json

import numpy as np
import pandas as pd
import pytest

from seismag.domain import Station
from seismag.recovery.bound import compare_snr, summarise_bound
from seismag.recovery.efficiency import Curve, fit_curve
from seismag.recovery.figure import draw_recovery
from seismag.recovery.network import (
    NoNetworkRecovery,
    days_of_several_stations,
    most_days,
    summarise_network,
)
from seismag.recovery.result import format_recovery, nearest_snr, summarise_recovery
from seismag.simulate.injected_windows import Target

GRID = (0.1, 1.0, 10.0, 100.0)
WINDOWS, CONTROLS = 80, 400


@pytest.fixture(scope="module", autouse=True)
def few_replicates():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("seismag.recovery.curves.REPLICATES", 60)
        yield


def injections_of(snr_50: dict[str, float]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Detectors and a model with logistic noise: half of the emissions of the given SNR exceed the 5 % threshold."""
    rng = np.random.default_rng(1)
    start = np.datetime64("2021-01-01", "ms") + np.arange(CONTROLS) * np.timedelta64(1, "D")
    normal = pd.DataFrame({"sample_id": [f"w{i}" for i in range(CONTROLS)], "run_id": "a", "start_utc": start})
    table = normal.iloc[:WINDOWS].merge(pd.DataFrame({"snr": GRID}), how="cross").assign(
        snr_at_m5_100km=lambda rows: rows["snr"], magnitude=5.0, distance_km=100.0, magnitude_class="Medium", reason="",
    )  # fmt: skip
    for name, middle in snr_50.items():
        noise = rng.logistic(size=CONTROLS)
        limit = np.sort(noise)[::-1][CONTROLS // 20]
        normal[name] = noise
        shift = 3.0 * np.log(table["snr"] / middle) + limit
        table[name] = np.maximum(noise[np.repeat(np.arange(WINDOWS), len(GRID))], rng.logistic(size=len(table)) + shift)
        table[f"{name}_without"] = noise[np.repeat(np.arange(WINDOWS), len(GRID))]
    threshold = np.sort(normal["model"])[::-1][CONTROLS // 20]
    normal = normal.assign(p_event=1 / (1 + np.exp(-normal["model"])), alarm=normal["model"] > threshold)
    table = table.assign(
        p_event=1 / (1 + np.exp(-table["model"])), p_event_without=1 / (1 + np.exp(-table["model_without"])),
        threshold=1 / (1 + np.exp(-threshold)), recovered=table["model"] > threshold, nearest_snr=table["snr"],
    )  # fmt: skip
    return table, normal


def curve_of(table: pd.DataFrame) -> Curve:
    return fit_curve(table["snr"].to_numpy(), table["recovered"].to_numpy(), 0.05)


def test_the_bound_is_the_detector_that_finds_the_weakest_emissions() -> None:
    table, normal = injections_of({"model": 10.0, "within_window": 5.0, "matched": 1.0})
    result = summarise_bound(table, normal, curve_of(table), 0.05, seed=1)
    assert result.bound == "matched"
    assert [entry.false_alarms.hits for entry in result.detectors.values()] == [20, 20]  # 5 % of 400
    expected = [
        (table.loc[table["snr"] == snr, "matched"] > result.detectors["matched"].threshold).sum() for snr in GRID
    ]
    assert [row["hits"] for row in result.detectors["matched"].efficiency] == expected
    half = result.ratio["snr_50"]
    assert half.value == pytest.approx(10, rel=0.35)
    assert half.low < half.value < half.high
    assert "the model needs" in half.sentence
    document = result.to_json()
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert document["detectors"]["matched"]["curve"]["snr_50"]["value"] == pytest.approx(1, rel=0.35)


def test_a_rejected_window_is_missed_by_every_detector() -> None:
    table, normal = injections_of({"model": 10.0, "within_window": 5.0, "matched": 1.0})
    result = summarise_bound(table.assign(reason="spikes"), normal, curve_of(table), 0.05, seed=1)
    assert [row["hits"] for row in result.detectors["matched"].efficiency] == [0, 0, 0, 0]


def test_ratios_by_hand_and_outside_the_injected_snr() -> None:
    model, bound = Curve(1.0, 4.0, 0.0), Curve(0.0, 4.0, 0.0)  # 50 % at 10 and at 1
    several = [Curve(middle, 4.0, 0.0) for middle in (0.9, 1.0, 1.1)]
    names = ("the model", "the bound")
    found = compare_snr([model, *several], [bound] * 4, (0.03, 100.0), names)
    assert found["snr_50"].value == pytest.approx(10)
    assert (found["snr_50"].low, found["snr_50"].high) == pytest.approx((10**0.9, 10**1.1))
    beyond = compare_snr([model, *several], [bound] * 4, (0.03, 5.0), names)["snr_50"]
    assert beyond.value is None
    assert beyond.sentence == "the model needs more than 5 times the SNR of the bound for 50 %"
    below = compare_snr([model, *several], [bound] * 4, (3.0, 30.0), names)["snr_50"]
    assert below.value is None
    assert "the bound reaches it outside the injected SNR" in below.sentence


def targets_of(n_days: int, stations: tuple[str, ...]) -> list[Target]:
    sites = [Station(code, code, 0.0, 100.0) for code in stations]
    day = np.datetime64("2021-01-01", "ms")
    return [
        Target(f"{site.code}-{k}-{slot}", site, day + np.timedelta64(24 * k + slot, "h"),
               day + np.timedelta64(24 * k + slot + 6, "h"), (), "")
        for k in range(n_days) for site in sites for slot in (0, 6)
    ]  # fmt: skip


def test_days_have_one_window_a_station_and_whole_days_are_taken() -> None:
    targets = [*targets_of(6, ("GTO", "ALR", "TRT")), *targets_of(9, ("KPY",))]
    days = days_of_several_stations(targets, seed=1)
    assert sorted(len(day) for day in days) == [4] * 6  # three days of KPY alone have no other station
    for day in days:
        assert len({target.day for target in day}) == 1
        assert [target.station.code for target in day] == ["ALR", "GTO", "KPY", "TRT"]
    assert days == days_of_several_stations(targets, seed=1)
    assert len(most_days(days, 11)) == 8
    assert len(most_days(days, 1)) == 4


def by_day_study(n_days: int = 120) -> tuple[pd.DataFrame, pd.DataFrame, list[list[Target]]]:
    """Three stations with independent noise in the log-odds, which rise by ln(1 + SNR)."""
    rng = np.random.default_rng(2)
    days = days_of_several_stations(targets_of(n_days, ("GTO", "ALR", "TRT")), seed=1)
    windows = [target for day in days for target in day]
    logits = rng.normal(size=len(windows))
    normal = pd.DataFrame({
        "sample_id": [target.sample_id for target in windows], "run_id": "a",
        "start_utc": [target.start_utc for target in windows], "p_event": 1 / (1 + np.exp(-logits)),
    })  # fmt: skip
    table = normal.assign(logit=logits).merge(pd.DataFrame({"snr_at_m5_100km": GRID}), how="cross")
    raised = table["logit"] + np.log1p(table["snr_at_m5_100km"])
    return table.assign(p_event=1 / (1 + np.exp(-raised)), reason=""), normal, days


def test_the_network_finds_weaker_emissions_than_one_station() -> None:
    result = summarise_network(*by_day_study(), 0.05, seed=1)
    assert (result.n_days, result.n_windows, result.n_control_days) == (120, 360, 120)
    assert result.false_alarms["network"].hits == 6
    assert result.false_alarms["one_station"].hits == 18
    for row in result.efficiency[1:]:
        assert row.network.n == 120
        assert row.one_station.n == 360
        assert row.network.value >= row.one_station.value
    # a shift of d in each of three stations is one of d sqrt(3) in z: ln(1 + s) = 1.64 or 0.95
    assert result.snr_at["one_station"]["snr_50"].value == pytest.approx(np.exp(1.645) - 1, rel=0.35)
    assert result.snr_at["network"]["snr_50"].value == pytest.approx(np.exp(0.95) - 1, rel=0.35)
    assert result.ratio["snr_50"].low > 1
    document = result.to_json()
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_a_rejected_station_leaves_the_day_to_the_others() -> None:
    injections, normal, days = by_day_study()
    first = injections["sample_id"].str.startswith("GTO")
    result = summarise_network(injections.assign(reason=np.where(first, "spikes", "")), normal, days, 0.05, seed=1)
    assert result.efficiency[-1].network.value == 1
    assert result.efficiency[-1].one_station.hits == 240
    nothing = summarise_network(injections.assign(reason="spikes"), normal, days, 0.05, seed=1)
    assert [row.network.hits for row in nothing.efficiency] == [0, 0, 0, 0]


def test_too_few_days_give_the_reason() -> None:
    found = summarise_network(*by_day_study(15), 0.05, seed=1)
    assert isinstance(found, NoNetworkRecovery)
    assert "15 days with control windows at several stations are too few" in found.reason


def test_text_and_figure_have_the_bound_beside_the_model(tmp_path) -> None:
    table, normal = injections_of({"model": 10.0, "within_window": 5.0, "matched": 1.0})
    quakes = normal.iloc[:40]
    result = summarise_recovery(table, normal, quakes, seed=1)
    bound = summarise_bound(table.assign(nearest_snr=nearest_snr(table)), normal, result.curve, 0.05, seed=1)
    network = summarise_network(*by_day_study(), 0.05, seed=1)
    document = result.to_json() | {"sentence": result.sentence, "windows": WINDOWS, "warnings": []}
    document |= {"matched": bound.to_json(), "network": network.to_json()}
    text = format_recovery(document)
    assert "bound" in text.splitlines()[0]
    assert max(map(len, text.splitlines())) <= 80
    words = " ".join(text.split())
    assert bound.ratio["snr_50"].sentence in words
    assert "Emission at all stations of a day (3.0 on average, 120 days)" in words
    draw_recovery(document, tmp_path / "recovery.png")
    without = {key: value for key, value in document.items() if key not in ("matched", "network")}
    draw_recovery(without, tmp_path / "plain.png")
    assert (tmp_path / "recovery.png").read_bytes() != (tmp_path / "plain.png").read_bytes()
