"""Rules that are learnt: a logistic model on the columns that a rule may see, held back towards the class frequencies.

Hundreds of windows may belong to a few earthquake clusters and quiet spells. So the likelihood is scaled as if each
group were one observation, and the answer is held back as far as other groups of the training windows demand: on data
in which nothing is to be learnt it falls back to the class frequencies instead of losing to them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

from seismag.arrays import FloatArray, IndexArray
from seismag.scoring.baselines.frequencies import class_frequencies, prior_balanced
from seismag.scoring.baselines.inputs import fit_encoder
from seismag.scoring.metrics import row_log_scores
from seismag.scoring.predictions import TASK_CLASSES, probability_columns

_PRIOR_VARIANCE = 1.0  # of each coefficient, in squared logits
_INNER_FOLDS = 5
# windows of a group say nearly the same, so of many rows every k-th is enough
_INNER_ROWS = 2500  # that choose how far the answer is held back
_FIT_ROWS = 20_000
_PREDICT_ROWS = 20_000  # encoded at once
_TOLERANCE, _ITERATIONS = 1e-3, 500


@dataclass(frozen=True)
class FittedRule:
    """A logistic model, what it falls back to, and how far it is held back.

    Attributes:
        logistic: None where training holds one class only, or no feature.
        overall: (k,) class frequencies of training.
        share: see ``shrink_towards``.
    """

    logistic: LogisticRegression | None
    overall: FloatArray
    share: float = 1.0

    def predict(self, features: FloatArray) -> FloatArray:
        """Probabilities (n, k), held back."""
        return shrink_towards(self.log_probs(features), self.overall, self.share)

    def log_probs(self, features: FloatArray) -> FloatArray:
        """(n, k); classes that training lacks keep their smoothed frequency."""
        result = np.tile(np.log(self.overall), (len(features), 1))
        if self.logistic is not None:
            known = self.logistic.classes_
            result[:, known] = self.logistic.predict_log_proba(features) + np.log(self.overall[known].sum())
        return result


def learn_and_predict(
    train: pd.DataFrame, test: pd.DataFrame, train_inputs: pd.DataFrame, test_inputs: pd.DataFrame, rule: str
) -> dict[str, pd.DataFrame]:
    """Fit one rule for every task and apply it.

    Args:
        train, test: class numbers of each task; ``train`` also ``split_group``.
        train_inputs, test_inputs: the columns that the rule may see (``rule_inputs``), same rows.
        rule: a key of ``RULE_COLUMNS``.

    Returns:
        ``<rule>`` and ``<rule>_balanced``, the same divided by the class frequencies of training.
    """
    encoder = fit_encoder(train_inputs, rule)
    thin = _every_kth(len(train), _FIT_ROWS)
    features = encoder.encode(train_inputs[thin])
    groups = pd.factorize(train["split_group"].to_numpy()[thin], sort=True)[0]
    models = {}
    for task, classes in TASK_CLASSES.items():
        overall = class_frequencies(train[task].to_numpy(), len(classes))
        models[task] = replace(fit_rule(features, train[task].to_numpy()[thin], groups, len(classes)), overall=overall)
    parts: dict[str, list[FloatArray]] = {task: [] for task in models}
    for first in range(0, len(test), _PREDICT_ROWS):
        wanted = encoder.encode(test_inputs.iloc[first : first + _PREDICT_ROWS])
        for task, model in models.items():
            parts[task].append(model.predict(wanted))
    plain = {task: np.concatenate(blocks) for task, blocks in parts.items()}
    balanced = {task: prior_balanced(plain[task], models[task].overall) for task in models}
    return {rule: _table(plain, test.index), f"{rule}_balanced": _table(balanced, test.index)}


def _table(probs: dict[str, FloatArray], index: pd.Index) -> pd.DataFrame:
    columns = [name for task in probs for name in probability_columns(task)]
    return pd.DataFrame(np.hstack(list(probs.values())), columns=columns, index=index)


def _every_kth(n: int, most: int) -> slice:
    return slice(None, None, max(1, -(-n // most)))


def fit_rule(features: FloatArray, truth: IndexArray, groups: IndexArray, n_classes: int) -> FittedRule:
    """Fit a logistic model by group and choose how far it is held back.

    Args:
        features: (n, m), all of the order of 1.
        truth: (n,) class numbers.
        groups: (n,) numbers of the groups that count as one observation each.
        n_classes: k.
    """
    return replace(_fit(features, truth, groups, n_classes), share=_choose_fraction(features, truth, groups, n_classes))


def shrink_towards(log_probs: FloatArray, overall: FloatArray, share: float) -> FloatArray:
    """Move probabilities towards the overall frequencies in logits: q^(1 - share) p^share, normalised.

    Args:
        log_probs: (n, k) logarithms of p.
        overall: (k,) q.
        share: 0 gives q, 1 gives p.
    """
    mixed = (1 - share) * np.log(overall) + share * log_probs
    mixed -= mixed.max(axis=1, keepdims=True)
    probs = np.exp(mixed)
    return np.asarray(probs / probs.sum(axis=1, keepdims=True))


def _fit(features: FloatArray, truth: IndexArray, groups: IndexArray, n_classes: int) -> FittedRule:
    """Penalised maximum likelihood, each group of windows counting as one observation."""
    overall = class_frequencies(truth, n_classes)
    if len(np.unique(truth)) < 2 or not features.shape[1]:
        return FittedRule(None, overall)
    weight = len(np.unique(groups)) / len(truth)
    logistic = LogisticRegression(C=_PRIOR_VARIANCE * weight, tol=_TOLERANCE, max_iter=_ITERATIONS)
    return FittedRule(logistic.fit(features, truth), overall)


def _choose_fraction(features: FloatArray, truth: IndexArray, groups: IndexArray, n_classes: int) -> float:
    """The share of ``shrink_towards`` with the best log score on groups that were left out of the training windows."""
    thin = _every_kth(len(truth), _INNER_ROWS)
    features, truth, groups = features[thin], truth[thin], groups[thin]
    n_folds = min(_INNER_FOLDS, len(np.unique(groups)))
    if n_folds < 2 or len(np.unique(truth)) < 2:
        return 0.0  # nothing shows that the rule holds beyond its own groups
    parts = []
    for inner, left_out in GroupKFold(n_folds).split(features, groups=groups):
        model = _fit(features[inner], truth[inner], groups[inner], n_classes)
        parts.append((model.log_probs(features[left_out]), model.overall, truth[left_out]))

    def loss(share: float) -> float:
        return -sum(float(row_log_scores(shrink_towards(log_probs, q, share), y).sum()) for log_probs, q, y in parts)

    best = float(minimize_scalar(loss, bounds=(0.0, 1.0), method="bounded", options={"xatol": 0.01}).x)
    return best if loss(best) < loss(0.0) else 0.0
