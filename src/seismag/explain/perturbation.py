"""Perturbations of a model and its input for the sanity tests: random weights, random labels, replaced bins."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from seismag.arrays import IntArray
from seismag.explain.gradcam import CLASS_TASKS, Attribution, Method, attribute
from seismag.explain.replacement import ALL_COMPONENTS, BATCH, Windows, predict_windows
from seismag.training.backbones import parameter_depths
from seismag.training.checkpoint import LoadedModel
from seismag.training.model import ConvNeXtMultiTask

Maps = dict[str, NDArray[np.float32]]  # by task (n, F', T')
Explain = Callable[[ConvNeXtMultiTask, Tensor, dict[str, Tensor]], Maps]
REFIT_STEPS = 150
REFIT_LEARNING_RATE = 3e-3
FRACTIONS = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)  # of the bins, with both ends of the curves


@dataclass(frozen=True)
class Curves:
    """Probability of the explained class while bins are replaced.

    Attributes:
        fractions: (S,) of the bins, from 0 to 1.
        deletion: (n, S) bins removed in order of decreasing attribution.
        insertion: (n, S) bins inserted into the replacement window in the same order.
        random: (R, n, S) bins removed in random orders as smooth as the maps.
    """

    fractions: NDArray[np.float64]
    deletion: NDArray[np.float64]
    insertion: NDArray[np.float64]
    random: NDArray[np.float64]


def explain_by(method: Method) -> Explain:
    """Grad-CAM as a function of model, input and classes."""
    return lambda model, x, targets: {task: a.coarse for task, a in attribute(model, x, method, targets).items()}


def attribute_windows(loaded: LoadedModel, windows: Windows, method: Method) -> dict[str, Attribution]:
    """``attribute`` in batches, of the predicted classes."""
    parts = [
        attribute(loaded.model, windows.of(indices).channels(loaded), method) for indices in _batches(len(windows))
    ]
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
    model: ConvNeXtMultiTask, x: Tensor, targets: dict[str, Tensor], explain: Explain, seed: int
) -> Iterator[tuple[str, Maps]]:
    """Explain the same classes while the weights are randomised stage by stage, from the heads to the stem.

    Args:
        model: in evaluation mode; it is not changed.
        x: (n, C, F, T).
        targets: by task (n,) classes to explain.
        explain: the attribution.
        seed: of the random weights.

    Yields:
        Name of the last randomised stage, and the maps.

    Source: cascading randomisation, Adebayo et al. (2018), arXiv:1810.03292, section 3.1.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = ConvNeXtMultiTask(model.config.model_copy(update={"pretrained": False})).state_dict()
    changed = copy.deepcopy(model).eval()
    state = changed.state_dict()  # shares its memory with the model
    for name, entries in stages_from_the_head(model):
        with torch.no_grad():
            for entry in entries:
                state[entry].copy_(fresh[entry])
        yield name, explain_in_batches(changed, x, targets, explain)


def refit_heads(model: ConvNeXtMultiTask, features: Tensor, labels: Mapping[str, Tensor], seed: int) -> Any:
    """Copy a model and train its heads from random weights on pooled features; the backbone is not changed.

    Args:
        model: in evaluation mode; it is not changed.
        features: (n, C) of ``embed``.
        labels: by task (n,) class, true or shuffled.
        seed: of the random weights.

    Returns:
        The copy, in evaluation mode (no dropout, also in training).
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = ConvNeXtMultiTask(model.config.model_copy(update={"pretrained": False})).state_dict()
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


def explain_in_batches(model: ConvNeXtMultiTask, x: Tensor, targets: Mapping[str, Tensor], explain: Explain) -> Maps:
    """Explain windows in batches."""
    parts = [
        explain(model, x[indices], {task: target[indices] for task, target in targets.items()})
        for indices in _batches(len(x))
    ]
    return {task: np.concatenate([part[task] for part in parts]) for task in CLASS_TASKS}


def trace_curves(
    loaded: LoadedModel,
    windows: Windows,
    others: Windows,
    found: Mapping[str, Attribution],
    draw: tuple[int, np.random.Generator],
) -> dict[str, Curves]:
    """Deletion and insertion curves: replace bins in order of their attribution, and in random orders.

    Inserting the first bins equals removing all others, and a reversed random order is a random order, so the same
    random curves serve deletion and insertion.

    Args:
        loaded: the model.
        windows: n windows.
        others: n replacement windows.
        found: by task the attribution of these windows.
        draw: number of random orders, and the generator.

    Returns:
        By task.

    Source: Petsiuk, Das & Saenko (2018), arXiv:1806.07421, with measured values instead of a blank or blurred input.
    """
    n_random, rng = draw
    size = windows.power_db.shape[2:]
    indices, coarse_shape = np.arange(len(windows)), found[CLASS_TASKS[0]].coarse.shape
    columns = {task: attribution.target for task, attribution in found.items()}

    def predict(gone: NDArray[np.bool_]) -> dict[str, NDArray[np.float64]]:
        magnitude, azimuth, _ = predict_windows(loaded, windows.with_bins_of(others, gone, ALL_COMPONENTS))
        return {
            "magnitude": magnitude[indices, columns["magnitude"]],
            "azimuth": azimuth[indices, columns["azimuth"]],
        }

    whole, nothing = predict(np.zeros(size, dtype=bool)), predict(np.ones(size, dtype=bool))  # the ends of all curves

    def curve(rank: NDArray[np.float64], backwards: bool = False) -> dict[str, NDArray[np.float64]]:
        """By task (n, S); backwards: all but the first bins are replaced."""
        steps = [predict(rank >= f if backwards else rank < f) for f in FRACTIONS[1:-1]]
        ends = (nothing, whole) if backwards else (whole, nothing)
        return {task: np.stack([step[task] for step in (ends[0], *steps, ends[1])], axis=1) for task in CLASS_TASKS}

    def draw_smooth() -> NDArray[np.float32]:
        return _smooth(rng.random(coarse_shape, dtype=np.float32), size)

    random = [curve(_rank_bins(draw_smooth(), rng)) for _ in range(n_random)]
    curves = {}
    for task in CLASS_TASKS:
        rank = _rank_bins(found[task].on_grid(*size), rng, draw_smooth())
        curves[task] = Curves(
            np.array(FRACTIONS), curve(rank)[task], curve(rank, backwards=True)[task],
            np.stack([entry[task] for entry in random]),
        )  # fmt: skip
    return curves


def _rank_bins(
    maps: NDArray[np.float32], rng: np.random.Generator, ties: NDArray[np.float32] | None = None
) -> NDArray[np.float64]:
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


def _smooth(coarse: NDArray[np.float32], size: tuple[int, ...]) -> NDArray[np.float32]:
    blank = np.zeros(len(coarse))
    return Attribution(coarse, blank.astype(np.int64), blank).on_grid(size[0], size[1])


def _batches(n: int) -> list[IntArray]:
    return [np.arange(first, min(first + BATCH, n)) for first in range(0, n, BATCH)]
