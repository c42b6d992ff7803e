"""Random weights, random labels, deletion and insertion."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from fixtures.band_reader import ROWS, make_band_reader, make_windows
from fixtures.explained_study import small_model
from seismag.config import EvaluateConfig
from seismag.explain import perturbation
from seismag.explain.gradcam import CLASS_TASKS, Attribution, attribute
from seismag.explain.perturbation import (
    FRACTIONS,
    cascade_of_random_weights,
    refit_heads,
    stages_from_the_head,
    trace_curves,
)
from seismag.explain.sanity import check_curves, check_random_weights, rank_correlations

SPEC = EvaluateConfig(bootstrap=200, confidence=0.95, seed=1)


@pytest.mark.parametrize(
    "options",
    [{}, {"attention": "cbam", "detection_head": True}, {"backbone": "efficientnet_b0"}],
    ids=["plain", "enhanced", "efficientnet"],
)
def test_the_stages_hold_every_weight_once_from_the_heads_to_the_stem(options) -> None:
    model = small_model(**options)
    stages = stages_from_the_head(model)
    entries = [entry for _, names in stages for entry in names]
    assert sorted(entries) == sorted(model.state_dict())
    assert stages[0][0] == "heads"
    assert stages[-1][0] == "stem"
    assert any("stem" in entry for entry in stages[-1][1])


def test_the_cascade_changes_all_weights_in_the_end_and_leaves_the_model_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = small_model()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    x = torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(1))
    targets = {task: torch.zeros(2, dtype=torch.int64) for task in CLASS_TASKS}
    seen = []

    def note_weights(changed, *arguments):
        seen.append({name: value.clone() for name, value in changed.state_dict().items()})
        return attribute(changed, *arguments)

    monkeypatch.setattr(perturbation, "attribute", note_weights)
    names = [name for name, _ in cascade_of_random_weights(model, x, targets, "gradcam", seed=9)]
    assert names[0] == "heads"
    assert len(names) == len(seen) == len(stages_from_the_head(model))
    stem = "backbone.stem.0.weight"
    assert all(torch.equal(state[stem], before[stem]) for state in seen[:-1])
    assert not torch.equal(seen[-1][stem], before[stem])
    assert not torch.equal(seen[0]["head_magnitude.2.weight"], before["head_magnitude.2.weight"])
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_an_edge_detector_that_ignores_the_weights_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    model = small_model()
    x = torch.randn(4, 3, 24, 24, generator=torch.Generator().manual_seed(1))
    targets = {task: torch.zeros(4, dtype=torch.int64) for task in CLASS_TASKS}

    def edges(_, x, *__):
        across = (x[:, :, 1:] - x[:, :, :-1]).abs().mean(dim=1)[:, ::4, ::4].numpy()
        return {task: Attribution(across, np.zeros(4, dtype=int), np.ones(4)) for task in CLASS_TASKS}

    monkeypatch.setattr(perturbation, "attribute", edges)
    original = edges(model, x)["magnitude"].coarse
    draws = []
    for seed in (1, 2):
        cascade = list(cascade_of_random_weights(model, x, targets, "gradcam", seed))
        draws.append([rank_correlations(original, found["magnitude"].coarse) for _, found in cascade])
        stages = [name for name, _ in cascade]
    result = check_random_weights("magnitude", stages, np.array(draws), original[0].size, None)
    assert result.verdict == "fail"
    assert result.statistic == pytest.approx(1.0)
    assert "must not be interpreted" in result.sentence


def test_refitted_heads_learn_any_labels_and_share_the_backbone() -> None:
    model = small_model()
    rng = np.random.default_rng(3)
    features = torch.from_numpy(rng.normal(0, 1, (24, model.n_features)).astype(np.float32))
    labels = {
        "magnitude": torch.from_numpy(rng.integers(0, 4, 24)),
        "azimuth": torch.from_numpy(rng.integers(0, 9, 24)),
    }
    refitted = refit_heads(model, features, labels, seed=4)
    with torch.no_grad():
        outputs = refitted.classify(features)
    assert (outputs.magnitude.argmax(dim=1) == labels["magnitude"]).float().mean() > 0.9
    assert (outputs.azimuth.argmax(dim=1) == labels["azimuth"]).float().mean() > 0.9
    after = refitted.state_dict()
    assert all(torch.equal(v, after[name]) for name, v in model.state_dict().items() if name.startswith("backbone"))
    assert not torch.equal(model.state_dict()["head_azimuth.2.weight"], after["head_azimuth.2.weight"])


def band_map(n: int, inside: float) -> dict[str, Attribution]:
    """Coarse maps (n, 8, 4) with ``inside`` in the rows that the band reader reads, its opposite elsewhere."""
    coarse = np.full((n, 8, 4), 1.0 - inside, dtype=np.float32)
    coarse[:, ROWS.start // 4 : ROWS.stop // 4] = inside
    target = np.where(np.arange(n) % 2 == 0, 1, 0)  # windows that shine are events
    return {task: Attribution(coarse, target, np.ones(n)) for task in CLASS_TASKS}


@pytest.mark.parametrize(
    ("inside", "verdict", "words"),
    [(1.0, "pass", "better than a random order"), (0.0, "fail", "worse than a random order")],
    ids=["the band that is read", "all but this band"],
)
def test_curves_tell_a_right_map_from_a_wrong_one(
    inside: float, verdict: str, words: str, rng: np.random.Generator
) -> None:
    loaded = make_band_reader()
    n = 24
    windows = make_windows(loaded, n, rng)
    others = windows.of(np.roll(np.arange(n), 1))
    curves = trace_curves(loaded, windows, others, band_map(n, inside), rng)
    rows = pd.DataFrame({"split_group": [f"g{i}" for i in range(n)], "y_magnitude": ["Moderate", "Normal"] * (n // 2)})
    for task in CLASS_TASKS:
        curve = curves[task]
        assert curve["random"].shape == (2, n, len(FRACTIONS))
        np.testing.assert_allclose(curve["deletion"][:, 0], curve["insertion"][:, -1])  # both ends: the window itself
        np.testing.assert_allclose(curve["deletion"][:, -1], curve["insertion"][:, 0])
        for kind in ("deletion", "insertion"):
            areas = (np.trapezoid(curve[kind], FRACTIONS), np.trapezoid(curve["random"], FRACTIONS))
            result = check_curves(kind, task, areas, rows, SPEC)
            assert result.verdict == verdict, result.sentence
            assert words in result.sentence


def test_a_map_without_any_attribution_is_no_better_than_chance(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(perturbation, "RANDOM_ORDERS", 4)
    loaded = make_band_reader()
    windows = make_windows(loaded, 16, rng)
    empty = {
        task: Attribution(np.zeros((16, 8, 4), np.float32), np.arange(16) % 2, np.ones(16)) for task in CLASS_TASKS
    }
    curves = trace_curves(loaded, windows, windows.of(np.roll(np.arange(16), 1)), empty, rng)
    curve = curves["magnitude"]
    gain = np.trapezoid(curve["random"], FRACTIONS).mean() - np.trapezoid(curve["deletion"], FRACTIONS).mean()
    assert abs(gain) < 0.05
