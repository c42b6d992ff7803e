"""Cost of networks: parameters, floating point operations of one window, and latency, all models in one session."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from seismag.arrays import FloatArray
from seismag.training.checkpoint import LoadedModel
from seismag.training.frozen import FrozenPart

FLOPS_COUNTED = (
    "torch.utils.flop_counter, one forward pass of one window: convolutions, matrix products and attention; a "
    "multiplication with its addition counts as 2; activations, normalisation and pooling are not counted"
)


@dataclass(frozen=True)
class LatencyPlan:
    """How latency is measured."""

    rounds: Mapping[int, int] = field(default_factory=lambda: {1: 30, 32: 7})  # by batch size; each times every model
    warm_up: int = 2  # passes of each model before, which are not timed


def count_parameters(loaded: LoadedModel, scope: str = "all") -> dict[str, int]:
    """Count all parameters, and those that a training of ``scope`` (``train.scope``) changes.

    The layers that ``scope`` freezes lose their gradient here: the model is for inference.
    """
    if scope != "all":
        FrozenPart(loaded.model, scope)
    numbers = [(parameter.numel(), parameter.requires_grad) for parameter in loaded.model.parameters()]
    return {"total": sum(n for n, _ in numbers), "trainable": sum(n for n, trained in numbers if trained)}


def count_flops(network: nn.Module, x: Tensor) -> int:
    """Count the floating point operations of one forward pass of ``x``; see ``FLOPS_COUNTED``."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(x)
    return int(counter.get_total_flops())


def blank_input(loaded: LoadedModel, batch: int) -> Tensor:
    """Return input (batch, channels, F, T) on the grid of the model card and the device of the model."""
    return loaded.model.blank_input(len(loaded.card.frequency_hz), len(loaded.card.time_s), batch)


def measure_latency(
    models: Mapping[str, LoadedModel], plan: LatencyPlan, progress: Callable[[str, int, int], None]
) -> dict[str, dict[str, dict[str, float]]]:
    """Time the forward pass of scaled input in memory to class scores, on a GPU where there is one.

    Returns:
        By model and ``batch_<n>``: ``median_s``, ``q25_s``, ``q75_s`` of a pass, ``ratio_to_first`` (median over the
        rounds of the ratio within a round), ``rounds``.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    found: dict[str, dict[str, dict[str, float]]] = {name: {} for name in models}
    for done, (batch, rounds) in enumerate(plan.rounds.items()):
        progress("latency", done, len(plan.rounds))
        functions = [_forward(loaded, batch, device) for loaded in models.values()]
        for function in functions:
            for _ in range(plan.warm_up):
                function()
        seconds = time_in_turn(functions, rounds)
        for name, entry in zip(models, summarise_latency(seconds), strict=True):
            found[name][f"batch_{batch}"] = entry
    for loaded in models.values():
        loaded.model.cpu()
    progress("latency", len(plan.rounds), len(plan.rounds))
    return found


def time_in_turn(functions: Sequence[Callable[[], None]], rounds: int) -> FloatArray:
    """Time each function once a round, (rounds, functions) in s, so that the load of the machine affects all alike.

    Each round begins with another one.
    """
    seconds = np.empty((rounds, len(functions)))
    for number in range(rounds):
        for step in range(len(functions)):
            index = (number + step) % len(functions)
            start = time.perf_counter()
            functions[index]()
            seconds[number, index] = time.perf_counter() - start
    return seconds


def summarise_latency(seconds: FloatArray) -> list[dict[str, float]]:
    """Return median and quartiles of each column of seconds (rounds, functions), and its ratio to the first column."""
    table = pd.DataFrame(np.quantile(seconds, [0.5, 0.25, 0.75], axis=0).T, columns=["median_s", "q25_s", "q75_s"])
    table["ratio_to_first"] = np.median(seconds / seconds[:, :1], axis=0)
    return [{**row, "rounds": len(seconds)} for row in table.to_dict("records")]


def device_name() -> str:
    """Return the name of the GPU where there is one, else ``CPU``."""
    return str(torch.cuda.get_device_name()) if torch.cuda.is_available() else "CPU"


def _forward(loaded: LoadedModel, batch: int, device: torch.device) -> Callable[[], None]:
    network = loaded.model.to(device).eval()
    x = blank_input(loaded, batch)

    def work() -> None:
        with torch.inference_mode():
            network(x)
        if device.type == "cuda":
            torch.cuda.synchronize()

    return work
