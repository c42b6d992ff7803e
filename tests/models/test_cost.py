"""What a network costs: operations and parameters against formulas, and the order in which models are timed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from seismag.cards import ModelCard
from seismag.config import ModelConfig
from seismag.models.cost import (
    LatencyPlan,
    count_flops,
    count_parameters,
    measure_latency,
    summarise_latency,
    time_in_turn,
)
from seismag.training.checkpoint import LoadedModel
from seismag.training.model import ConvNeXtMultiTask
from seismag.training.scaling import Scaling


def atto() -> LoadedModel:
    torch.manual_seed(1)
    model = ConvNeXtMultiTask(ModelConfig(backbone="convnext_atto", head_width=16))  # type: ignore[call-arg]
    scaling = Scaling(np.zeros((3, 40), np.float32), np.ones((3, 40), np.float32))
    card = ModelCard(frequency_hz=[float(row) for row in range(40)], time_s=[float(frame) for frame in range(59)])
    return LoadedModel(Path("m.pth"), model.eval(), scaling, card)


def test_operations_of_a_convolution_are_twice_its_products() -> None:
    whole, depthwise = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1, groups=4)
    assert count_flops(whole, torch.zeros(1, 2, 8, 6)) == 2 * (4 * 8 * 6) * (2 * 9)
    assert count_flops(depthwise, torch.zeros(1, 4, 8, 6)) == 2 * (4 * 8 * 6) * 9
    strided = nn.Conv2d(2, 4, 4, stride=4)
    assert count_flops(strided, torch.zeros(1, 2, 8, 8)) == 2 * (4 * 2 * 2) * (2 * 16)


def test_frozen_backbone_is_not_trainable() -> None:
    loaded = atto()
    network = loaded.model
    heads = sum(p.numel() for head in (network.head_magnitude, network.head_azimuth) for p in head.parameters())
    counted = count_parameters(loaded, "heads")
    assert counted["trainable"] == heads < counted["total"]


def test_every_model_is_timed_once_a_round_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    now, order = [0.0], []

    def work(name: str, seconds: float) -> None:
        order.append(name)
        now[0] += seconds

    works = [lambda n=n, s=s: work(n, s) for n, s in (("a", 1.0), ("b", 2.0), ("c", 4.0))]
    monkeypatch.setattr("seismag.models.cost.time.perf_counter", lambda: now[0])
    seconds = time_in_turn(works, 3)
    assert "".join(order) == "abcbcacab"
    np.testing.assert_array_equal(seconds, [[1, 2, 4]] * 3)


def test_ratio_is_taken_within_a_round_so_that_load_cancels() -> None:
    load = np.array([1.0, 10.0, 3.0])[:, None]
    first, second = summarise_latency(load * np.array([[1.0, 2.0]]))
    assert (first["ratio_to_first"], second["ratio_to_first"]) == (1.0, 2.0)
    assert (second["median_s"], second["q25_s"], second["q75_s"]) == (6.0, 4.0, 13.0)


def test_latency_of_models_is_given_by_batch() -> None:
    loaded = atto()
    stages = []
    found = measure_latency({"a": loaded, "b": loaded}, LatencyPlan({1: 3, 2: 2}, 1), lambda *a: stages.append(a))
    assert set(found) == {"a", "b"}
    assert set(found["b"]) == {"batch_1", "batch_2"}
    assert found["b"]["batch_1"]["rounds"] == 3
    assert 0 < found["b"]["batch_1"]["q25_s"] <= found["b"]["batch_1"]["median_s"]
    assert found["a"]["batch_2"]["ratio_to_first"] == pytest.approx(1.0)
    assert stages[-1] == ("latency", 2, 2)
