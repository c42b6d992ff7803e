"""A model whose training data nobody knows is judged, and the judgement says that it is no test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fixtures.plain_store import plain_attributes, plain_samples
from fixtures.training_settings import fit_one_baseline
from seismag.cards import UNKNOWN
from seismag.config import DataConfig, EvaluateConfig, ModelConfig
from seismag.domain import AZIMUTH_CLASSES, MAGNITUDE_CLASSES
from seismag.training.checkpoint import save_checkpoint
from seismag.training.model import ConvNeXtMultiTask
from seismag.training.run import evaluate_model
from seismag.training.scaling import Scaling
from seismag.windows import store as stores

N = 24


def test_scores_on_pictures_by_an_imported_model_carry_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit_one_baseline(monkeypatch)
    rng = np.random.default_rng(1)
    magnitude, day = np.arange(N) % 4, pd.Timestamp("2021-01-01") + pd.to_timedelta(np.arange(N), unit="D")
    samples = pd.DataFrame(
        {
            "sample_id": [f"s{i}" for i in range(N)],
            "station": "SCN",
            "start_utc": day,
            "end_utc": day + pd.Timedelta(hours=1),
            "split_group": [f"{'event' if m else 'normal'}:{i}" for i, m in enumerate(magnitude)],
            "event_id": [str(i) if m else None for i, m in enumerate(magnitude)],
            "magnitude_class": np.array(MAGNITUDE_CLASSES)[magnitude],
            "azimuth_class": np.where(magnitude == 0, "Normal", np.array(AZIMUTH_CLASSES)[1 + np.arange(N) % 8]),
        }
    )
    stores.create_image_arrays(tmp_path / "store", samples["sample_id"].tolist(), 32, 32)
    stores.write_shard(tmp_path / "store", 0, rng.integers(0, 256, (N, 3, 32, 32)).astype(np.float16), None)
    preprocessing = stores.image_preprocessing(32, 32)
    facts = {"dataset_id": "d1", "origin": stores.LEGACY_IMAGE, "preprocessing": preprocessing}
    attributes = plain_attributes(DataConfig(), **facts)
    empty = pd.DataFrame({"reason": [], "verdict": []}, dtype=object)
    stores.finish_store(tmp_path / "store", plain_samples(samples), empty, empty, attributes)
    config = ModelConfig.model_validate({"backbone": "convnext_atto", "head_width": 8})
    card = {
        "format": "seismag-checkpoint", "format_version": 1, "run_id": "legacy_old", "dataset_id": UNKNOWN,
        "training_data": UNKNOWN, "fold": 0, "backbone": "convnext_atto", "model": config.model_dump(mode="json"),
        "magnitude_classes": list(MAGNITUDE_CLASSES), "azimuth_classes": list(AZIMUTH_CLASSES),
        "preprocessing": preprocessing,
    }  # fmt: skip
    scaling = Scaling(np.full((3, 32), 127.5, np.float32), np.full((3, 32), 60.0, np.float32))
    save_checkpoint(tmp_path / "m.pth", ConvNeXtMultiTask(config).eval(), scaling, card)
    metrics, predictions = evaluate_model(tmp_path / "m.pth", tmp_path / "store", EvaluateConfig(bootstrap=100))
    assert len(predictions) == N
    assert any("training data of the model are unknown" in sentence for sentence in metrics["warnings"])
