"""Weights of an earlier system: the same numbers in our network, classes by name, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from seismag.cards import ModelCard
from seismag.config import ModelConfig
from seismag.domain import AZIMUTH_CLASSES, MAGNITUDE_CLASSES, SeismagError, UsageError
from seismag.legacy import weights
from seismag.legacy.weights import import_weights, torchvision_name
from seismag.models.predict import require_recordings
from seismag.training.checkpoint import check_preprocessing, load_checkpoint
from seismag.training.inference import predict_power
from seismag.training.model import ConvNeXtMultiTask

MAGNITUDES = ["Large", "Medium", "Moderate", "Normal"]  # alphabetical, as folders of pictures are numbered
AZIMUTHS = sorted(AZIMUTH_CLASSES)
ORDERS = {"magnitude": ",".join(MAGNITUDES), "azimuth": ",".join(AZIMUTHS)}
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


class Earlier(nn.Module):
    """The earlier network: torchvision's features, pooled, and two heads."""

    def __init__(self) -> None:
        super().__init__()
        import torchvision

        self.backbone = torchvision.models.convnext_tiny(weights=None)
        self.backbone.classifier = nn.Identity()
        self.mag_head = self._head(len(MAGNITUDES))
        self.azi_head = self._head(len(AZIMUTHS))
        generator = torch.Generator().manual_seed(5)
        for name, parameter in self.named_parameters():  # layer scales of 1e-6 would hide a wrong block
            if name.endswith("layer_scale"):
                parameter.data = torch.rand(parameter.shape, generator=generator)
            elif parameter.ndim == 1:
                parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)

    @staticmethod
    def _head(n_classes: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Flatten(), nn.LayerNorm(768), nn.Dropout(0.5), nn.Linear(768, 512), nn.GELU(), nn.Dropout(0.3),
            nn.Linear(512, n_classes),
        )  # fmt: skip

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        pooled = self.backbone.avgpool(self.backbone.features(x))
        return pooled.flatten(1), self.mag_head(pooled), self.azi_head(pooled)


@pytest.fixture(scope="module", autouse=True)
def one_network() -> Iterator[None]:
    """Make the network whose names and shapes are compared once, and not in each import."""
    network = cache(lambda config, _device: ConvNeXtMultiTask(ModelConfig.model_validate_json(config)))

    def build(config: ModelConfig) -> ConvNeXtMultiTask:
        return network(config.model_dump_json(), torch.get_default_device())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weights, "ConvNeXtMultiTask", build)
        yield


@pytest.fixture(scope="module")
def earlier() -> Earlier:
    torch.manual_seed(3)
    return Earlier().eval()


@pytest.fixture(scope="module")
def imported(earlier: Earlier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("imported")
    torch.save({"model_state_dict": earlier.state_dict(), "epoch": 3, **_stated()}, folder / "old.pth")
    import_weights(folder / "old.pth", folder / "new.pth", {"magnitude": None, "azimuth": None})
    return folder / "new.pth"


def _stated() -> dict[str, Any]:
    return {"config": {"mag_classes": MAGNITUDES}, "azimuth_to_idx": {name: i for i, name in enumerate(AZIMUTHS)}}


@pytest.fixture
def save(earlier: Earlier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Path]]:
    """A file that reads as the earlier weights changed: tensors replaced (None: left out), names by ``rename``."""

    def write(changed: dict[str, Any] | None = None, rename: Callable[[str], str] = str) -> Path:
        state = {**earlier.state_dict(), **(changed or {})}
        read = {rename(name): value for name, value in state.items() if value is not None}
        monkeypatch.setattr(weights, "load_tensors", lambda *_: read)  # a hundred megabytes, not written each time
        (tmp_path / "old.pth").touch()
        return tmp_path / "old.pth"

    yield write
    for path in tmp_path.glob("*.pth"):  # a hundred megabytes each
        path.unlink()


def test_features_and_probabilities_are_those_of_torchvision(imported: Path, earlier: Earlier) -> None:
    levels = np.random.default_rng(2).integers(0, 256, (2, 3, 224, 64)).astype(np.float16)
    mean, std = (torch.tensor(part)[:, None, None] for part in IMAGENET)
    with torch.inference_mode():
        pooled, magnitude, azimuth = earlier((torch.from_numpy(levels.astype(np.float32)) / 255 - mean) / std)
    ours_magnitude, ours_azimuth, features = predict_power(load_checkpoint(imported), levels)
    np.testing.assert_allclose(features, pooled.numpy(), atol=1e-4)
    by_name = pd.DataFrame(magnitude.softmax(1).numpy(), columns=MAGNITUDES)[list(MAGNITUDE_CLASSES)]
    np.testing.assert_allclose(ours_magnitude, by_name, atol=1e-5)
    by_name = pd.DataFrame(azimuth.softmax(1).numpy(), columns=AZIMUTHS)[list(AZIMUTH_CLASSES)]
    np.testing.assert_allclose(ours_azimuth, by_name, atol=1e-5)
    assert np.abs(pooled.numpy()).max() > 0.1


def test_the_card_says_what_is_known_and_what_is_not(imported: Path) -> None:
    card = load_checkpoint(imported).card.document
    assert (card["origin"], card["training_data"], card["dataset_id"]) == ("legacy", "unknown", "unknown")
    assert card["metrics"] == {}
    assert card["preprocessing"]["kind"] == "legacy_image"
    assert card["data_origin"] == ["legacy_image"]
    assert card["magnitude_classes"] == list(MAGNITUDE_CLASSES)
    assert card["class_order"] == {"magnitude": "from the file", "azimuth": "from the file"}
    assert "normalisation of the pictures: imagenet" in card["assumed"]


def test_a_model_of_pictures_and_data_of_power_refuse_each_other(imported: Path) -> None:
    loaded = load_checkpoint(imported)
    power = {"window_h": 6, "segment_s": 600}
    with pytest.raises(SeismagError, match=r"trained on pictures .*legacy_image.*these data are power spectrograms"):
        check_preprocessing(loaded.card, power)
    with pytest.raises(SeismagError, match=r"trained on power spectrograms in dB, but these data are pictures"):
        check_preprocessing(ModelCard(run_id="r", preprocessing=power), loaded.card.preprocessing)
    with pytest.raises(SeismagError, match=r"pictures of an earlier system.*cannot classify recordings"):
        require_recordings(loaded)
    check_preprocessing(loaded.card, loaded.card.preprocessing)


def test_wrappers_around_the_names_are_taken_off(save: Any, tmp_path: Path) -> None:
    card = import_weights(save(rename=lambda name: f"_orig_mod.module.model.{name}"), tmp_path / "new.pth", ORDERS)
    assert card["class_order"] == {"magnitude": "given", "azimuth": "given"}


def test_a_norm_in_the_classifier_serves_both_heads(save: Any, earlier: Earlier, tmp_path: Path) -> None:
    def rename(name: str) -> str:
        return name.replace("mag_head.1.", "backbone.classifier.0.")

    path = save({"azi_head.1.weight": None, "azi_head.1.bias": None}, rename)
    import_weights(path, tmp_path / "new.pth", ORDERS)
    model = load_checkpoint(tmp_path / "new.pth").model
    for head in (model.head_magnitude, model.head_azimuth):
        assert torch.equal(head[0].weight, earlier.mag_head[1].weight)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"backbone.features.5.3.block.3.weight": None}, r"features\.5\.3\.block\.3\.weight is missing"),
        ({"backbone.features.9.0.weight": torch.ones(2)}, r"features\.9\.0\.weight has no place in ConvNeXt-Tiny"),
        ({"backbone.features.0.0.weight": torch.ones(128, 3, 4, 4)}, r"has shape \(128, 3, 4, 4\).*\(96, 3, 4, 4\)"),
        ({"backbone.features.1.0.block.0.weight": torch.ones(96, 1, 3, 3)}, r"block\.0\.weight has shape"),
        ({"mag_head.3.weight": torch.ones(512, 700)}, r"mag_head\.3\.weight has shape \(512, 700\)"),
        ({"mag_head.6.weight": torch.ones(3, 512), "mag_head.6.bias": torch.ones(3)},
         r"mag_head\.6\.weight has shape \(3, 512\).*4 classes"),
        ({"mag_head.8.weight": torch.ones(4, 4), "mag_head.8.bias": torch.ones(4)}, r"mag_head\.8\.weight has shape"),
        ({"mag_head.6.bias": None}, r"mag_head\.6 has only weight"),
        ({"mag_head.1.weight": None, "mag_head.1.bias": None}, r"mag_head\.3\.weight: no LayerNorm before it"),
        ({"mag_head.6.weight": None, "mag_head.6.bias": None}, r"head for magnitude ends with mag_head\.3"),
        ({"mag_head.1.running_mean": torch.ones(768)}, r"mag_head\.1\.running_mean \(768,\) has no place"),
        ({"attention.fc.weight": torch.ones(2, 2)}, r"attention\.fc\.weight \(2, 2\) has no place in our model"),
        ({"azi_head.6.bias": torch.full((9,), float("nan"))}, r"azi_head\.6\.bias holds numbers that are not finite"),
    ],
)  # fmt: skip
def test_a_tensor_that_does_not_fit_is_named(changed: Any, message: str, save: Any, tmp_path: Path) -> None:
    with pytest.raises(SeismagError, match=message):
        import_weights(save(changed), tmp_path / "new.pth", ORDERS)
    assert not (tmp_path / "new.pth").exists()


def test_weights_without_heads_are_no_multi_task_model(save: Any, earlier: Earlier, tmp_path: Path) -> None:
    names = [name for name in earlier.state_dict() if "head" in name]
    with pytest.raises(SeismagError, match="no head for magnitude"):
        import_weights(save(dict.fromkeys(names)), tmp_path / "new.pth", ORDERS)


def test_class_order_is_asked_for_where_nobody_says_it(save: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"has no order of the classes of azimuth.*--classes-azimuth"):
        import_weights(save(), tmp_path / "new.pth", {**ORDERS, "azimuth": None})


def test_an_unknown_class_is_an_error(save: Any, tmp_path: Path) -> None:
    orders = {**ORDERS, "magnitude": "Large,Medium,Small,Normal"}
    with pytest.raises(SeismagError, match=r"unknown here: Small, missing: Moderate"):
        import_weights(save(), tmp_path / "new.pth", orders)


def test_an_order_that_contradicts_the_file_is_refused(earlier: Earlier, tmp_path: Path) -> None:
    torch.save({"state_dict": earlier.state_dict(), **_stated()}, tmp_path / "old.pth")
    orders = {"magnitude": ",".join(MAGNITUDE_CLASSES), "azimuth": None}
    with pytest.raises(UsageError, match="the order in the file is Large, Medium, Moderate, Normal"):
        import_weights(tmp_path / "old.pth", tmp_path / "new.pth", orders)


class Surprise:
    def __reduce__(self) -> Any:
        return print, ("executed",)


@pytest.mark.parametrize("content", [b"", b"<html></html>", b"PK\x03\x04 damaged", Surprise(), nn.Linear(2, 2)])
def test_what_is_no_state_dict_is_refused_and_not_executed(
    content: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if isinstance(content, bytes):
        (tmp_path / "old.pth").write_bytes(content)
    else:
        torch.save(content, tmp_path / "old.pth")
    with pytest.raises(SeismagError, match=r"not weights that can be read without running code.*state_dict\(\)"):
        import_weights(tmp_path / "old.pth", tmp_path / "new.pth", ORDERS)
    assert "executed" not in capsys.readouterr().out


@pytest.mark.parametrize("content", [{}, {"loss": 0.3}, {"a": torch.ones(2)}, [torch.ones(2)]])
def test_tensors_of_something_else_are_refused(content: Any, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "old.pth")
    with pytest.raises(SeismagError, match=r"no state dict in it|no ConvNeXt with torchvision's names"):
        import_weights(tmp_path / "old.pth", tmp_path / "new.pth", ORDERS)


def test_a_tensor_of_another_network_has_no_name() -> None:
    with pytest.raises(ValueError, match="not a tensor of convnext_tiny"):
        torchvision_name("layer1.0.conv1.weight")
