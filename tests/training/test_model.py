"""The network: shapes, parameters, backbones and their weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from seismag.config import ModelConfig
from seismag.domain import SeismagError, UsageError
from seismag.training.backbones import create_backbone
from seismag.training.model import ConvNeXtMultiTask

ATTO = ModelConfig(backbone="convnext_atto")


def test_convnext_tiny_has_28_615_789_parameters_and_takes_a_training_step() -> None:
    # 28,589,128 of ConvNeXt-Tiny (arXiv:2201.03545, 29 M) - 769,000 of its classifier - 1,536 of its last norm
    # + 2 x (1,536 + 768 x 512 + 512) + (512 x 4 + 4) + (512 x 9 + 9)
    model = ConvNeXtMultiTask(ModelConfig(backbone="convnext_tiny"))
    assert sum(parameter.numel() for parameter in model.parameters()) == 28_615_789
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    outputs = model(torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1)))
    assert (outputs.magnitude.shape, outputs.azimuth.shape) == ((2, 4), (2, 9))
    before = model.backbone.get_parameter("stem.0.weight").detach().clone()
    (outputs.magnitude.square().mean() + outputs.azimuth.square().mean()).backward()
    optimizer.step()
    assert not torch.equal(before, model.backbone.get_parameter("stem.0.weight"))


@pytest.mark.parametrize("size", [(64, 224), (32, 40)])
def test_atto_takes_spectrograms_of_any_grid(size: tuple[int, int]) -> None:
    model = ConvNeXtMultiTask(ATTO).eval()
    x = torch.zeros(2, 3, *size)
    with torch.inference_mode():
        outputs = model(x)
        embedding = model.embed(x)
    assert (outputs.magnitude.shape, outputs.azimuth.shape) == ((2, 4), (2, 9))
    assert outputs[2:] == (None, None)
    assert embedding.shape == (2, model.n_features) == (2, 320)
    with torch.inference_mode():
        assert torch.equal(model.classify(embedding).magnitude, outputs.magnitude)


@pytest.mark.parametrize(
    ("backbone", "size", "spectra"),
    [("convnextv2_atto", (64, 96), "power_cross"), ("efficientnet_b0", (64, 80), "power"),
     ("resnet18", (72, 64), "power_cross"), ("resnet50", (64, 64), "power")],
)  # fmt: skip
def test_backbone_takes_a_training_step(backbone: str, size: tuple[int, int], spectra: str) -> None:
    torch.manual_seed(3)
    model = ConvNeXtMultiTask(ModelConfig(backbone=backbone, input=spectra))
    model.check_input(*size)
    assert_step(model, torch.randn(2, model.n_channels, *size))


def test_vgg16_takes_a_training_step() -> None:
    with torch.device("meta"):  # drawing 138 million initial weights takes as long as all other tests of this file
        model = ConvNeXtMultiTask(ModelConfig(backbone="vgg16"))
    model = model.to_empty(device="cpu")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(0.001)
        model.head_azimuth[5].bias[0] = 0.5
    assert_step(model, torch.ones(1, 3, 64, 64))


def assert_step(model: ConvNeXtMultiTask, x: torch.Tensor) -> None:
    outputs = model(x)
    assert (outputs.magnitude.shape, outputs.azimuth.shape) == ((len(x), 4), (len(x), 9))
    (outputs.magnitude.square().mean() + outputs.azimuth.square().mean()).backward()
    first = next(model.backbone.parameters())
    assert first.grad is not None
    assert torch.isfinite(first.grad).all()
    before = model.head_azimuth[5].bias.detach().clone()
    torch.optim.SGD(model.head_azimuth.parameters(), lr=0.1).step()
    assert not torch.equal(before, model.head_azimuth[5].bias)


# By arithmetic from timm's own counts: heads are 2 x (2 C + C x 512 + 512) + 4 x 513 + 9 x 513 for C pooled features
PARAMETERS = {
    "convnext_tiny": (28_615_789, 768), "convnext_base": (88_624_781, 1024), "convnextv2_tiny": (28_662_157, 768),
    "efficientnet_b0": (5_331_081, 1280), "vgg16": (138_478_925, 4096), "resnet50": (25_621_069, 2048),
}  # fmt: skip


def count_parameters(**options: object) -> tuple[int, int]:
    with torch.device("meta"):
        model = ConvNeXtMultiTask(ModelConfig(**options))
    return sum(parameter.numel() for parameter in model.parameters()), model.n_features


@pytest.mark.parametrize("backbone", PARAMETERS)
def test_parameters_are_those_of_the_backbone_and_two_heads(backbone: str) -> None:
    total, width = count_parameters(backbone=backbone)
    assert (total, width) == PARAMETERS[backbone]
    with torch.device("meta"):
        alone = create_backbone(ModelConfig(backbone=backbone))
    own = sum(parameter.numel() for parameter in alone.parameters())
    assert total == own + 2 * (2 * width + width * 512 + 512) + 13 * 513


def test_stages_of_a_convnext_can_be_smaller() -> None:
    with torch.device("meta"):
        small = create_backbone(ModelConfig(backbone="convnext_atto", depths=[1, 1, 2, 1], widths=[24, 48, 96, 192]))
    assert [len(stage.blocks) for stage in small.stages] == [1, 1, 2, 1]
    assert small.num_features == 192
    for options in ({"backbone": "resnet18"}, {"backbone": "convnext_atto", "pretrained": True}):
        with pytest.raises(UsageError, match=r"model\.depths and model\.widths change a ConvNeXt without pretrained"):
            create_backbone(ModelConfig(widths=[24, 48, 96, 192], **options))
    with pytest.raises(ValueError, match=r"must be four numbers from 1 on"):
        ModelConfig(depths=[1, 1])


@pytest.mark.parametrize(
    ("options", "extra"),
    [
        ({"input": "power_cross"}, 6 * 96 * 16),  # the stem's 4 x 4 kernels
        ({"attention": "cbam"}, 2 * 768 * 48 + 2 * 49 + 2),  # channel MLP, 7 x 7 kernel on two maps, its norm
        ({"detection_head": True}, 2 * 768 + 768 * 512 + 512 + 513 - 2 * 513),  # own network; Normal leaves two heads
        ({"azimuth_head": "hierarchical"}, 0),  # event, 4 quadrants, 4 choices in them: nine again
    ],
)  # fmt: skip
def test_options_add_the_parameters_of_their_layers(options: dict[str, object], extra: int) -> None:
    assert count_parameters(backbone="convnext_tiny", **options)[0] == 28_615_789 + extra


def test_feature_map_goes_to_the_heads_alone_so_that_its_gradient_explains() -> None:
    torch.manual_seed(1)
    model = ConvNeXtMultiTask(ModelConfig(backbone="convnext_atto", attention="cbam", detection_head=True)).eval()
    x = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        features = model.feature_map(x)
        whole = model(x)
    assert features.shape == (2, 320, 2, 3)
    features.requires_grad_()
    outputs = model.classify_map(features)
    torch.testing.assert_close(outputs.azimuth, whole.azimuth)
    (gradient,) = torch.autograd.grad(outputs.azimuth[:, 3].sum(), features)
    assert gradient.shape == features.shape
    assert gradient.abs().sum() > 0


def test_attention_scales_channels_and_places_between_0_and_1() -> None:
    torch.manual_seed(1)
    plain = ConvNeXtMultiTask(ATTO).eval()
    weighted = ConvNeXtMultiTask(ATTO.model_copy(update={"attention": "cbam"})).eval()
    weighted.load_state_dict(plain.state_dict(), strict=False)
    x = torch.randn(1, 3, 96, 96)
    with torch.no_grad():
        ratio = weighted.feature_map(x) / plain.feature_map(x)  # (1, 320, 3, 3): channel times place
    assert (ratio > 0).all()
    assert (ratio < 1).all()
    flat = ratio[0].flatten(1).double()
    np.testing.assert_allclose(flat, torch.outer(flat[:, 0], flat[0]) / flat[0, 0], rtol=1e-3)


def test_attention_on_a_backbone_without_a_map_is_refused_before_training() -> None:
    model = ConvNeXtMultiTask(ModelConfig(backbone="test_vit", attention="cbam"))
    with pytest.raises(SeismagError, match=r"attention cbam needs a feature map \(batch, 64, frequency, time\)"):
        model.check_input(160, 160)


def test_head_is_norm_dropout_linear_gelu_dropout_linear() -> None:
    model = ConvNeXtMultiTask(ATTO)
    for head, n_classes in ((model.head_magnitude, 4), (model.head_azimuth, 9)):
        assert [type(layer) for layer in head] == [
            nn.LayerNorm, nn.Dropout, nn.Linear, nn.GELU, nn.Dropout, nn.Linear
        ]  # fmt: skip
        assert (head[1].p, head[4].p, head[2].out_features, head[5].out_features) == (0.5, 0.25, 512, n_classes)


def test_grid_that_the_backbone_does_not_take_is_named() -> None:
    model = ConvNeXtMultiTask(ModelConfig(backbone="vit_tiny_patch16_224"))
    with pytest.raises(SeismagError, match=r"vit_tiny_patch16_224 cannot process spectrograms of 64 x 40"):
        model.check_input(64, 40)
    assert model.training
