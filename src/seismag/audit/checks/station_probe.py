"""Linear probe: balanced accuracy with which embeddings predict the station.

Each station has its own response and noise, so a model of geomagnetic data can hardly avoid encoding the station: the
check is informational. The sentence also gives the station-stratified AUC of P(Event), which the station cannot raise.

Source: Alain and Bengio (2017), arXiv:1610.01644 (linear probes).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.model_selection import GroupKFold

from seismag.config import AuditConfig
from seismag.domain import DataError
from seismag.estimate import CheckResult
from seismag.scoring.linear_probe import PROBE_DIMENSIONS, probe_accuracy
from seismag.scoring.null import Null
from seismag.scoring.predictions import evaluated_rows
from seismag.scoring.station_auc import rank_windows, station_auc, too_few_pairs

MAX_PROBE_DRAWS = 199
MINIMUM_ACCURACY_EFFECT = 0.1  # balanced, above the mean of the null


def probe_station(embeddings: NDArray[np.floating], predictions: pd.DataFrame, spec: AuditConfig) -> CheckResult:
    """``station_probe``: out-of-fold balanced accuracy of the station, against permuted stations.

    The rows of the embeddings (n, C) are those of the predictions.

    Raises:
        DataError: embeddings and predictions have different lengths, or an embedding is not finite.
    """
    if len(embeddings) != len(predictions):
        raise DataError(
            f"embeddings: {len(embeddings)} rows, but the predictions have {len(predictions)}. "
            "Use the embeddings.npy of the table's own folder."
        )
    if not np.isfinite(embeddings).all():
        raise DataError("embeddings: a value is not finite. Predict again; a model that diverged has no embeddings.")
    evaluated = evaluated_rows(predictions)
    subset = predictions["role"] == evaluated["role"].iloc[0]
    x = embeddings[predictions.index.get_indexer(predictions.index[subset])].astype(float)
    station, names = pd.factorize(evaluated["station"], sort=True)
    group = pd.factorize(evaluated["split_group"])[0]
    n_folds = min(spec.folds, len(np.unique(group)))
    if len(names) < 2 or n_folds < 2:
        return CheckResult("station_probe", f"inconclusive ({len(names)} stations in {n_folds} groups).")
    x = PCA(min(PROBE_DIMENSIONS, *x.shape), svd_solver="full").fit_transform(x)
    folds = list(GroupKFold(n_folds).split(x, groups=group))
    rng = np.random.default_rng([spec.seed, 41])
    draws = min(spec.permutations, MAX_PROBE_DRAWS)
    permuted = rng.permuted(np.tile(station, (draws, 1)), axis=1)
    random = rng.choice(station, (min(spec.placebos, MAX_PROBE_DRAWS), len(station)))
    accuracy = probe_accuracy(x, np.concatenate([station[None], permuted, random]), folds)
    null = Null(accuracy[1 : 1 + draws])
    chance, p_value = null.interval(), null.p_value(accuracy[0])
    rows = rank_windows(evaluated)
    within = None if too_few_pairs("", rows) else station_auc(rows)
    ranks = "too few pairs to rank" if within is None else f"AUC {within:.3f}"
    return CheckResult(
        name="station_probe",
        sentence=(
            f"A linear probe predicts the station (one of {len(names)}) from the embeddings with a balanced accuracy "
            f"of {accuracy[0]:.3f}; by chance {chance.mean:.3f} (p {p_value:.2g}). Within a station P(Event) ranks "
            f"event windows above control windows: {ranks}."
        ),
        statistic=float(accuracy[0]),
        statistic_name="balanced accuracy of the station",
        null=chance,
        p_value=p_value,
        placebo_rate=null.placebo_rate(accuracy[1 + draws :]),
        above_minimum=bool(accuracy[0] - chance.mean >= MINIMUM_ACCURACY_EFFECT),
        details={"stations": len(names), "windows": len(evaluated), "auc_within_station": within, "draws": draws},
    )
