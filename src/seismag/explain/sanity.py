"""Sanity tests of attribution maps: dependence on weights and labels, and relevance of the marked bins.

Source: Adebayo et al. (2018), arXiv:1810.03292; Petsiuk, Das & Saenko (2018), arXiv:1806.07421.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr

from seismag.arrays import Float32Array, FloatArray, IntArray
from seismag.config import EvaluateConfig
from seismag.domain import DataError, UsageError
from seismag.estimate import CheckResult, NullInterval, Verdict
from seismag.explain.gradcam import CLASS_TASKS, Attribution, Method
from seismag.explain.perturbation import (
    FRACTIONS,
    attribute_in_batches,
    cascade_of_random_weights,
    refit_heads,
    trace_curves,
)
from seismag.explain.replacement import CLASSES, choose_replacements, read_windows
from seismag.explain.subject import StudyWindows, Subject, checkpoint_of, require_explainable
from seismag.parallel import Progress
from seismag.scoring.clusters import find_clusters
from seismag.scoring.estimates import IntervalEstimate
from seismag.scoring.jackknife import inconclusive
from seismag.training.checkpoint import load_checkpoint
from seismag.training.dataset import class_indices
from seismag.training.inference import scaling_of

WEIGHT_DRAWS, LABEL_DRAWS = 3, 3
MAX_WINDOWS = 40  # of the tests; each window costs some hundred predictions
# Largest mean rank correlation with maps of a randomised model. At 0.5 a quarter of the rank variance does not depend
# on training; a single random network on some tens of coarse bins reaches 0.3 by chance.
CORRELATION_LIMIT = 0.5
MIN_BINS = 9  # of a coarse map; rank correlations of fewer bins are not informative


@dataclass(frozen=True)
class SanityInputs:
    """Input of the tests."""

    subject: Subject  # model and store
    study: StudyWindows  # the windows of the study
    found: dict[str, Attribution]  # by task the attribution of the windows with a picture
    features: Float32Array  # (n, C) pooled features of all windows of the study
    method: Method  # of the attribution

    @cached_property
    def indices(self) -> IntArray:
        """The windows with a picture, at most ``MAX_WINDOWS``."""
        return np.arange(min(self.study.n_pictures, MAX_WINDOWS))

    @cached_property
    def shown(self) -> dict[str, Attribution]:
        some = self.indices
        return {
            task: Attribution(a.coarse[some], a.target[some], a.probability[some]) for task, a in self.found.items()
        }

    @cached_property
    def x(self) -> torch.Tensor:
        """Input of the network, (n, C, F, T)."""
        return self.study.windows.of(self.indices).channels(self.subject.loaded)

    @cached_property
    def targets(self) -> dict[str, torch.Tensor]:
        """Explained classes (n,) by task."""
        return {task: torch.from_numpy(found.target) for task, found in self.shown.items()}

    @property
    def n_bins(self) -> int:
        """Number of bins of a coarse map."""
        return int(self.shown[CLASS_TASKS[0]].coarse[0].size)

    def correlate(self, other: dict[str, Attribution]) -> dict[str, FloatArray]:
        """Rank correlations (n,) with other maps of these windows and classes."""
        return {task: rank_correlations(self.shown[task].coarse, other[task].coarse) for task in CLASS_TASKS}


def check_attribution(
    inputs: SanityInputs, label_control: Path | None, spec: EvaluateConfig, progress: Progress
) -> list[CheckResult]:
    """Run all tests on the windows with a picture, at most ``MAX_WINDOWS`` of them.

    The control is a run of shuffled labels; None: heads are retrained on shuffled labels.

    Raises:
        SeismagError: the run of shuffled labels does not fit the model.
    """
    results = _random_weights(inputs, spec.seed, progress)
    progress("labels", 0, 1)
    results += _random_labels(inputs, spec.seed) if label_control is None else _label_control(label_control, inputs)
    progress("labels", 1, 1)
    progress("curves", 0, 1)
    results += _curves(inputs, spec)
    progress("curves", 1, 1)
    return results


def _random_weights(inputs: SanityInputs, seed: int, progress: Progress) -> list[CheckResult]:
    draws = []
    for draw in range(WEIGHT_DRAWS):
        progress("random weights", draw, WEIGHT_DRAWS)
        model = inputs.subject.loaded.model
        cascade = cascade_of_random_weights(model, inputs.x, inputs.targets, inputs.method, seed + draw)
        draws.append({name: inputs.correlate(found) for name, found in cascade})
    progress("random weights", WEIGHT_DRAWS, WEIGHT_DRAWS)
    stages = list(draws[0])
    results = []
    for task in CLASS_TASKS:
        correlations = np.array([[draw[stage][task] for stage in stages] for draw in draws])
        between = correlation_between_windows(inputs.shown[task].coarse)
        results.append(check_random_weights(task, stages, correlations, inputs.n_bins, between))
    return results


def _random_labels(inputs: SanityInputs, seed: int) -> list[CheckResult]:
    """Heads retrained on shuffled labels, compared with heads retrained on the true labels."""
    n, device = len(inputs.features), inputs.x.device
    labels = {
        task: class_indices(inputs.study.rows[f"y_{task}"], classes, f"{task}_class")
        for task, classes in CLASSES.items()
    }
    features = torch.from_numpy(inputs.features).to(device)
    true: list[dict[str, FloatArray]] = []
    shuffled: list[dict[str, FloatArray]] = []
    for draw in range(LABEL_DRAWS):
        random = np.random.default_rng([seed, 63, draw]).permutation(n)
        for correlations, order in ((true, np.arange(n)), (shuffled, random)):
            shown = {task: torch.from_numpy(values[order]).to(device) for task, values in labels.items()}
            model = refit_heads(inputs.subject.loaded.model, features, shown, seed + draw)
            correlations.append(inputs.correlate(attribute_in_batches(model, inputs.x, inputs.method, inputs.targets)))
    control = f"heads trained on the shuffled labels of {n} windows"
    results = []
    for task in CLASS_TASKS:
        of_shuffled, of_true = (np.array([entry[task] for entry in draws]) for draws in (shuffled, true))
        results.append(check_random_labels(task, of_shuffled, of_true, inputs.n_bins, control))
    return results


def _label_control(run: Path, inputs: SanityInputs) -> list[CheckResult]:
    """A separate run that was trained on shuffled labels, according to the user."""
    store = inputs.subject.store
    control = load_checkpoint(checkpoint_of(run))
    if control.card.sha256 == inputs.subject.loaded.card.sha256:
        raise UsageError(f"--label-control {run}: is the model itself. Name a run that was trained on shuffled labels.")
    require_explainable(control, store)
    shown = inputs.study.rows["sample_id"].iloc[inputs.indices]
    indices = pd.Index(store.samples["sample_id"]).get_indexer(pd.Index(shown))
    if len(scaling_of(control, store, indices, None)[0]) != len(indices):
        raise DataError(f"{run}: cannot scale every explained window. Name a run trained like the model.")
    x = read_windows(control, store, indices).channels(control)
    found = attribute_in_batches(control.model, x, inputs.method, inputs.targets)
    theirs, ours = (maps[CLASS_TASKS[0]].coarse.shape[1:] for maps in (found, inputs.shown))
    if theirs != ours:
        raise DataError(
            f"{run}: its maps have {theirs} bins, those of the model {ours}. Name a run with the same backbone."
        )
    name = f"run {control.card.run_id} (shuffled labels, according to the user)"
    return [
        check_random_labels(task, values[None], None, inputs.n_bins, name)
        for task, values in inputs.correlate(found).items()
    ]


def _curves(inputs: SanityInputs, spec: EvaluateConfig) -> list[CheckResult]:
    indices, study = inputs.indices, inputs.study
    rng = np.random.default_rng([spec.seed, 64])
    replacements = choose_replacements(study.rows["station"].to_numpy(), study.rows["split_group"].to_numpy(), rng)
    windows, others = study.windows.of(indices), study.windows.of(replacements[indices])
    results = []
    for task, curves in trace_curves(inputs.subject.loaded, windows, others, inputs.shown, rng).items():
        areas = {kind: np.asarray(np.trapezoid(traced, FRACTIONS, axis=-1)) for kind, traced in curves.items()}
        for kind in ("deletion", "insertion"):
            result = check_curves(kind, task, (areas[kind], areas["random"]), study.rows.iloc[indices], spec)
            result.details["curve"] = {
                "fractions": list(FRACTIONS), "probability": curves[kind].mean(axis=0).tolist(),
                "probability_random": curves["random"].mean(axis=(0, 1))[:: 1 if kind == "deletion" else -1].tolist(),
            }  # fmt: skip
            results.append(result)
    return results


def rank_correlations(a: NDArray[np.floating], b: NDArray[np.floating]) -> FloatArray:
    """Spearman's rank correlation (n,) of pairs of maps (n, F', T'); NaN where one of them is constant."""
    result = np.full(len(a), np.nan)
    for i, (one, other) in enumerate(zip(a.reshape(len(a), -1), b.reshape(len(b), -1), strict=True)):
        if np.ptp(one) > 0 and np.ptp(other) > 0:
            result[i] = spearmanr(one, other).statistic
    return result


def correlation_between_windows(maps: NDArray[np.floating]) -> float | None:
    """Mean rank correlation between maps of different windows; near 1 the maps do not depend on the window."""
    pairs = [rank_correlations(maps[:-shift], maps[shift:]) for shift in range(1, min(len(maps), 6))]
    values = np.concatenate(pairs) if pairs else np.empty(0)
    return None if np.isnan(values).all() else float(np.nanmean(values))


def check_random_weights(
    task: str, stages: Sequence[str], correlations: FloatArray, n_bins: int, between: float | None
) -> CheckResult:
    """Test that maps change when the weights are randomised, from the heads to the stem.

    Args:
        task: which maps. stages: S names, in order of randomisation.
        correlations: (R, S, n) rank correlation with the original map, by seed, stage and window.
        n_bins: of a coarse map. between: ``correlation_between_windows`` of the original maps.
    """
    name = f"random_weights_{task}"
    by_stage = [{"stage": stage, "correlation": _mean(correlations[:, s])} for s, stage in enumerate(stages)]
    by_draw = [_mean(draw) for draw in correlations[:, -1]]
    undefined = float(np.isnan(correlations[:, -1]).mean())
    details = {
        "stages": by_stage, "draws": len(by_draw), "limit": CORRELATION_LIMIT, "coarse_cells": n_bins,
        "last_stage_by_draw": by_draw, "between_windows": between, "undefined_share": undefined,
    }  # fmt: skip
    if reason := _too_few(n_bins, undefined):
        return CheckResult(name, f"{task}: {reason}", verdict="inconclusive", details=details)
    last = [mean for mean in by_draw if mean is not None]
    statistic = float(np.mean(last))
    fails = statistic > CORRELATION_LIMIT
    says = f"below the limit of {CORRELATION_LIMIT:g}, so the maps depend on the weights"
    if fails:
        says = (
            f"the maps do not depend on the trained weights (limit {CORRELATION_LIMIT:g}) and must not be interpreted"
        )
    alike = "" if between is None else f" Maps of different windows correlate at {between:.2f}."
    return CheckResult(
        name,
        f"{task}: with random weights the maps correlate at {statistic:.2f} with those of the model; {says}.{alike}",
        statistic=statistic,
        statistic_name="mean rank correlation with random weights",
        null=NullInterval(statistic, float(min(last)), float(max(last))),
        verdict="fail" if fails else "pass",
        details=details,
    )


def check_random_labels(
    task: str, shuffled: FloatArray, true: FloatArray | None, n_bins: int, control: str
) -> CheckResult:
    """Test that maps differ from those of a model that was trained on shuffled labels.

    Args:
        task: which maps. n_bins: of a coarse map. control: description of the model trained on shuffled labels.
        shuffled: (R, n) rank correlation of the original maps with those of the control, by seed and window.
        true: (R, n) the same for heads retrained on the true labels; None if the control is a run.
    """
    name = f"random_labels_{task}"
    reference = None if true is None else _mean(true)
    undefined = float(np.isnan(shuffled).mean())
    details = {
        "control": control, "limit": CORRELATION_LIMIT, "draws": len(shuffled), "coarse_cells": n_bins,
        "true_labels": reference, "undefined_share": undefined,
    }  # fmt: skip
    if reason := _too_few(n_bins, undefined):
        return CheckResult(name, f"{task}: {reason}", verdict="inconclusive", details=details)
    statistic = float(np.nanmean(shuffled))
    verdict: Verdict = "pass"
    says = f"below the limit of {CORRELATION_LIMIT:g}, so the maps depend on the labels"
    if statistic > CORRELATION_LIMIT:
        verdict = "fail"
        says = f"above the limit of {CORRELATION_LIMIT:g}, so the maps do not depend on the labels"
    elif true is not None and (reference is None or reference <= statistic):
        verdict = "inconclusive"
        says = "not less than for heads retrained on the true labels, so the test is inconclusive"
    compared = "" if reference is None else f" (heads retrained on the true labels: {reference:.2f})"
    return CheckResult(
        name,
        f"{task}: maps of {control} correlate at {statistic:.2f} with those of the model{compared}; {says}.",
        statistic=statistic,
        statistic_name="mean rank correlation with the maps of shuffled labels",
        verdict=verdict,
        details=details,
    )


def check_curves(
    kind: str, task: str, areas: tuple[FloatArray, FloatArray], rows: pd.DataFrame, spec: EvaluateConfig
) -> CheckResult:
    """Test that the bins with large attribution affect the prediction more than bins in random order.

    Args:
        kind: ``deletion`` (a small area is better) or ``insertion`` (a large one). task: which maps.
        areas: (n,) area under the curve in order of attribution; (R, n) in random orders.
        rows: n windows: split_group, y_magnitude.
    """
    by_map, by_chance = areas
    gain = (by_chance.mean(axis=0) - by_map) * (1 if kind == "deletion" else -1)
    value, n_clusters = float(gain.mean()), rows["split_group"].nunique()
    low, high = _interval_by_cluster(gain, rows, spec)
    details = {
        "area": float(by_map.mean()), "area_random": float(by_chance.mean()), "low": low, "high": high,
        "windows": len(rows), "groups": n_clusters, "random_orders": len(by_chance),
    }  # fmt: skip
    verdict: Verdict = "fail"
    if low is None or high is None:
        verdict = "inconclusive"
        says = inconclusive(find_clusters(rows).has_event) or "inconclusive (the areas do not vary between groups)"
    elif high < 0:
        says = "worse than a random order"
    elif low <= 0:
        says = "no better than a random order"
    else:
        verdict, says = "pass", "better than a random order"
    interval = "no interval" if low is None or high is None else f"{low:+.3f}, {high:+.3f}"
    verb = "removed" if kind == "deletion" else "inserted"
    return CheckResult(
        f"{kind}_{task}",
        f"{task}: bins {verb} in order of attribution change the area under the probability curve by {value:+.3f} "
        f"[{interval}] relative to a random order (positive is better), {len(rows)} windows; {says}.",
        statistic=value,
        statistic_name="gain of area over random orders",
        verdict=verdict,
        details=details,
    )


def _too_few(n_bins: int, undefined: float) -> str | None:
    if n_bins < MIN_BINS:
        return (
            f"inconclusive: the feature map has {n_bins} bins, too few to compare maps (at least {MIN_BINS}). Use a "
            "store with more frequency bins and time frames."
        )
    if undefined > 0.5:
        return f"inconclusive: {100 * undefined:.0f} % of the maps are empty."
    return None


def _mean(values: FloatArray) -> float | None:
    return None if np.isnan(values).all() else float(np.nanmean(values))


def _interval_by_cluster(
    values: FloatArray, rows: pd.DataFrame, spec: EvaluateConfig
) -> tuple[float | None, float | None]:
    """Interval of the mean; None below ten clusters or blocks, and where nothing varies."""
    clusters = find_clusters(rows)
    estimate = IntervalEstimate.of_mean(
        clusters.sum(values), clusters.sum(np.ones(len(values))), clusters, spec.confidence
    )
    return estimate.low, estimate.high
