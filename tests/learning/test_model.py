"""The network: shapes, parameters, backbones and their weights."""

from __future__ import annotations

import time

import pytest
import torch
from torch import nn

from seismag.config import ModelConfig
from seismag.domain import SeismagError, UsageError
from seismag.learning import model as model_module
from seismag.learning.model import ConvNeXtMultiTask

ATTO = ModelConfig(backbone="convnext_atto")


def test_convnext_tiny_has_28_615_789_parameters_and_takes_a_training_step() -> None:
    # 28,589,128 of ConvNeXt-Tiny (arXiv:2201.03545, 29 M) - 769,000 of its classifier - 1,536 of its last norm
    # + 2 x (1,536 + 768 x 512 + 512) + (512 x 4 + 4) + (512 x 9 + 9)
    model = ConvNeXtMultiTask(ModelConfig(backbone="convnext_tiny"))
    assert sum(parameter.numel() for parameter in model.parameters()) == 28_615_789
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    magnitude, azimuth = model(torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1)))
    assert (magnitude.shape, azimuth.shape) == ((2, 4), (2, 9))
    before = model.backbone.get_parameter("stem.0.weight").detach().clone()
    (magnitude.square().mean() + azimuth.square().mean()).backward()
    optimizer.step()
    assert not torch.equal(before, model.backbone.get_parameter("stem.0.weight"))


@pytest.mark.parametrize("size", [(224, 224), (64, 224), (32, 40)])
def test_atto_takes_spectrograms_of_any_grid(size: tuple[int, int]) -> None:
    model = ConvNeXtMultiTask(ATTO).eval()
    x = torch.zeros(2, 3, *size)
    with torch.inference_mode():
        magnitude, azimuth = model(x)
        embedding = model.embed(x)
    assert (magnitude.shape, azimuth.shape) == ((2, 4), (2, 9))
    assert embedding.shape == (2, model.n_features) == (2, 320)
    with torch.inference_mode():
        assert torch.equal(model.classify(embedding)[0], magnitude)


@pytest.mark.parametrize("backbone", ["resnet18", "efficientnet_b0", "mobilenetv3_small_100"])
def test_other_backbones_fit_the_same_heads(backbone: str) -> None:
    model = ConvNeXtMultiTask(ModelConfig(backbone=backbone)).eval()
    model.check_input(64, 64)
    assert model.head_magnitude[0].normalized_shape == (model.n_features,)


def test_head_is_norm_dropout_linear_gelu_dropout_linear() -> None:
    model = ConvNeXtMultiTask(ATTO)
    for head, n_classes in ((model.head_magnitude, 4), (model.head_azimuth, 9)):
        assert [type(layer) for layer in head] == [
            nn.LayerNorm, nn.Dropout, nn.Linear, nn.GELU, nn.Dropout, nn.Linear
        ]  # fmt: skip
        assert (head[1].p, head[4].p, head[2].out_features, head[5].out_features) == (0.5, 0.25, 512, n_classes)


def test_input_with_other_channels_is_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(1, 1, 32, 32\), expected \(batch, 3, frequency, time\)"):
        ConvNeXtMultiTask(ATTO)(torch.zeros(1, 1, 32, 32))


def test_grid_that_the_backbone_does_not_take_is_named() -> None:
    model = ConvNeXtMultiTask(ModelConfig(backbone="vit_tiny_patch16_224"))
    with pytest.raises(SeismagError, match=r"vit_tiny_patch16_224 does not take spectrograms of 64 x 40"):
        model.check_input(64, 40)
    assert model.training


@pytest.mark.parametrize(
    ("name", "hint"), [("convnext_tny", "did you mean convnext_tiny"), ("convnext_tiny.nope", "convnext_tiny.")]
)
def test_unknown_backbone_is_refused_with_a_suggestion(name: str, hint: str) -> None:
    with pytest.raises(UsageError, match=f"model.backbone: timm has no model '{name}'.*{hint}"):
        ConvNeXtMultiTask(ModelConfig(backbone=name))


@pytest.mark.parametrize(("offline", "reason"), [(True, "HF_HUB_OFFLINE is set"), (False, "no route to host")])
def test_missing_pretrained_weights_say_at_once_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, offline: bool, reason: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(model_module, "HF_HUB_OFFLINE", offline)
    monkeypatch.setattr(model_module, "_in_cache", lambda _: False)
    monkeypatch.setattr(model_module.urllib.request, "urlopen", refuse)
    started = time.monotonic()
    with pytest.raises(SeismagError, match=rf"weights of convnext_atto \(timm/.*{reason}.*model\.pretrained=false"):
        ConvNeXtMultiTask(ModelConfig(backbone="convnext_atto", pretrained=True))
    assert time.monotonic() - started < 2


def test_failing_download_is_reported_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("checksum differs\nmore")

    monkeypatch.setattr(model_module, "_in_cache", lambda _: True)
    monkeypatch.setattr(model_module.timm, "create_model", fail)
    with pytest.raises(SeismagError, match=r"RuntimeError: checksum differs\).*model\.pretrained=false"):
        ConvNeXtMultiTask(ModelConfig(backbone="convnext_atto", pretrained=True))
