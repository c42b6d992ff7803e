"""Backbones by name and their weights."""

from __future__ import annotations

from urllib.request import Request

import pytest

from seismag.config import ModelConfig
from seismag.domain import SeismagError, UsageError
from seismag.training import backbones
from seismag.training.backbones import pretrained_source
from seismag.training.model import ConvNeXtMultiTask


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
    asked: list[tuple[str, float]] = []

    def refuse(request: Request, timeout: float) -> None:
        asked.append((request.full_url, timeout))
        raise OSError("no route to host")

    monkeypatch.setattr(backbones, "HF_HUB_OFFLINE", offline)
    monkeypatch.setattr(backbones, "_in_cache", lambda _: False)
    monkeypatch.setattr(backbones.urllib.request, "urlopen", refuse)
    with pytest.raises(SeismagError, match=rf"weights of convnext_atto \(timm/.*{reason}.*model\.pretrained=false"):
        ConvNeXtMultiTask(ModelConfig(backbone="convnext_atto", pretrained=True))
    assert asked == ([] if offline else [(backbones.ENDPOINT, 5.0)])  # once, and a few seconds at most


def test_failing_download_is_reported_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("checksum differs\nmore")

    monkeypatch.setattr(backbones, "_in_cache", lambda _: True)
    monkeypatch.setattr(backbones.timm, "create_model", fail)
    with pytest.raises(SeismagError, match=r"RuntimeError: checksum differs\).*model\.pretrained=false"):
        ConvNeXtMultiTask(ModelConfig(backbone="convnext_atto", pretrained=True))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("convnext_tiny.fb_in1k", ("convnext_tiny.fb_in1k", "timm/convnext_tiny.fb_in1k", "apache-2.0")),
        ("vgg16", ("vgg16.tv_in1k", "timm/vgg16.tv_in1k", "bsd-3-clause")),
        ("convnextv2_atto", ("convnextv2_atto.fcmae_ft_in1k", "timm/convnextv2_atto.fcmae_ft_in1k", "cc-by-nc-4.0")),
    ],
)
def test_source_of_pretrained_weights_is_named_with_its_licence(name: str, expected: tuple[str, str, str]) -> None:
    source = pretrained_source(name)
    assert (source["name"], source["source"], source["license"]) == expected


def test_model_without_weights_at_timm_has_no_source() -> None:
    assert pretrained_source("test_convnext_unknown") == {
        "name": "test_convnext_unknown", "source": None, "license": None
    }  # fmt: skip
