"""Checkpoints and their cards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from seismag.cards import ModelCard, write_card
from seismag.config import Config
from seismag.domain import AZIMUTH_CLASSES, MAGNITUDE_CLASSES, SeismagError
from seismag.files import file_sha256
from seismag.runs import Run
from seismag.training.checkpoint import (
    build_card,
    check_architecture,
    check_preprocessing,
    checkpoint_content,
    load_checkpoint,
    save_checkpoint,
)
from seismag.training.inference import predict_power
from seismag.training.model import ConvNeXtMultiTask
from seismag.training.scaling import Scaling, fit_scaling


@pytest.fixture
def card(store: Any, config: Config, run: Run) -> dict[str, Any]:
    return build_card(store, config, run)


@pytest.fixture
def scaling(store: Any) -> Scaling:
    return fit_scaling([store.power[:]])


@pytest.fixture
def model(config: Config) -> ConvNeXtMultiTask:
    return ConvNeXtMultiTask(config.model)


@pytest.fixture
def path(tmp_path: Path, model: ConvNeXtMultiTask, scaling: Scaling, card: dict[str, Any]) -> Path:
    save_checkpoint(tmp_path / "models" / "m.pth", model, scaling, card, trained_on=["GTO_1", "GTO_2"])
    return tmp_path / "models" / "m.pth"


def test_loaded_model_is_the_saved_one(
    path: Path, model: ConvNeXtMultiTask, scaling: Scaling, card: dict[str, Any], run: Run
) -> None:
    loaded = load_checkpoint(path)
    assert not loaded.model.training
    state = model.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in loaded.model.state_dict().items())
    np.testing.assert_array_equal(loaded.scaling.mean_db, scaling.mean_db)
    assert loaded.trained_on == ("GTO_1", "GTO_2")
    assert loaded.card.split["n_folds"] == 10
    assert loaded.card.run_id == run.run_id
    assert loaded.card.dataset_id == "d0"
    assert loaded.card.backbone == "test_convnext"
    assert (loaded.card.split_name, loaded.card.fold) == ("loeo", 1)
    assert loaded.card.document["magnitude_classes"] == list(MAGNITUDE_CLASSES)
    assert loaded.card.document["azimuth_classes"] == list(AZIMUTH_CLASSES)
    assert loaded.card.data_origin == ["simulated"]
    assert len(loaded.card.frequency_hz) == 32
    assert loaded.card.preprocessing["segment_s"] == 600
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["m.json", "m.pth"]
    beside = json.loads((path.parent / "m.json").read_text())
    assert beside["sha256"] == file_sha256(path)
    assert {key: beside[key] for key in card} == card


def test_missing_model_names_the_commands_that_make_one(tmp_path: Path) -> None:
    with pytest.raises(SeismagError, match=r"make demo.*models/convnext_loeo_best\.pth.*seismag train"):
        load_checkpoint(tmp_path / "m.pth")


def test_truncated_model_is_called_corrupted(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(SeismagError, match=r"m\.pth: corrupted"):
        load_checkpoint(path)


def test_truncated_model_with_a_fitting_sum_is_no_checkpoint(path: Path, card: dict[str, Any]) -> None:
    path.write_bytes(path.read_bytes()[:-1000])
    write_card(path, card)
    with pytest.raises(SeismagError, match="not a seismag checkpoint"):
        load_checkpoint(path)


class Surprise:
    def __reduce__(self) -> Any:
        return print, ("executed",)


@pytest.mark.parametrize("content", [{"state_dict": {}}, [1, 2], Surprise()])
def test_foreign_file_is_no_checkpoint_and_is_not_executed(
    tmp_path: Path, content: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(content, tmp_path / "m.pth")
    write_card(tmp_path / "m.pth", {})
    with pytest.raises(SeismagError, match="not a seismag checkpoint"):
        load_checkpoint(tmp_path / "m.pth")
    assert "executed" not in capsys.readouterr().out


def save_content(path: Path, content: dict[str, Any]) -> None:
    torch.save(content, path)
    write_card(path, content["card"])


@pytest.mark.parametrize("part", ["scaling", "trained_on", "card", "card.model"])
def test_checkpoint_without_a_part_names_it(path: Path, card: dict[str, Any], part: str) -> None:
    content = torch.load(path, weights_only=True)
    owner = content if "." not in part else content["card"]
    del owner[part.rpartition(".")[2]]
    torch.save(content, path)
    write_card(path, card)
    with pytest.raises(SeismagError, match=rf"m\.pth: damaged.*lacks {part}.*Copy both files"):
        load_checkpoint(path)


@pytest.mark.parametrize(("part", "name"), [("model", "head_azimuth.5.bias"), ("scaling", "std_db")])
def test_weights_that_are_no_numbers_are_refused(path: Path, card: dict[str, Any], part: str, name: str) -> None:
    content = torch.load(path, weights_only=True)
    content[part][name].view(-1)[3] = float("nan")
    torch.save(content, path)
    write_card(path, card)
    with pytest.raises(SeismagError, match=rf"{name} contains numbers that are not finite.*train again"):
        load_checkpoint(path)


def test_newer_format_asks_for_an_update(
    path: Path, model: ConvNeXtMultiTask, scaling: Scaling, card: dict[str, Any]
) -> None:
    save_content(path, checkpoint_content(model, scaling, {**card, "format_version": 99}))
    with pytest.raises(SeismagError, match=r"written in format 99.*Update"):
        load_checkpoint(path)
    older = {**card, "format_version": 1, "model": {**card["model"], "input": "power_cross"}}
    save_content(path, checkpoint_content(model, scaling, older))
    with pytest.raises(SeismagError, match=r"written in format 1, whose cross-spectra.*Train it again"):
        load_checkpoint(path)


def test_classes_in_another_order_are_followed_by_name(
    path: Path, store: Any, model: ConvNeXtMultiTask, scaling: Scaling, card: dict[str, Any]
) -> None:
    expected = predict_power(load_checkpoint(path), store.power[:4])
    content = checkpoint_content(model, scaling, card)
    state = {name: value.clone() for name, value in content["model"].items()}
    order = [2, 0, 3, 1]
    for name in ("weight", "bias"):
        state[f"head_magnitude.5.{name}"] = state[f"head_magnitude.5.{name}"][order]
    content["model"] = state
    content["card"]["magnitude_classes"] = [MAGNITUDE_CLASSES[place] for place in order]
    save_content(path, content)
    loaded = load_checkpoint(path)
    np.testing.assert_allclose(predict_power(loaded, store.power[:4])[0], expected[0], rtol=1e-6)
    assert loaded.card.document["magnitude_classes"] == list(MAGNITUDE_CLASSES)


@pytest.mark.parametrize("classes", [["Normal", "Moderate", "Medium", "Huge"], ["Normal", "Moderate", "Medium"]])
def test_unknown_or_missing_class_is_refused(
    path: Path, model: ConvNeXtMultiTask, scaling: Scaling, card: dict[str, Any], classes: list[str]
) -> None:
    save_content(path, checkpoint_content(model, scaling, {**card, "magnitude_classes": classes}))
    with pytest.raises(SeismagError, match=r"unknown here: (Huge|none), missing: Large"):
        load_checkpoint(path)


def test_weights_of_another_backbone_are_refused(
    path: Path, model: ConvNeXtMultiTask, scaling: Scaling, card: dict[str, Any]
) -> None:
    other = {**card, "model": {**card["model"], "backbone": "resnet18", "attention": "cbam"}}
    save_content(path, checkpoint_content(model, scaling, other))
    with pytest.raises(
        SeismagError,
        match=r"do not fit the network in its model card, resnet18, attention cbam, head_width 32: \d+ missing",
    ) as caught:
        load_checkpoint(path)
    assert len(str(caught.value)) < 600


def test_checkpoint_of_another_architecture_is_refused_with_both_named(card: dict[str, Any], config: Config) -> None:
    check_architecture(card, config.model.model_copy(update={"pretrained": True, "head_dropout": 0.1}), Path("m.pth"))
    asked = config.model.model_copy(update={"backbone": "vgg16", "azimuth_head": "hierarchical"})
    with pytest.raises(
        SeismagError,
        match=r"m\.pth: its network is test_convnext, head_width 32, that of the configuration is "
        r"vgg16, azimuth_head hierarchical, head_width 32\. Change the model section",
    ):
        check_architecture(card, asked, Path("m.pth"))


@pytest.mark.parametrize(("key", "value"), [("azimuth_head", "wavelet"), ("magnitude_head", "softmax")])
def test_option_of_another_version_on_the_card_is_named(
    path: Path, model: ConvNeXtMultiTask, scaling: Scaling, card: dict[str, Any], key: str, value: str
) -> None:
    other = {**card, "model": {**card["model"], key: value}, "seismag_version": "9.0"}
    save_content(path, checkpoint_content(model, scaling, other))
    with pytest.raises(SeismagError, match=rf"model\.{key} in its model card, '{value}', is not known.*by 9\.0"):
        load_checkpoint(path)


def test_card_without_the_options_is_one_of_the_plain_model(
    path: Path, model: ConvNeXtMultiTask, scaling: Scaling, card: dict[str, Any]
) -> None:
    keys = ("backbone", "pretrained", "head_width", "head_dropout", "head_dropout_inner")  # all there were at first
    early = {**card, "model": {key: card["model"][key] for key in keys}}
    save_content(path, checkpoint_content(model, scaling, early))
    assert load_checkpoint(path).model.config == model.config


@pytest.mark.parametrize("options", [{"azimuth_head": "hierarchical"}, {"detection_head": True}])
def test_structured_heads_load_in_our_order_and_refuse_another(
    path: Path, store: Any, config: Config, scaling: Scaling, card: dict[str, Any], options: dict[str, Any]
) -> None:
    structured = config.model.model_copy(update=options)
    model = ConvNeXtMultiTask(structured).eval()
    ours = {**card, "model": structured.model_dump()}
    save_checkpoint(path, model, scaling, ours)
    loaded = load_checkpoint(path)
    x = torch.from_numpy(scaling.apply(store.power[:2]))
    with torch.no_grad():
        torch.testing.assert_close(loaded.model(x).azimuth, model(x).azimuth)
    save_content(path, checkpoint_content(model, scaling, {**ours, "azimuth_classes": list(AZIMUTH_CLASSES[::-1])}))
    with pytest.raises(SeismagError, match=r"azimuth classes are in the order NW, W.*head .*are not classes"):
        load_checkpoint(path)


def test_card_names_source_and_licence_of_pretrained_weights(
    store: Any, config: Config, run: Run, card: dict[str, Any]
) -> None:
    assert card["pretrained_weights"] is None
    model = config.model.model_copy(update={"pretrained": True, "backbone": "convnext_tiny.fb_in1k"})
    card = build_card(store, config.model_copy(update={"model": model}), run)
    assert card["pretrained_weights"] == {
        "name": "convnext_tiny.fb_in1k", "source": "timm/convnext_tiny.fb_in1k", "license": "apache-2.0"
    }  # fmt: skip


def test_other_preprocessing_is_named_with_both_values(card: dict[str, Any], run: Run) -> None:
    trained = ModelCard.from_json(card)
    check_preprocessing(trained, {"window_h": 6, "segment_s": 600, "frequency_rows": "linear"})
    with pytest.raises(SeismagError, match=rf"{run.run_id}.*segment_s 600 in training, 300 here"):
        check_preprocessing(trained, {"window_h": 6, "segment_s": 300, "frequency_rows": "linear"})
    with pytest.raises(SeismagError, match=r"n_bins '\(not set\)' in training, 64 here"):
        check_preprocessing(trained, {**card["preprocessing"], "n_bins": 64})
