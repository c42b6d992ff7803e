"""Starting from a checkpoint, layer-wise rates, and training a part of the network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from fixtures.training_store import changed, latest, same_weights, train
from seismag.config import Config, ModelConfig, build_config
from seismag.domain import SeismagError, UsageError
from seismag.runs import Run, create_run
from seismag.training.backbones import create_backbone, cut_before_last_stage
from seismag.training.checkpoint import build_card, load_checkpoint, save_checkpoint
from seismag.training.frozen import FrozenPart
from seismag.training.loop import parameter_groups
from seismag.training.model import ConvNeXtMultiTask
from seismag.training.scaling import fit_scaling
from seismag.training.train import train_model


@pytest.fixture
def start(store: Any, split: pd.DataFrame, config: Config, tmp_path: Path) -> Run:
    """A run to start from; whether its weights were trained does not matter here."""
    run = create_run(tmp_path / "start", "trial", config)
    trained_on = split.loc[split["role"].isin(["train", "val"]), "sample_id"].tolist()
    model, scaling = ConvNeXtMultiTask(config.model), fit_scaling([store.power[:36]])
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.01)  # no 0, which even the smallest step would change
    save_checkpoint(run.best_model, model, scaling, build_card(store, config, run), trained_on)
    return run


def test_fine_tuning_starts_from_the_weights_and_says_so_on_the_card(
    store: Any, split: pd.DataFrame, config: Config, start: Run, tmp_path: Path
) -> None:
    # at a rate of nothing the weights stay where they began
    idle = {"epochs": 1, "learning_rate": 1e-20, "weight_decay": 0.0}
    config = changed(config, init_from=str(start.path), **idle)
    before = load_checkpoint(start.best_model)
    run, _ = train(store, split, config, tmp_path / "tuned")
    tuned = load_checkpoint(run.best_model)
    assert same_weights(tuned.model.state_dict(), before.model.state_dict())
    initial = tuned.card.document["initial_weights"]
    assert (initial["run_id"], initial["sha256"]) == (start.run_id, before.card.sha256)
    assert initial["taken"] == "all"
    start.best_model.unlink()  # a continuation needs it no longer
    again = train_model(store, split, config, run, resume=True)
    assert len(again) == 1


def test_heads_of_another_architecture_are_refused_or_begin_anew(
    store: Any, split: pd.DataFrame, config: Config, start: Run, tmp_path: Path
) -> None:
    other = {"model": {"azimuth_head": "hierarchical", "attention": "cbam"}}
    config = changed(config, other, init_from=str(start.best_model), epochs=1, learning_rate=1e-20)
    with pytest.raises(UsageError, match=r"azimuth_head flat there, hierarchical here.*train\.reinit_heads=true"):
        train(store, split, config, tmp_path / "refused")
    run, _ = train(store, split, changed(config, reinit_heads=True), tmp_path / "anew")
    before, after = load_checkpoint(start.best_model).model, load_checkpoint(run.best_model)
    assert same_weights(after.model.backbone.state_dict(), before.backbone.state_dict())
    assert after.card.document["initial_weights"]["taken"] == "backbone"


@pytest.mark.parametrize(
    ("model", "values", "message"),
    [
        ({"backbone": "test_resnet"}, {}, r"its backbone is that of test_convnext.*model section test_resnet"),
        ({}, {"init_from": "none.pth"}, r"train\.init_from none\.pth: no such checkpoint.*seismag train"),
        ({}, {"damaged": True}, r"corrupted: its sha256"),
        ({}, {"roles": {"val": "test", "test": "val"}}, r"8 test windows of this fold .*split loeo, fold 1"),
        ({}, {"roles": {"val": "purged", "purged": "val"}}, r"8 excluded windows of this fold .* \(first: GTO_"),
        ({}, {"roles": {"val": "sealed", "purged": "val"}}, r"8 locked windows of this fold"),
        ({}, {"preprocessing": {"window_h": 12}}, r"trained on other preprocessing: .*12"),
    ],
)
def test_a_start_that_cannot_be_is_refused_with_the_reason(
    store: Any, split: pd.DataFrame, config: Config, start: Run, tmp_path: Path,
    model: dict[str, Any], values: dict[str, Any], message: str,
) -> None:  # fmt: skip
    config = changed(config, {"model": model}, init_from=values.get("init_from", str(start.best_model)))
    if "damaged" in values:
        content = bytearray(start.best_model.read_bytes())
        content[len(content) // 2] ^= 1
        start.best_model.write_bytes(content)
    split = split.replace({"role": values.get("roles", {})})  # as another split draws them
    store.attributes["preprocessing"] = values.get("preprocessing", store.attributes["preprocessing"])
    with pytest.raises(SeismagError, match=message):
        train(store, split, config, tmp_path / "refused")


def test_windows_of_the_start_stay_unfit_for_a_judgement(
    store: Any, split: pd.DataFrame, config: Config, start: Run, tmp_path: Path
) -> None:
    config = changed(config, init_from=str(start.best_model), epochs=1)
    fewer = split.copy()
    fewer.loc[fewer["sample_id"].isin(split.loc[split["role"] == "train", "sample_id"].head(4)), "role"] = "none"
    run, _ = train(store, fewer, config, tmp_path / "tuned")
    assert set(load_checkpoint(run.best_model).trained_on) == set(load_checkpoint(start.best_model).trained_on)


def test_layer_decay_lowers_the_rate_from_stage_to_stage() -> None:
    model = ConvNeXtMultiTask(ModelConfig(backbone="test_convnext"))
    rates = {
        id(parameter): group["lr"] for group in parameter_groups(model, 0.05, 1.0, 0.5) for parameter in group["params"]
    }
    assert len(rates) == len(list(model.parameters()))
    backbone = model.backbone
    layers = (model.head_magnitude, *reversed(backbone.stages), backbone.stem)
    for depth, layer in enumerate(layers):
        assert {rates[id(parameter)] for parameter in layer.parameters()} == {0.5**depth}


@pytest.mark.parametrize("name", ["test_convnext", "test_resnet", "test_efficientnet", "vgg11"])
def test_cut_backbone_gives_the_same_feature_map(name: str) -> None:
    backbone = create_backbone(ModelConfig(backbone=name)).eval()
    before, after = cut_before_last_stage(backbone, name)
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(after(before(x)), backbone.forward_features(x))
    assert any(True for _ in after.parameters())


def test_backbone_without_a_known_last_stage_is_refused() -> None:
    with pytest.raises(
        UsageError, match=r"last stage of test_vit is not known, only those of ConvNeXt.*train\.scope=heads"
    ):
        FrozenPart(ConvNeXtMultiTask(ModelConfig(backbone="test_vit")), "last_stage")


@pytest.mark.parametrize(
    ("scope", "model"),
    [
        ("heads", {"backbone": "test_convnext"}),
        ("heads", {"backbone": "test_resnet", "attention": "cbam"}),
        ("last_stage", {"backbone": "test_convnext"}),
        ("last_stage", {"backbone": "test_efficientnet", "attention": "cbam"}),
    ],
)
def test_kept_features_train_to_the_same_weights_as_a_frozen_backbone_without_them(
    store: Any, split: pd.DataFrame, config: Config, tmp_path: Path, scope: str, model: dict[str, Any]
) -> None:
    config = changed(config, {"model": model}, epochs=1)
    start, _ = train(store, split, config, tmp_path / "start")
    config = changed(config, scope=scope, init_from=str(start.path), epochs=2)
    results = {}
    for kept in (True, False):
        run, history = train(store, split, changed(config, cache_features=kept), tmp_path / f"kept_{kept}")
        results[kept] = history, latest(run)["model"]
    for column in ("train_loss", "val_loss"):
        np.testing.assert_allclose(results[True][0][column], results[False][0][column], rtol=1e-4)
    begun = load_checkpoint(start.best_model).model.state_dict()
    frozen = "backbone." if scope == "heads" else ("backbone.stem", "backbone.conv_stem", "backbone.blocks.0")
    for name, tensor in results[True][1].items():
        torch.testing.assert_close(tensor, results[False][1][name], rtol=1e-3, atol=2e-5)
        if name.startswith(frozen):
            assert torch.equal(tensor, begun[name])
    moved = "head_magnitude.2.weight" if scope == "heads" else next(n for n in reversed(begun) if "backbone" in n)
    assert not torch.equal(results[True][1][moved], begun[moved])


def test_features_too_large_to_keep_name_the_way_out(
    store: Any, split: pd.DataFrame, config: Config, start: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seismag.training.frozen.PRELOAD_BYTES", 1000)
    config = changed(config, init_from=str(start.path), scope="heads")
    with pytest.raises(SeismagError, match=r"of 28 windows take .* GiB.*train\.cache_features=false"):
        train(store, split, config, tmp_path / "large")


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"train": {"scope": "heads"}}, r"train\.scope heads keeps the initial backbone, whose weights are random"),
        (
            {"train": {"scope": "heads", "init_from": "a.pth"}, "augment": {"time_masks": 1}},
            r"augment changes the windows in each epoch\. Set train\.cache_features=false",
        ),
        ({"train": {"scope": "heads", "init_from": "a.pth", "compile": True}}, r"little to compile"),
        ({"train": {"init_from": "a.pth"}, "model": {"pretrained": True}}, r"both set the initial weights"),
        ({"train": {"reinit_heads": True}}, r"there is no train\.init_from"),
    ],
)
def test_contradictions_are_refused_with_both_keys(tree: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build_config(tree)
