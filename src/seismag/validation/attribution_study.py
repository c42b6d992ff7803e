"""The sanity tests of an attribution: random weights, random labels, deletion and insertion."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from seismag.config import EvaluateConfig
from seismag.data.parallel import Progress
from seismag.domain import AZIMUTH_CLASSES, MAGNITUDE_CLASSES, DataError
from seismag.evaluation.attribution_checks import (
    area_under,
    check_curves,
    check_random_labels,
    check_random_weights,
    likeness_between_windows,
    rank_correlations,
)
from seismag.evaluation.checks.result import CheckResult
from seismag.learning.attribution import TASKS, Attribution
from seismag.learning.attribution_controls import (
    Explain,
    Maps,
    cascade_of_random_weights,
    explain_by,
    explain_in_batches,
    refit_heads,
    trace_curves,
)
from seismag.learning.checkpoint import load_checkpoint
from seismag.learning.dataset import class_indices
from seismag.learning.exchange import draw_donors, read_windows
from seismag.learning.inference import scaling_of
from seismag.validation.explained_windows import (
    DrawnWindows,
    ExplanationPlan,
    Subject,
    checkpoint_of,
    require_explainable,
)

WEIGHT_DRAWS, LABEL_DRAWS, RANDOM_ORDERS = 3, 3, 2
MAX_WINDOWS = 40  # that the tests look at; each costs some hundred predictions
Targets = dict[str, torch.Tensor]


def check_attribution(
    subject: Subject,
    drawn: DrawnWindows,
    found: dict[str, Attribution],
    features: NDArray[np.float32],
    plan: ExplanationPlan,
    spec: EvaluateConfig,
    progress: Progress,
) -> list[dict[str, Any]]:
    """Run all tests on the windows with a picture, at most ``MAX_WINDOWS`` of them.

    Args:
        subject: model and store.
        drawn: the windows of the study.
        found: attribution of those with a picture.
        features: (n, C) pooled features of all windows of the study.
        plan: the method, and the run of shuffled labels if there is one.
        spec: bootstrap and seed.
        progress: called with stage, done, total.

    Returns:
        ``CheckResult.as_dict`` of each test.
    """
    places = np.arange(min(drawn.n_pictures, MAX_WINDOWS))
    original: Maps = {task: found[task].coarse[places] for task in TASKS}
    targets = {task: torch.from_numpy(found[task].target[places]) for task in TASKS}
    explain = explain_by(plan.method)
    x = drawn.windows.of(places).channels(subject.loaded)
    results = _random_weights(subject, x, targets, original, explain, spec.seed, progress)
    progress("labels", 0, 1)
    if plan.label_control is None:
        results += _random_labels(subject, drawn, (x, features), targets, original, explain, spec.seed)
    else:
        results += _label_control(plan.label_control, subject, drawn, targets, original, explain)
    progress("labels", 1, 1)
    results += _curves(subject, drawn, found, spec, progress)
    return [result.as_dict() for result in results]


def _random_weights(
    subject: Subject, x: torch.Tensor, targets: Targets, original: Maps, explain: Explain, seed: int, progress: Progress
) -> list[CheckResult]:
    draws: dict[str, list[list[NDArray[np.float64]]]] = {task: [] for task in TASKS}
    stages: list[str] = []
    for draw in range(WEIGHT_DRAWS):
        progress("random weights", draw, WEIGHT_DRAWS)
        cascade = list(cascade_of_random_weights(subject.loaded.model, x, targets, explain, seed + draw))
        stages = [name for name, _ in cascade]
        for task in TASKS:
            draws[task].append([rank_correlations(original[task], maps[task]) for _, maps in cascade])
    progress("random weights", WEIGHT_DRAWS, WEIGHT_DRAWS)
    return [
        check_random_weights(
            task, stages, np.array(draws[task]), original[task][0].size, likeness_between_windows(original[task])
        )
        for task in TASKS
    ]


def _random_labels(
    subject: Subject,
    drawn: DrawnWindows,
    inputs: tuple[torch.Tensor, NDArray[np.float32]],
    targets: Targets,
    original: Maps,
    explain: Explain,
    seed: int,
) -> list[CheckResult]:
    """Heads trained anew on shuffled labels, beside heads trained anew on the true ones."""
    x, features = inputs
    model = subject.loaded.model
    labels = {
        "magnitude": class_indices(drawn.rows["y_magnitude"], MAGNITUDE_CLASSES, "magnitude_class"),
        "azimuth": class_indices(drawn.rows["y_azimuth"], AZIMUTH_CLASSES, "azimuth_class"),
    }
    kept = torch.from_numpy(features).to(x.device)
    correlations: dict[str, dict[str, list[NDArray[np.float64]]]] = {
        kind: {task: [] for task in TASKS} for kind in ("true", "shuffled")
    }
    for draw in range(LABEL_DRAWS):
        order = np.random.default_rng([seed, 63, draw]).permutation(len(features))
        for kind, places in (("true", np.arange(len(features))), ("shuffled", order)):
            told = {task: torch.from_numpy(values[places]).to(x.device) for task, values in labels.items()}
            maps = explain_in_batches(refit_heads(model, kept, told, seed + draw), x, targets, explain)
            for task in TASKS:
                correlations[kind][task].append(rank_correlations(original[task], maps[task]))
    control = f"heads trained on the shuffled labels of {len(features)} windows"
    return [
        check_random_labels(
            task, np.array(correlations["shuffled"][task]), np.array(correlations["true"][task]),
            original[task][0].size, control,
        )
        for task in TASKS
    ]  # fmt: skip


def _label_control(
    run: Path, subject: Subject, drawn: DrawnWindows, targets: Targets, original: Maps, explain: Explain
) -> list[CheckResult]:
    """A whole model that was trained on shuffled labels; that it was, its owner says."""
    control = load_checkpoint(checkpoint_of(run))
    require_explainable(control, subject.store)
    n = len(targets[TASKS[0]])
    place = {sample_id: i for i, sample_id in enumerate(subject.store.samples["sample_id"])}
    indices = np.array([place[sample_id] for sample_id in drawn.rows["sample_id"][:n]], dtype=np.int64)
    if len(scaling_of(control, subject.store, indices, None)[0]) != n:
        raise DataError(f"{run}: it cannot scale every window that is explained. Give a run trained like the model.")
    x = read_windows(control, subject.store, indices).channels(control)
    maps = explain_in_batches(control.model, x, targets, explain)
    name = f"the run {control.card['run_id']}, said to be trained on shuffled labels,"
    results = []
    for task in TASKS:
        if maps[task].shape != original[task].shape:
            raise DataError(
                f"{run}: its maps have {maps[task].shape[1:]} cells, those of the model {original[task].shape[1:]}. "
                "Give a run with the same backbone."
            )
        correlations = rank_correlations(original[task], maps[task])[None]
        results.append(check_random_labels(task, correlations, None, original[task][0].size, name))
    return results


def _curves(
    subject: Subject, drawn: DrawnWindows, found: dict[str, Attribution], spec: EvaluateConfig, progress: Progress
) -> list[CheckResult]:
    places = np.arange(min(drawn.n_pictures, MAX_WINDOWS))
    rng = np.random.default_rng([spec.seed, 64])
    donors = draw_donors(drawn.rows["station"].to_numpy(), drawn.rows["split_group"].to_numpy(), rng)[places]
    some = {task: Attribution(a.coarse[places], a.target[places], a.probability[places]) for task, a in found.items()}
    progress("curves", 0, 1)
    curves = trace_curves(
        subject.loaded, drawn.windows.of(places), drawn.windows.of(donors), some, (RANDOM_ORDERS, rng)
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
