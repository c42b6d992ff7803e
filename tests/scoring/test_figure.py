"""Figures are drawn for full, thin and empty results, without pyplot's global state."""

from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from fixtures.prediction_table import as_validation, build_table
from seismag.config import EvaluateConfig
from seismag.domain import DataError
from seismag.scoring import figure as figures
from seismag.scoring.compute import evaluate_predictions
from seismag.scoring.figure import draw_training_curves
from seismag.scoring.study import draw_figures

pytestmark = pytest.mark.usefixtures("counting_rules_only")  # these tests do not test logistic baselines

CONFIG = EvaluateConfig(bootstrap=100, confidence=0.95, seed=1)


@pytest.mark.parametrize(("n_events", "n_blocks", "is_calibrated"), [(12, 12, True), (0, 12, False), (1, 0, False)])
def test_figures_have_the_width_of_a_column_or_page_whatever_the_table(
    tmp_path: Path, n_events: int, n_blocks: int, is_calibrated: bool
) -> None:
    table = build_table(n_events=n_events, n_blocks=n_blocks)
    if is_calibrated:
        table = pd.concat([table, as_validation(table)])
    metrics = evaluate_predictions(table, config=CONFIG).to_json()
    draw_figures(metrics, tmp_path / "figures")
    widths = {path.stem: Image.open(path).width for path in (tmp_path / "figures").iterdir()}
    names = ("confusion_azimuth", "confusion_magnitude", "scores", "subsets")
    assert widths == dict.fromkeys(names, 1050) | {"reliability": 2130}  # 3.5 and 7.1 in at 300 dpi
    for path in (tmp_path / "figures").iterdir():
        assert len(Image.open(path).convert("L").getcolors()) > 10


def test_training_curves_are_drawn_with_and_without_scores(tmp_path: Path) -> None:
    history = pd.DataFrame({"epoch": [1, 2, 3], "train_loss": [2.0, 1.5, 1.2], "val_loss": [2.1, 1.9, 2.0]})
    history.to_csv(tmp_path / "history.csv", index=False)
    draw_training_curves(tmp_path / "history.csv", tmp_path / "losses.png")
    history.assign(val_magnitude_balanced_accuracy=[0.2, 0.3, 0.3]).to_csv(tmp_path / "history.csv", index=False)
    draw_training_curves(tmp_path / "history.csv", tmp_path / "both.pdf")
    assert (tmp_path / "both.pdf").read_bytes().startswith(b"%PDF")
    with Image.open(tmp_path / "losses.png") as image:
        assert image.width == 1050


def test_one_epoch_without_validation_is_still_drawn(tmp_path: Path) -> None:
    pd.DataFrame({"epoch": [1], "train_loss": [2.0], "val_loss": [None]}).to_csv(tmp_path / "h.csv", index=False)
    draw_training_curves(tmp_path / "h.csv", tmp_path / "curve.png")
    assert (tmp_path / "curve.png").stat().st_size > 1000


def test_a_history_without_losses_is_refused(tmp_path: Path) -> None:
    pd.DataFrame({"epoch": [1], "speed": [2.0]}).to_csv(tmp_path / "h.csv", index=False)
    with pytest.raises(DataError, match="a column epoch, one with loss"):
        draw_training_curves(tmp_path / "h.csv", tmp_path / "curve.png")
    with pytest.raises(DataError, match="cannot be read"):
        draw_training_curves(tmp_path / "absent.csv", tmp_path / "curve.png")


def test_of_a_rule_and_its_balanced_form_the_better_one_is_drawn() -> None:
    values = {
        "clock": 0.4,
        "clock_balanced": 0.5,
        "era": 0.6,
        "era_balanced": 0.5,
        "ratio_all_days": 0.9,
        "station": None,
    }
    baselines = {name: {"balanced_accuracy": value, "uses_truth": False} for name, value in values.items()}
    assert figures._shown(baselines) == ["clock_balanced", "era", "station"]
    assert figures._label("space_weather_balanced") == "space weather, balanced"
