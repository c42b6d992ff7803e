"""The sanity tests of an attribution: random weights, random labels, deletion and insertion."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from seismag.config import EvaluateConfig
from seismag.domain import AZIMUTH_CLASSES, MAGNITUDE_CLASSES, DataError, UsageError
from seismag.estimate import CheckResult
from seismag.explain.controls import (
    Explain,
    Maps,
    cascade_of_random_weights,
    explain_by,
    explain_in_batches,
    refit_heads,
    trace_curves,
)
from seismag.explain.gradcam import TASKS, Attribution
from seismag.explain.replacement import choose_replacements, read_windows
from seismag.explain.sanity import (
    area_under,
    check_curves,
    check_random_labels,
    check_random_weights,
    likeness_between_windows,
    rank_correlations,
)
from seismag.explain.windows import (
    DrawnWindows,
    ExplanationPlan,
    Subject,
    checkpoint_of,
    require_explainable,
)
from seismag.parallel import Progress
from seismag.training.checkpoint import load_checkpoint
from seismag.training.dataset import class_indices
from seismag.training.inference import scaling_of

WEIGHT_DRAWS, LABEL_DRAWS, RANDOM_ORDERS = 3, 3, 2
MAX_WINDOWS = 40  # that the tests look at; each costs some hundred predictions


@dataclass(frozen=True)
class Examined:
    """What the tests look at.

    Attributes:
        subject: model and store.
        drawn: the windows of the study.
        found: by task the attribution of those with a picture.
        features: (n, C) pooled features of all windows of the study.
    """

    subject: Subject
    drawn: DrawnWindows
    found: dict[str, Attribution]
    features: NDArray[np.float32]

    @property
    def places(self) -> NDArray[np.int64]:
        """The windows with a picture, at most ``MAX_WINDOWS``."""
        return np.arange(min(self.drawn.n_pictures, MAX_WINDOWS))


@dataclass(frozen=True)
class _Original:
    """The maps that other models are compared with, for the same windows and classes."""

    maps: Maps
    x: torch.Tensor
    targets: dict[str, torch.Tensor]
    explain: Explain

    def correlate(self, maps: Maps) -> dict[str, NDArray[np.float64]]:
        return {task: rank_correlations(self.maps[task], maps[task]) for task in TASKS}

    def n_cells(self, task: str) -> int:
        return int(self.maps[task][0].size)


def check_attribution(
    examined: Examined, plan: ExplanationPlan, spec: EvaluateConfig, progress: Progress
) -> list[dict[str, Any]]:
    """Run all tests on the windows with a picture, at most ``MAX_WINDOWS`` of them.

    Args:
        examined: model, windows and maps.
        plan: the method, and the run of shuffled labels if there is one.
        spec: bootstrap and seed.
        progress: called with stage, done, total.

    Returns:
        ``CheckResult.to_json`` of each test.

    Raises:
        SeismagError: the run of shuffled labels does not fit the model.
    """
    places, found = examined.places, examined.found
    original = _Original(
        {task: found[task].coarse[places] for task in TASKS},
        examined.drawn.windows.of(places).channels(examined.subject.loaded),
        {task: torch.from_numpy(found[task].target[places]) for task in TASKS},
        explain_by(plan.method),
    )
    results = _random_weights(examined, original, spec.seed, progress)
    progress("labels", 0, 1)
    if plan.label_control is None:
        results += _random_labels(examined, original, spec.seed)
    else:
        results += _label_control(plan.label_control, examined, original)
    progress("labels", 1, 1)
    results += _curves(examined, spec, progress)
    return [result.to_json() for result in results]


def _random_weights(examined: Examined, original: _Original, seed: int, progress: Progress) -> list[CheckResult]:
    draws: dict[str, list[list[NDArray[np.float64]]]] = {task: [] for task in TASKS}
    stages: list[str] = []
    for draw in range(WEIGHT_DRAWS):
        progress("random weights", draw, WEIGHT_DRAWS)
        model = examined.subject.loaded.model
        cascade = cascade_of_random_weights(model, original.x, original.targets, original.explain, seed + draw)
        correlations = {name: original.correlate(maps) for name, maps in cascade}
        stages = list(correlations)
        for task in TASKS:
            draws[task].append([by_task[task] for by_task in correlations.values()])
    progress("random weights", WEIGHT_DRAWS, WEIGHT_DRAWS)
    return [
        check_random_weights(
            task, stages, np.array(draws[task]), original.n_cells(task), likeness_between_windows(original.maps[task])
        )
        for task in TASKS
    ]


def _random_labels(examined: Examined, original: _Original, seed: int) -> list[CheckResult]:
    """Heads trained anew on shuffled labels, beside heads trained anew on the true ones."""
    rows, n = examined.drawn.rows, len(examined.features)
    labels = {
        "magnitude": class_indices(rows["y_magnitude"], MAGNITUDE_CLASSES, "magnitude_class"),
        "azimuth": class_indices(rows["y_azimuth"], AZIMUTH_CLASSES, "azimuth_class"),
    }
    device = original.x.device
    kept = torch.from_numpy(examined.features).to(device)
    found: dict[str, list[dict[str, NDArray[np.float64]]]] = {"true": [], "shuffled": []}
    for draw in range(LABEL_DRAWS):
        shuffled = np.random.default_rng([seed, 63, draw]).permutation(n)
        for kind, order in (("true", np.arange(n)), ("shuffled", shuffled)):
            told = {task: torch.from_numpy(values[order]).to(device) for task, values in labels.items()}
            model = refit_heads(examined.subject.loaded.model, kept, told, seed + draw)
            maps = explain_in_batches(model, original.x, original.targets, original.explain)
            found[kind].append(original.correlate(maps))
    control = f"heads trained on the shuffled labels of {n} windows"
    by_task = {
        task: {kind: np.array([entry[task] for entry in draws]) for kind, draws in found.items()} for task in TASKS
    }
    return [
        check_random_labels(task, entry["shuffled"], entry["true"], original.n_cells(task), control)
        for task, entry in by_task.items()
    ]


def _label_control(run: Path, examined: Examined, original: _Original) -> list[CheckResult]:
    """A whole model that was trained on shuffled labels; that it was, its owner says."""
    store = examined.subject.store
    control = load_checkpoint(checkpoint_of(run))
    if control.card.sha256 == examined.subject.loaded.card.sha256:
        raise UsageError(f"--label-control {run}: is the model itself. Name a run that was trained on shuffled labels.")
    require_explainable(control, store)
    place = {sample_id: i for i, sample_id in enumerate(store.samples["sample_id"])}
    shown = examined.drawn.rows["sample_id"].iloc[examined.places]
    indices = np.array([place[sample_id] for sample_id in shown], dtype=np.int64)
    if len(scaling_of(control, store, indices, None)[0]) != len(indices):
        raise DataError(f"{run}: it cannot scale every window that is explained. Give a run trained like the model.")
    x = read_windows(control, store, indices).channels(control)
    maps = explain_in_batches(control.model, x, original.targets, original.explain)
    name = f"the run {control.card.run_id}, said to be trained on shuffled labels,"
    for task in TASKS:
        if maps[task].shape != original.maps[task].shape:
            raise DataError(
                f"{run}: its maps have {maps[task].shape[1:]} cells, those of the model "
                f"{original.maps[task].shape[1:]}. Give a run with the same backbone."
            )
    return [
        check_random_labels(task, values[None], None, original.n_cells(task), name)
        for task, values in original.correlate(maps).items()
    ]


def _curves(examined: Examined, spec: EvaluateConfig, progress: Progress) -> list[CheckResult]:
    places, drawn, found = examined.places, examined.drawn, examined.found
    rng = np.random.default_rng([spec.seed, 64])
    donors = choose_replacements(drawn.rows["station"].to_numpy(), drawn.rows["split_group"].to_numpy(), rng)[places]
    some = {task: Attribution(a.coarse[places], a.target[places], a.probability[places]) for task, a in found.items()}
    progress("curves", 0, 1)
    curves = trace_curves(
        examined.subject.loaded, drawn.windows.of(places), drawn.windows.of(donors), some, (RANDOM_ORDERS, rng)
    )
    progress("curves", 1, 1)
    rows = drawn.rows.iloc[places]
    results = []
    for task, entry in curves.items():
        chance = area_under(entry.random, entry.fractions)
        for kind, traced in (("deletion", entry.deletion), ("insertion", entry.insertion)):
            result = check_curves(kind, task, (area_under(traced, entry.fractions), chance), rows, spec)
            result.details["curve"] = {
                "fractions": entry.fractions.tolist(), "probability": traced.mean(axis=0).tolist(),
                "probability_random": entry.random.mean(axis=(0, 1))[:: 1 if kind == "deletion" else -1].tolist(),
            }  # fmt: skip
            results.append(result)
    return results
