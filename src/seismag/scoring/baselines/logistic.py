"""Logistic baselines, shrunk towards the class frequencies.

Hundreds of windows may belong to a few earthquake clusters and control blocks. So the likelihood is scaled as if each
group were one observation, and the probabilities are shrunk towards the class frequencies by a weight chosen on
left-out groups of the training set: without information in the columns they are the class frequencies.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

from seismag.arrays import FloatArray, IndexArray
from seismag.scoring.baselines.frequencies import class_frequencies, with_balanced
from seismag.scoring.baselines.inputs import fit_encoder
from seismag.scoring.metrics import row_log_scores
from seismag.scoring.predictions import TASK_CLASSES

_PRIOR_VARIANCE = 1.0  # of each coefficient, in squared logits
_INNER_FOLDS = 5
# windows of a group are nearly alike, so of many rows every k-th is enough
_INNER_ROWS = 2500  # to choose the shrinkage
_FIT_ROWS = 20_000
_TOLERANCE, _ITERATIONS = 1e-3, 500


@dataclass(frozen=True)
class FittedBaseline:
    """A logistic model, shrunk by ``weight`` towards the class frequencies ``overall`` (k,) of training.

    ``logistic`` is None where training has one class only, or no feature.
    """

    logistic: LogisticRegression | None
    overall: FloatArray
    weight: float = 1.0

    def predict(self, features: FloatArray) -> FloatArray:
        """Probabilities (n, k)."""
        return shrink_towards(self.log_probs(features), self.overall, self.weight)

    def log_probs(self, features: FloatArray) -> FloatArray:
        """Logarithms (n, k) of the unshrunk probabilities; smoothed frequencies for classes without training rows."""
        result = np.tile(np.log(self.overall), (len(features), 1))
        if self.logistic is not None:
            known = self.logistic.classes_
            result[:, known] = self.logistic.predict_log_proba(features) + np.log(self.overall[known].sum())
        return result


def fit_and_predict(
    train: pd.DataFrame, test: pd.DataFrame, train_inputs: pd.DataFrame, test_inputs: pd.DataFrame, baseline: str
) -> dict[str, pd.DataFrame]:
    """Fit one baseline for every task and apply it.

    Args:
        train, test: class index of each task; ``train`` also ``split_group``.
        train_inputs, test_inputs: the columns of ``baseline_inputs``, same rows.
        baseline: a key of ``BASELINE_COLUMNS``.

    Returns:
        ``<baseline>`` and ``<baseline>_balanced``, the same divided by the class frequencies of training.
    """
    encoder = fit_encoder(train_inputs, baseline)
    thin = _every_kth(len(train), _FIT_ROWS)
    features = encoder.encode(train_inputs[thin])
    groups = pd.factorize(train["split_group"].to_numpy()[thin], sort=True)[0]
    models = {}
    for task, classes in TASK_CLASSES.items():
        overall = class_frequencies(train[task].to_numpy(), len(classes))
        fitted = fit_baseline(features, train[task].to_numpy()[thin], groups, len(classes))
        models[task] = replace(fitted, overall=overall)
    wanted = encoder.encode(test_inputs)
    probs = {task: model.predict(wanted) for task, model in models.items()}
    return with_balanced(baseline, probs, {task: model.overall for task, model in models.items()}, test.index)


def _every_kth(n: int, most: int) -> slice:
    return slice(None, None, max(1, -(-n // most)))


def fit_baseline(features: FloatArray, truth: IndexArray, groups: IndexArray, n_classes: int) -> FittedBaseline:
    """Fit a logistic model to features (n, m), all of the order of 1, and choose its shrinkage.

    ``groups`` (n,) count as one observation each.
    """
    return replace(_fit(features, truth, groups, n_classes), weight=_choose_weight(features, truth, groups, n_classes))


def group_folds(groups: IndexArray, most: int) -> list[tuple[IndexArray, IndexArray]]:
    """Training and test rows of at most ``most`` folds of whole groups; none where there is one group alone."""
    n_folds = min(most, len(np.unique(groups)))
    return list(GroupKFold(n_folds).split(groups, groups=groups)) if n_folds > 1 else []


def shrink_towards(log_probs: FloatArray, overall: FloatArray, weight: float) -> FloatArray:
    """Shrink probabilities towards the overall frequencies in logits: q^(1 - weight) p^weight, normalised.

    ``log_probs`` (n, k) are logarithms of p, ``overall`` (k,) is q.
    """
    mixed = (1 - weight) * np.log(overall) + weight * log_probs
    mixed -= mixed.max(axis=1, keepdims=True)
    probs = np.exp(mixed)
    return np.asarray(probs / probs.sum(axis=1, keepdims=True))


def _fit(features: FloatArray, truth: IndexArray, groups: IndexArray, n_classes: int) -> FittedBaseline:
    """Penalised maximum likelihood, each group of windows counting as one observation."""
    overall = class_frequencies(truth, n_classes)
    if len(np.unique(truth)) < 2 or not features.shape[1]:
        return FittedBaseline(None, overall)
    weight = len(np.unique(groups)) / len(truth)
    logistic = LogisticRegression(C=_PRIOR_VARIANCE * weight, tol=_TOLERANCE, max_iter=_ITERATIONS)
    return FittedBaseline(logistic.fit(features, truth), overall)


def _choose_weight(features: FloatArray, truth: IndexArray, groups: IndexArray, n_classes: int) -> float:
    """The weight of ``shrink_towards`` with the best log score on left-out groups of the training windows."""
    thin = _every_kth(len(truth), _INNER_ROWS)
    features, truth, groups = features[thin], truth[thin], groups[thin]
    folds = group_folds(groups, _INNER_FOLDS)
    if not folds or len(np.unique(truth)) < 2:
        return 0.0  # no other group can be predicted
    parts = []
    for inner, left_out in folds:
        model = _fit(features[inner], truth[inner], groups[inner], n_classes)
        parts.append((model.log_probs(features[left_out]), model.overall, truth[left_out]))

    def loss(weight: float) -> float:
        return -sum(float(row_log_scores(shrink_towards(log_probs, q, weight), y).sum()) for log_probs, q, y in parts)

    best = float(minimize_scalar(loss, bounds=(0.0, 1.0), method="bounded", options={"xatol": 0.01}).x)
    return best if loss(best) < loss(0.0) else 0.0
