"""Computation of the sanity tests: random weights, random labels, deletion and insertion."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from seismag.config import EvaluateConfig
from seismag.domain import AZIMUTH_CLASSES, MAGNITUDE_CLASSES, DataError, UsageError
from seismag.estimate import CheckResult
from seismag.explain.gradcam import CLASS_TASKS, Attribution
from seismag.explain.perturbation import (
    Explain,
    Maps,
    cascade_of_random_weights,
    explain_by,
    explain_in_batches,
    refit_heads,
    trace_curves,
)
from seismag.explain.replacement import choose_replacements, read_windows
from seismag.explain.sanity import (
    area_under,
    check_curves,
    check_random_labels,
    check_random_weights,
    correlation_between_windows,
    rank_correlations,
)
from seismag.explain.subject import ExplanationPlan, StudyWindows, Subject, checkpoint_of, require_explainable
from seismag.parallel import Progress
from seismag.training.checkpoint import load_checkpoint
from seismag.training.dataset import class_indices
from seismag.training.inference import scaling_of

WEIGHT_DRAWS, LABEL_DRAWS, RANDOM_ORDERS = 3, 3, 2
MAX_WINDOWS = 40  # of the tests; each window costs some hundred predictions


@dataclass(frozen=True)
class SanityInputs:
    """Input of the tests.

    Attributes:
        subject: model and store.
        study: the windows of the study.
        found: by task the attribution of the windows with a picture.
        features: (n, C) pooled features of all windows of the study.
    """

    subject: Subject
    study: StudyWindows
    found: dict[str, Attribution]
    features: NDArray[np.float32]

    @property
    def indices(self) -> NDArray[np.int64]:
        """The windows with a picture, at most ``MAX_WINDOWS``."""
        return np.arange(min(self.study.n_pictures, MAX_WINDOWS))


@dataclass(frozen=True)
class _Original:
    """Maps of the model for the same windows and classes."""

    maps: Maps
    x: torch.Tensor
    targets: dict[str, torch.Tensor]
    explain: Explain

    def correlate(self, maps: Maps) -> dict[str, NDArray[np.float64]]:
        return {task: rank_correlations(self.maps[task], maps[task]) for task in CLASS_TASKS}

    def n_bins(self, task: str) -> int:
        return int(self.maps[task][0].size)


def check_attribution(
    inputs: SanityInputs, plan: ExplanationPlan, spec: EvaluateConfig, progress: Progress
) -> list[CheckResult]:
    """Run all tests on the windows with a picture, at most ``MAX_WINDOWS`` of them.

    Args:
        inputs: model, windows and maps.
        plan: the method, and the run of shuffled labels if there is one.
        spec: bootstrap and seed.
        progress: called with stage, done, total.

    Raises:
        SeismagError: the run of shuffled labels does not fit the model.
    """
    indices, found = inputs.indices, inputs.found
    original = _Original(
        {task: found[task].coarse[indices] for task in CLASS_TASKS},
        inputs.study.windows.of(indices).channels(inputs.subject.loaded),
        {task: torch.from_numpy(found[task].target[indices]) for task in CLASS_TASKS},
        explain_by(plan.method),
    )
    results = _random_weights(inputs, original, spec.seed, progress)
    progress("labels", 0, 1)
    if plan.label_control is None:
        results += _random_labels(inputs, original, spec.seed)
    else:
        results += _label_control(plan.label_control, inputs, original)
    progress("labels", 1, 1)
    results += _curves(inputs, spec, progress)
    return results


def _random_weights(inputs: SanityInputs, original: _Original, seed: int, progress: Progress) -> list[CheckResult]:
    draws: dict[str, list[list[NDArray[np.float64]]]] = {task: [] for task in CLASS_TASKS}
    stages: list[str] = []
    for draw in range(WEIGHT_DRAWS):
        progress("random weights", draw, WEIGHT_DRAWS)
        model = inputs.subject.loaded.model
        cascade = cascade_of_random_weights(model, original.x, original.targets, original.explain, seed + draw)
        correlations = {name: original.correlate(maps) for name, maps in cascade}
        stages = list(correlations)
        for task in CLASS_TASKS:
            draws[task].append([by_task[task] for by_task in correlations.values()])
    progress("random weights", WEIGHT_DRAWS, WEIGHT_DRAWS)
    return [
        check_random_weights(
            task, stages, np.array(draws[task]), original.n_bins(task), correlation_between_windows(original.maps[task])
        )
        for task in CLASS_TASKS
    ]


def _random_labels(inputs: SanityInputs, original: _Original, seed: int) -> list[CheckResult]:
    """Heads retrained on shuffled labels, compared with heads retrained on the true labels."""
    rows, n = inputs.study.rows, len(inputs.features)
    labels = {
        "magnitude": class_indices(rows["y_magnitude"], MAGNITUDE_CLASSES, "magnitude_class"),
        "azimuth": class_indices(rows["y_azimuth"], AZIMUTH_CLASSES, "azimuth_class"),
    }
    device = original.x.device
    features = torch.from_numpy(inputs.features).to(device)
    found: dict[str, list[dict[str, NDArray[np.float64]]]] = {"true": [], "shuffled": []}
    for draw in range(LABEL_DRAWS):
        shuffled = np.random.default_rng([seed, 63, draw]).permutation(n)
        for kind, order in (("true", np.arange(n)), ("shuffled", shuffled)):
            shown = {task: torch.from_numpy(values[order]).to(device) for task, values in labels.items()}
            model = refit_heads(inputs.subject.loaded.model, features, shown, seed + draw)
            maps = explain_in_batches(model, original.x, original.targets, original.explain)
            found[kind].append(original.correlate(maps))
    control = f"heads trained on the shuffled labels of {n} windows"
    by_task = {
        task: {kind: np.array([entry[task] for entry in draws]) for kind, draws in found.items()}
        for task in CLASS_TASKS
    }
    return [
        check_random_labels(task, entry["shuffled"], entry["true"], original.n_bins(task), control)
        for task, entry in by_task.items()
    ]


def _label_control(run: Path, inputs: SanityInputs, original: _Original) -> list[CheckResult]:
    """A separate run that was trained on shuffled labels, according to the user."""
    store = inputs.subject.store
    control = load_checkpoint(checkpoint_of(run))
    if control.card.sha256 == inputs.subject.loaded.card.sha256:
        raise UsageError(f"--label-control {run}: is the model itself. Name a run that was trained on shuffled labels.")
    require_explainable(control, store)
    index = {sample_id: i for i, sample_id in enumerate(store.samples["sample_id"])}
    shown = inputs.study.rows["sample_id"].iloc[inputs.indices]
    indices = np.array([index[sample_id] for sample_id in shown], dtype=np.int64)
    if len(scaling_of(control, store, indices, None)[0]) != len(indices):
        raise DataError(f"{run}: cannot scale every explained window. Name a run trained like the model.")
    x = read_windows(control, store, indices).channels(control)
    maps = explain_in_batches(control.model, x, original.targets, original.explain)
    name = f"run {control.card.run_id} (shuffled labels, according to the user)"
    for task in CLASS_TASKS:
        if maps[task].shape != original.maps[task].shape:
            raise DataError(
                f"{run}: its maps have {maps[task].shape[1:]} bins, those of the model "
                f"{original.maps[task].shape[1:]}. Name a run with the same backbone."
            )
    return [
        check_random_labels(task, values[None], None, original.n_bins(task), name)
        for task, values in original.correlate(maps).items()
    ]


def _curves(inputs: SanityInputs, spec: EvaluateConfig, progress: Progress) -> list[CheckResult]:
    indices, study, found = inputs.indices, inputs.study, inputs.found
    rng = np.random.default_rng([spec.seed, 64])
    replacements = choose_replacements(study.rows["station"].to_numpy(), study.rows["split_group"].to_numpy(), rng)[
        indices
    ]
    some = {
        task: Attribution(a.coarse[indices], a.target[indices], a.probability[indices]) for task, a in found.items()
    }
    progress("curves", 0, 1)
    curves = trace_curves(
        inputs.subject.loaded, study.windows.of(indices), study.windows.of(replacements), some, (RANDOM_ORDERS, rng)
    )
    progress("curves", 1, 1)
    rows = study.rows.iloc[indices]
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
