"""Perturbations of a model and its input for the sanity tests: random weights, random labels, replaced bins."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from seismag.arrays import Float32Array, FloatArray
from seismag.explain.gradcam import CLASS_TASKS, Attribution, Method, attribute, interpolate_maps
from seismag.explain.replacement import ALL_COMPONENTS, Windows, batches, predict_windows
from seismag.training.backbones import parameter_depths
from seismag.training.checkpoint import LoadedModel
from seismag.training.model import ConvNeXtMultiTask

REFIT_STEPS, REFIT_LEARNING_RATE = 150, 3e-3
RANDOM_ORDERS = 2
FRACTIONS = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)  # of the bins, with both ends of the curves


def attribute_in_batches(
    model: ConvNeXtMultiTask, x: Tensor, method: Method, targets: Mapping[str, Tensor] | None = None
) -> dict[str, Attribution]:
    """``attribute`` for any number of windows."""
    parts = []
    for indices in batches(len(x)):
        chosen = None if targets is None else {task: target[indices] for task, target in targets.items()}
        parts.append(attribute(model, x[indices], method, chosen))
    return {
        task: Attribution(
            np.concatenate([part[task].coarse for part in parts]),
            np.concatenate([part[task].target for part in parts]),
            np.concatenate([part[task].probability for part in parts]),
        )
        for task in CLASS_TASKS
    }


def stages_from_the_head(model: ConvNeXtMultiTask) -> list[tuple[str, list[str]]]:
    """Names of the entries of the state dict by stage, from the heads to the stem.

    Statistics of normalisation layers belong to the stage of their layer.
    """
    depths = parameter_depths(model.backbone)
    by_module = {name.rpartition(".")[0]: depth for name, depth in depths.items()}
    stages: dict[int, list[str]] = {}
    first, attention = [], []
    for name in model.state_dict():
        owner, _, rest = name.partition(".")
        if owner == "backbone":
            module = rest.rpartition(".")[0]
            stages.setdefault(depths.get(rest, by_module.get(module, 0)), []).append(name)
        elif owner == "attention":
            attention.append(name)
        else:
            first.append(name)
    result = [("heads", first)]
    if attention:
        result.append(("attention", attention))
    for depth in sorted(stages, reverse=True):
        result.append(("stem" if depth == 0 else f"stage {depth}", stages[depth]))
    return result


def cascade_of_random_weights(
    model: ConvNeXtMultiTask, x: Tensor, targets: Mapping[str, Tensor], method: Method, seed: int
) -> Iterator[tuple[str, dict[str, Attribution]]]:
    """Explain the same classes (n,) while the weights are randomised stage by stage, from the heads to the stem.

    Yields:
        Name of the last randomised stage, and the attribution of x (n, C, F, T) by the changed copy of the model.

    Source: cascading randomisation, Adebayo et al. (2018), arXiv:1810.03292, section 3.1.
    """
    fresh = _random_state(model, seed)
    changed = copy.deepcopy(model).eval()
    state = changed.state_dict()  # shares its memory with the model
    for name, entries in stages_from_the_head(model):
        with torch.no_grad():
            for entry in entries:
                state[entry].copy_(fresh[entry])
        yield name, attribute_in_batches(changed, x, method, targets)


def refit_heads(
    model: ConvNeXtMultiTask, features: Tensor, labels: Mapping[str, Tensor], seed: int
) -> ConvNeXtMultiTask:
    """Copy a model and train its heads from random weights on pooled features (n, C) and classes (n,) by task.

    The backbone stays as it is; the copy is in evaluation mode (no dropout, also in training).
    """
    fresh = _random_state(model, seed)
    refitted = copy.deepcopy(model).eval()
    heads = {name: fresh[name] for name in fresh if name.startswith("head_")}
    refitted.load_state_dict({**model.state_dict(), **heads})
    parameters = [value for name, value in refitted.named_parameters() if name.startswith("head_")]
    optimiser = torch.optim.AdamW(parameters, lr=REFIT_LEARNING_RATE, weight_decay=0.01)
    for _ in range(REFIT_STEPS):
        outputs = refitted.classify(features)
        loss = functional.cross_entropy(outputs.magnitude, labels["magnitude"])
        loss = loss + functional.cross_entropy(outputs.azimuth, labels["azimuth"])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
    return refitted


def trace_curves(
    loaded: LoadedModel, windows: Windows, others: Windows, found: Mapping[str, Attribution], rng: np.random.Generator
) -> dict[str, dict[str, FloatArray]]:
    """Probability of the explained class of n windows while bins are replaced by those of n other windows.

    Inserting the first bins equals removing all others, and a reversed random order is a random order, so the same
    random curves serve deletion and insertion.

    Returns:
        By task, over ``FRACTIONS`` (S,): ``deletion`` (n, S), bins removed in order of decreasing attribution;
        ``insertion`` (n, S), bins inserted into the other window in this order; ``random`` (R, n, S), bins removed in
        random orders as smooth as the maps.

    Source: Petsiuk, Das & Saenko (2018), arXiv:1806.07421, with measured values instead of a blank or blurred input.
    """
    size = windows.power_db.shape[2:]
    indices, coarse_shape = np.arange(len(windows)), found[CLASS_TASKS[0]].coarse.shape

    def predict(gone: NDArray[np.bool_]) -> dict[str, FloatArray]:
        probs, _ = predict_windows(loaded, windows.with_bins_of(others, gone, ALL_COMPONENTS))
        return {task: probs[task][indices, found[task].target] for task in CLASS_TASKS}

    whole, nothing = predict(np.zeros(size, dtype=bool)), predict(np.ones(size, dtype=bool))  # the ends of all curves

    def curve(rank: FloatArray, backwards: bool = False) -> dict[str, FloatArray]:
        """By task (n, S); backwards: all but the first bins are replaced."""
        steps = [predict(rank >= f if backwards else rank < f) for f in FRACTIONS[1:-1]]
        ends = (nothing, whole) if backwards else (whole, nothing)
        return {task: np.stack([step[task] for step in (ends[0], *steps, ends[1])], axis=1) for task in CLASS_TASKS}

    def draw_smooth() -> Float32Array:
        return interpolate_maps(rng.random(coarse_shape, dtype=np.float32), size)

    random = [curve(_rank_bins(draw_smooth(), rng)) for _ in range(RANDOM_ORDERS)]
    curves = {}
    for task in CLASS_TASKS:
        rank = _rank_bins(interpolate_maps(found[task].coarse, size), rng, draw_smooth())
        curves[task] = {
            "deletion": curve(rank)[task],
            "insertion": curve(rank, backwards=True)[task],
            "random": np.stack([entry[task] for entry in random]),
        }
    return curves


def _random_state(model: ConvNeXtMultiTask, seed: int) -> dict[str, Tensor]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ConvNeXtMultiTask(model.config.model_copy(update={"pretrained": False})).state_dict()


def _rank_bins(maps: Float32Array, rng: np.random.Generator, ties: Float32Array | None = None) -> FloatArray:
    """Rank of each bin in its window, (n, F, T) from 0 (largest) to below 1.

    Equal bins (many have no attribution) are ordered by a second smooth map, then at random; the order of the array
    would prefer low frequencies.
    """
    flat = maps.reshape(len(maps), -1)
    second = flat if ties is None else ties.reshape(flat.shape)
    order = np.lexsort((rng.random(flat.shape, dtype=np.float32), -second, -flat), axis=1)
    rank = np.empty(flat.shape)
    np.put_along_axis(rank, order, np.arange(flat.shape[1]) / flat.shape[1], axis=1)
    return rank.reshape(maps.shape)
