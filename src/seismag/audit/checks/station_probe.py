"""Does the model know the station? A linear probe reads it from the embeddings.

Every station has a response and a noise of its own, so that a model of the field can hardly help knowing where it is:
the probe is a note, never a fault. What matters is beside it: whether P(Event) still ranks the windows *within* a
station, where knowing the station is of no use.

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
from seismag.scoring.predictions import evaluated_rows
from seismag.scoring.station_auc import rank_windows, station_auc, too_few_pairs

DRAWS = 199
MINIMUM_ACCURACY_EFFECT = 0.1  # balanced, above the null's mean


def probe_station(embeddings: NDArray[np.floating], predictions: pd.DataFrame, spec: AuditConfig) -> CheckResult:
    """Read the station from the embeddings of the judged windows, out of fold by group.

    Args:
        embeddings: (n, C), rows as in ``predictions``.
        predictions: the table.
        spec: draws (at most 199), placebos, folds, seed.

    Returns:
        ``station_probe``, a note; the statistic is the balanced accuracy, its null exchanges the stations of windows.

    Raises:
        DataError: embeddings and predictions have different lengths, or an embedding is not finite.
    """
    if len(embeddings) != len(predictions):
        raise DataError(
            f"embeddings: {len(embeddings)} rows, but the predictions have {len(predictions)}. "
            "Use the embeddings.npy that lies beside the table."
        )
    if not np.isfinite(embeddings).all():
        raise DataError("embeddings: a value is not finite. Predict again; a model that diverged has no embeddings.")
    judged = evaluated_rows(predictions)
    place = predictions.index.get_indexer(predictions.index[predictions["role"] == judged["role"].iloc[0]])
    station, names = pd.factorize(judged["station"], sort=True)
    group = pd.factorize(judged["split_group"])[0]
    n_folds = min(spec.folds, len(np.unique(group)))
    if len(names) < 2 or n_folds < 2:
        return CheckResult(
            "station_probe", f"{len(names)} stations in {n_folds} groups: there is nothing to tell apart."
        )
    x = PCA(min(PROBE_DIMENSIONS, *embeddings[place].shape), svd_solver="full").fit_transform(
        embeddings[place].astype(float)
    )
    folds = list(GroupKFold(n_folds).split(x, groups=group))
    rng = np.random.default_rng([spec.seed, 41])
    draws = min(spec.permutations, DRAWS)
    shuffled = rng.permuted(np.tile(station, (draws, 1)), axis=1)
    drawn = rng.choice(station, (min(spec.placebos, DRAWS), len(station)))
    found = probe_accuracy(x, np.concatenate([station[None], shuffled, drawn]), folds)
    null, placebo = found[1 : 1 + draws], found[1 + draws :]
    p_value = (1 + int((null >= found[0]).sum())) / (1 + draws)
    placebo_p = (1 + (null[None] >= placebo[:, None]).sum(axis=1)) / (1 + draws)
    rows = rank_windows(judged)
    within = None if too_few_pairs("", rows) else station_auc(rows)
    ranks = "too few pairs to rank" if within is None else f"AUC {within:.3f}"
    return CheckResult(
        name="station_probe",
        sentence=(
            f"A linear probe reads the station (one of {len(names)}) from the embeddings with a balanced accuracy of "
            f"{found[0]:.3f}; by chance {null.mean():.3f} (p {p_value:.2g}). Within a station P(Event) ranks event "
            f"windows above Normal ones: {ranks}."
        ),
        statistic=float(found[0]),
        statistic_name="balanced accuracy of the station",
        null={"mean": float(null.mean()), "low": float(np.quantile(null, 0.025)),
              "high": float(np.quantile(null, 0.975))},
        p_value=p_value,
        placebo_rate=float((placebo_p <= 0.05).mean()),
        material=bool(found[0] - null.mean() >= MINIMUM_ACCURACY_EFFECT),
        details={"stations": len(names), "windows": len(judged), "auc_within_station": within, "draws": draws},
    )  # fmt: skip
