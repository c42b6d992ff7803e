"""Cost of Grad-CAM of both tasks, compared with a forward pass.

    python benchmarks/gradcam.py [--model convnext_tiny] [--size 224] [--samples 100] [--batch 10] [--rounds 3]

Times, in turn in one process: the plain forward pass without gradients, our Grad-CAM of both tasks (backbone once,
gradient through the head alone), and the textbook way for both tasks (forward and backward pass of the whole
network, once for each). Prints the cost of a sample in forward passes; the aim of ours is at most 1.3. The maps of the
two ways are compared as well.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor

from seismag.config import ModelConfig
from seismag.explain.gradcam import CLASS_TASKS, attribute
from seismag.training.model import ConvNeXtMultiTask

AIM = 1.3


def forward_only(model: ConvNeXtMultiTask, x: Tensor) -> None:
    """The reference: one prediction."""
    with torch.no_grad():
        model(x)


def textbook(model: ConvNeXtMultiTask, x: Tensor) -> dict[str, Tensor]:
    """Grad-CAM by a forward and a backward pass of the whole network for each task."""
    maps = {}
    for task in CLASS_TASKS:
        feature_map = model.feature_map(x)
        feature_map.retain_grad()
        model.zero_grad(set_to_none=True)
        scores = getattr(model.classify_map(feature_map), task)
        scores.max(dim=1).values.sum().backward()
        assert feature_map.grad is not None
        weight = feature_map.grad.mean(dim=(2, 3), keepdim=True)
        maps[task] = torch.relu((weight * feature_map).sum(dim=1)).detach()
    return maps


def seconds(work: Callable[[], object]) -> float:
    """Processor time of the process, which other work on the machine moves less than the wall clock."""
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    """Time the three ways and print their ratios."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="convnext_tiny")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--batch", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    torch.manual_seed(1)
    model = ConvNeXtMultiTask(ModelConfig.model_validate({"backbone": arguments.model})).eval()
    data = torch.randn(arguments.samples, model.n_channels, arguments.size, arguments.size)
    batches = data.split(arguments.batch)
    ways: dict[str, Callable[[Tensor], object]] = {
        "forward pass": lambda x: forward_only(model, x),
        "seismag, both tasks": lambda x: attribute(model, x),
        "whole network, both tasks": lambda x: textbook(model, x),
    }
    expected, found = textbook(model, batches[0]), attribute(model, batches[0])
    gap = max(float(np.abs(found[task].coarse - expected[task].numpy()).max()) for task in CLASS_TASKS)
    scale = max(float(expected[task].max()) for task in CLASS_TASKS)
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(arguments.rounds):
        totals = dict.fromkeys(ways, 0.0)
        for x in batches:  # in turn, so that the load of the machine meets all alike
            for name, way in ways.items():
                totals[name] += seconds(partial(way, x))
        for name, total in totals.items():
            spent[name].append(total)
    reference = np.array(spent["forward pass"])
    print(
        f"{arguments.model} {arguments.size} x {arguments.size}, {arguments.samples} samples, {arguments.rounds} rounds"
    )
    for name, values in spent.items():
        ratio = np.median(np.array(values) / reference)
        aim = f"  aim at most {AIM}" if name.startswith("seismag") else ""
        print(
            f"  {name:27}{1000 * np.median(values) / arguments.samples:8.1f} ms a sample"
            f"{ratio:8.3f} forward passes{aim}"
        )
    print(f"  largest difference of the maps: {gap:.1e} of {scale:.1e}")


if __name__ == "__main__":
    main()
