"""The map of replaced parts is large where the model looks, and zero elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from seismag.explain import occlusion_map as occlusion
from seismag.explain.replacement import Windows
from seismag.training.scaling import Scaling

F, T = 12, 18
BAND = slice(4, 8)


@pytest.fixture
def windows() -> Windows:
    """Window 0 is 10 dB louder in the band than the two others, which are alike."""
    power = np.zeros((3, 3, F, T), dtype=np.float16)
    power[0, :, BAND] = 10
    return Windows(power, None, Scaling(np.zeros((3, F)), np.ones((3, F))))


def test_only_the_band_that_the_model_uses_has_attribution(windows, monkeypatch) -> None:
    def predict(_loaded, given):
        log_odds = given.power_db[:, 0, BAND].astype(float).mean(axis=(1, 2))
        normal = 1 / (1 + np.exp(log_odds))
        return {"magnitude": np.stack([normal, 1 - normal], axis=1)}, None

    monkeypatch.setattr(occlusion, "predict_windows", predict)
    found = occlusion.occlusion_map(None, windows.of(np.array([0])), windows.of(np.array([1, 2])))
    assert found.shape == (F, T)
    assert np.isfinite(found).all()
    assert (found[BAND] > 0).all()
    assert found[:2] == pytest.approx(0)  # no part that contains these rows reaches into the band
    assert found[10:] == pytest.approx(0)
    inner = found[5:7, 6:12]  # every part that contains these bins lies in the band, or half of it
    size = occlusion.PART_ROWS * occlusion.PART_COLUMNS
    assert inner.max() <= 10 * size / (4 * T) + 1e-9
    assert found[BAND].mean() > 3 * np.abs(found[:4]).mean()
