"""From a table of predictions to alarms: power first, references, tables that are refused, and the figure."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fixtures.commands import run_seismag
from fixtures.prediction_table import build_table
from seismag.alarms.compute import alarm_summary, evaluate_alarms
from seismag.alarms.figure import draw_molchan
from seismag.alarms.text import format_alarms
from seismag.config import EvaluateConfig
from seismag.domain import DataError

CONFIG = EvaluateConfig.model_validate({"bootstrap": 200})


def summary_of(
    table: pd.DataFrame, samples: pd.DataFrame | None = None, config: EvaluateConfig = CONFIG
) -> dict[str, Any]:
    return alarm_summary(table, samples, config).to_json()


def make_samples(table: pd.DataFrame, controls: str = "matched", **columns: object) -> pd.DataFrame:
    samples = pd.DataFrame({"sample_id": table["sample_id"], **columns})
    samples.attrs["controls"] = controls
    return samples


def test_alarms_before_every_event_beat_every_reference() -> None:
    table = build_table(n_events=20, n_blocks=20, hit=0.6)
    group = np.repeat(np.random.default_rng(1).permutation(40), 4)
    table["start_utc"] += pd.to_timedelta(9 * (group - np.arange(160) // 4), unit="D")  # nine days between groups
    summary = summary_of(table, make_samples(table, past_rate=np.linspace(0.1, 1, len(table))))
    json.dumps(summary, allow_nan=False)
    for name in ("uniform", "station", "clustering"):
        area = summary["references"][name]["area_skill"]
        assert area["value"] > 0.8
        assert area["p_moved"] == pytest.approx(1 / 201)
        assert area["null"]["high"] < area["value"]


def test_alarms_at_random_are_at_chance() -> None:
    summary = summary_of(build_table(n_events=30, n_blocks=30, hit=0.0))
    area = summary["references"]["uniform"]["area_skill"]
    assert area["null"]["low"] < area["value"] < area["null"]["high"]
    assert area["p_moved"] > 0.05


def test_gain_d_and_hits_follow_from_tau_and_nu() -> None:
    summary = summary_of(build_table(n_events=20, n_blocks=20))
    rows = summary["references"]["uniform"]["at"]
    assert [row["tau_asked"] for row in rows] == [0.05, 0.1, 0.2, 0.5]
    for row in rows:
        assert row["tau"] <= row["tau_asked"]
        assert row["hits"] == pytest.approx(20 * (1 - row["nu"]))
        assert row["d"] == pytest.approx(1 - row["nu"] - row["tau"])
        assert row["gain"] == pytest.approx((1 - row["nu"]) / row["tau"])


def test_past_earthquakes_explain_alarms_that_follow_them() -> None:
    """Events where past_rate is high, alarms equal to past_rate: skill in uniform time, none beyond the past."""
    table = build_table(n_events=1, n_blocks=400, rows_each=1, hit=0.0)
    rng = np.random.default_rng(3)
    rate = rng.gamma(0.5, 1.0, len(table))
    is_event = np.zeros(len(table), dtype=bool)
    is_event[rng.choice(len(table), 80, replace=False, p=rate / rate.sum())] = True
    table["y_magnitude"], table["y_azimuth"] = np.where(is_event, "Large", "Normal"), np.where(is_event, "N", "Normal")
    table["station"], table["split_group"] = "GTO", [f"g{i}" for i in range(len(table))]
    table["p_magnitude_Normal"] = 1 / (1 + rate)
    for name in ("Moderate", "Medium", "Large"):
        table[f"p_magnitude_{name}"] = (1 - table["p_magnitude_Normal"]) / 3
    summary = summary_of(table, make_samples(table, controls="all", past_rate=rate))
    assert summary["tau_measured_on"] == "all windows"
    assert summary["references"]["uniform"]["area_skill"]["value"] > 0.7
    clustering = summary["references"]["clustering"]["area_skill"]
    assert abs(clustering["value"] - 0.5) < 3 * np.sqrt(1 / (12 * 80))


def test_an_absent_reference_has_a_reason() -> None:
    table = build_table()
    absent = summary_of(table)["references"]["clustering"]["absent"]
    assert "give the store" in absent
    absent = summary_of(table, make_samples(table))["references"]["clustering"]["absent"]
    assert "no column past_rate" in absent
    holes = make_samples(table, past_rate=[np.nan] + [1.0] * (len(table) - 1))
    assert "missing in 1 of" in summary_of(table, holes)["references"]["clustering"]["absent"]
    zero = make_samples(table, past_rate=0.0)
    assert "no earthquake is expected anywhere" in summary_of(table, zero)["references"]["clustering"]["absent"]


def test_the_power_does_not_depend_on_the_result() -> None:
    """Only the sizes count: flipping which windows score high leaves the needed events and the smallest gain."""
    good, bad = (summary_of(build_table(hit=hit))["power"] for hit in (0.8, 0.0))
    assert good["by_error"]["0.05"]["events_needed"] == {"1.6": 92, "2": 38, "3": 12}
    for key in ("events_needed", "smallest_gain", "smallest_area_skill"):
        assert good["by_error"]["0.01"][key] == bad["by_error"]["0.01"][key]


def test_the_power_is_printed_before_the_result() -> None:
    text = format_alarms(summary_of(build_table()))
    assert text.startswith("power, before the result (12 independent events")
    assert "events needed for gain 1.6" in text
    assert [line.split()[-2:] for line in text.splitlines() if "for gain 1.6" in line] == [["92", "142"]]
    assert text.index("smallest gain of 12 events") < text.index("area skill 0.")
    assert "not of real time" in text
    assert max(map(len, text.splitlines())) <= 80


def test_few_events_are_inconclusive() -> None:
    summary = summary_of(build_table(n_events=1))
    assert summary["power"]["by_error"]["0.05"]["smallest_gain"] is None
    assert any("Inconclusive (1 event clusters; at least 10" in sentence for sentence in summary["warnings"])
    assert "even 1 hits of 1 are compatible with chance" in format_alarms(summary)


@pytest.mark.parametrize(
    ("sizes", "reason"), [((0, 12), "No window with an earthquake"), ((12, 0), "No Normal window is evaluated")]
)
def test_one_class_alone_is_named_with_the_remedy(sizes: tuple[int, int], reason: str) -> None:
    summary = summary_of(build_table(*sizes))
    assert reason in summary["undefined"]
    assert "Predict" in summary["undefined"]
    assert summary["references"] == {}
    assert reason in format_alarms(summary).replace("\n", " ")


def test_events_at_stations_without_normal_windows_are_left_out_and_counted() -> None:
    table = build_table()
    normal = table["y_magnitude"] == "Normal"
    table.loc[normal, "station"] = "GTO"
    summary = summary_of(table)
    assert summary["n_left_out"] == int((~normal & (table["station"] != "GTO")).sum())
    assert any("left out" in sentence for sentence in summary["warnings"])
    table.loc[~normal, "station"] = "ALR"
    assert "None of the 48 event windows lies at a station" in summary_of(table)["undefined"]


def test_the_molchan_diagram_is_one_column_wide(tmp_path: Path) -> None:
    draw_molchan(summary_of(build_table()), tmp_path / "figures" / "molchan.png")
    with Image.open(tmp_path / "figures" / "molchan.png") as image:
        assert image.width == 1050  # 3.5 in at 300 dpi
        assert len(image.convert("RGB").getcolors(100_000)) > 50


def test_windows_of_aftershocks_are_no_events_and_no_background_time_of_a_store_of_controls() -> None:
    table = build_table(n_events=12, n_blocks=12)
    is_event = table["y_magnitude"] != "Normal"
    first = is_event & (table.groupby("split_group").cumcount() < 2)
    samples = make_samples(table, is_mainshock=first, is_aftershock=is_event & ~first)
    summary = summary_of(table, samples)
    assert (summary["events"], summary["n_events"], summary["n_event_windows"]) == ("mainshocks", 12, 24)
    assert summary["n_ordinary_windows"] == 48
    samples.attrs["controls"] = "all"
    assert summary_of(table, samples)["n_ordinary_windows"] == 96
    all_events = EvaluateConfig.model_validate({"bootstrap": 200, "events": "all"})
    assert summary_of(table, samples, all_events)["n_event_windows"] == 48


def test_the_command_prints_one_document_and_writes_its_files(tmp_path: Path) -> None:
    build_table().to_parquet(tmp_path / "predictions.parquet")
    done = run_seismag(
        "alarms", "--predictions", tmp_path / "predictions.parquet", "--out", tmp_path / "out",
        "--set", "evaluate.bootstrap=100", "--json",
    )  # fmt: skip
    printed = json.loads(done.stdout)
    assert printed == json.loads((tmp_path / "out" / "alarms.json").read_text())
    assert next(iter(printed)) == "power"
    assert (tmp_path / "out" / "molchan.png").stat().st_size > 10_000


def test_a_table_without_earthquakes_is_refused_by_name(tmp_path: Path) -> None:
    build_table(n_events=0).to_parquet(tmp_path / "quiet.parquet")
    with pytest.raises(DataError, match=r"quiet\.parquet: No window with an earthquake is evaluated"):
        evaluate_alarms(tmp_path / "quiet.parquet", None, CONFIG, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_output_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    build_table().to_parquet(tmp_path / "predictions.parquet")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="Choose another --out"):
        evaluate_alarms(tmp_path / "predictions.parquet", None, CONFIG, tmp_path / "file" / "out")


def test_a_store_with_other_labels_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = build_table()
    table.to_parquet(tmp_path / "predictions.parquet")
    samples = table[["sample_id", "station"]].assign(magnitude_class="Large")
    monkeypatch.setattr("seismag.alarms.compute.open_store", lambda _path: SimpleNamespace(samples=samples))
    with pytest.raises(DataError, match=r"y_magnitude of .* windows is not that of the store"):
        evaluate_alarms(tmp_path / "predictions.parquet", tmp_path / "store", CONFIG, None)
