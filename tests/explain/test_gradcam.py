"""Grad-CAM: the gradient through the head alone, by hand and against the whole network."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fixtures.explained_study import small_model
from seismag.explain.gradcam import CLASS_TASKS, METHODS, _combine, attribute, interpolate_maps
from seismag.training.model import ConvNeXtMultiTask

OPTIONS = {
    "plain": {},
    "enhanced": {"attention": "cbam", "detection_head": True, "azimuth_head": "hierarchical"},
    "cross": {"input": "power_cross"},
    "efficientnet": {"backbone": "efficientnet_b0"},
}  # fmt: skip


def whole_network_maps(model: ConvNeXtMultiTask, x: torch.Tensor, task: str, method: str) -> np.ndarray:
    """The textbook way: a hook on the last feature map, a forward and a backward pass of everything."""
    kept: list[torch.Tensor] = []
    attend = model._attend

    def hooked(features: torch.Tensor) -> torch.Tensor:
        kept.append(attend(features))
        kept[-1].retain_grad()
        return kept[-1]

    model._attend = hooked  # type: ignore[method-assign]
    try:
        scores = getattr(model(x.clone().requires_grad_(True)), task)
        scores.max(dim=1).values.sum().backward()
    finally:
        del model._attend
    return _combine(kept[0].detach(), kept[0].grad, method).numpy()


@pytest.mark.parametrize("name", OPTIONS)
def test_gradient_through_the_head_alone_gives_the_map_of_the_whole_network(name: str) -> None:
    model = small_model(**OPTIONS[name])
    x = torch.randn(2, model.n_channels, 64, 64, generator=torch.Generator().manual_seed(1))
    for method in METHODS:
        found = attribute(model, x, method)
        for task in CLASS_TASKS:
            expected = whole_network_maps(model, x, task, method)
            np.testing.assert_allclose(found[task].coarse, expected, rtol=1e-5, atol=1e-7)
            assert expected.max() > 0


def test_gradcam_by_hand() -> None:
    activation = torch.tensor([[[[1.0, 2.0]], [[3.0, 0.0]]]])  # (1, 2, 1, 2)
    gradient = torch.tensor([[[[1.0, 3.0]], [[-1.0, 0.0]]]])  # weights 2 and -0.5
    np.testing.assert_allclose(_combine(activation, gradient, "gradcam").numpy(), [[[0.5, 4.0]]])


def test_gradcam_plus_plus_by_hand() -> None:
    assert not _combine(torch.ones(1, 3, 2, 2), torch.zeros(1, 3, 2, 2), "gradcam++").any()  # 0 / 0
    activation = torch.tensor([[[[1.0, 1.0]]]])  # sum 2
    gradient = torch.tensor([[[[1.0, -1.0]]]])
    # alpha = 1 / (2 + 2) at the first place; the second place has no positive gradient: weight 1/4
    np.testing.assert_allclose(_combine(activation, gradient, "gradcam++").numpy(), [[[0.25, 0.25]]])


def test_the_asked_class_is_explained_and_windows_do_not_mix() -> None:
    model = small_model()
    x = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    targets = {"magnitude": torch.tensor([3, 0, 1]), "azimuth": torch.tensor([8, 2, 0])}
    together = attribute(model, x, targets=targets)
    for i in range(3):
        alone = attribute(model, x[i : i + 1], targets={task: target[i : i + 1] for task, target in targets.items()})
        for task in CLASS_TASKS:
            assert together[task].target[i] == targets[task][i]
            np.testing.assert_allclose(alone[task].coarse[0], together[task].coarse[i], rtol=1e-4, atol=1e-6)
            assert alone[task].probability[0] == pytest.approx(together[task].probability[i], rel=1e-4)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_hot_place_stays_where_it_is_on_the_fine_grid() -> None:
    coarse = np.zeros((1, 4, 4), dtype=np.float32)
    coarse[0, 1, 2] = 1.0
    fine = interpolate_maps(coarse, (64, 64))[0]
    row, column = np.unravel_index(fine.argmax(), fine.shape)
    assert 16 <= row < 32
    assert 32 <= column < 48
    assert fine.max() <= 1


def test_training_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="training mode"):
        attribute(small_model().train(), torch.randn(1, 3, 64, 64))
