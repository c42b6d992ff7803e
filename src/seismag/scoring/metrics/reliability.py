"""Reliability in bins of the probability: calibration error and parts of the Brier score."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from seismag.arrays import FloatArray, IndexArray, ratio

N, SUM_P, SUM_Y, SUM_PP, SUM_PY = range(5)  # the columns of bin sums


def equal_mass_bins(p: FloatArray, n_bins: int) -> NDArray[np.intp]:
    """Bin index (n,) of each row, from 0, in bins of as equal mass as ties allow; equal p get the same bin.

    Source: Nguyen & O'Connor (2015), doi:10.18653/v1/D15-1182.
    """
    inner = np.quantile(p, np.linspace(0, 1, n_bins + 1)[1:-1]) if len(p) else np.empty(0)
    return np.unique(np.searchsorted(np.unique(inner), p), return_inverse=True)[1]


def cluster_bin_sums(
    p: FloatArray, happened: NDArray[np.bool_], bins: IndexArray, cluster: IndexArray, n_clusters: int
) -> FloatArray:
    """Sum n, p, y, p^2 and p y in each bin of each cluster: (n_clusters, n_bins, 5); y is 1 for an event."""
    n_bins = int(bins.max()) + 1 if len(bins) else 1
    cell = np.asarray(cluster) * n_bins + bins
    y = np.asarray(happened, dtype=float)
    columns = [np.bincount(cell, weights=w, minlength=n_clusters * n_bins) for w in (None, p, y, p * p, p * y)]
    return np.stack(columns, axis=-1).reshape(n_clusters, n_bins, 5).astype(float)


def expected_calibration_error(bin_sums: FloatArray) -> FloatArray:
    """Mean over the rows of |mean p - observed frequency f| of their bin, from sums (..., n_bins, 5).

    Never negative, so that chance alone makes it positive, about 0.8 sqrt(f (1 - f) n_bins / n).

    Source: Naeini, Cooper & Hauskrecht (2015), doi:10.1609/aaai.v29i1.9602; bins of equal mass as in
    ``equal_mass_bins``.
    """
    gap = np.abs(bin_sums[..., SUM_P] - bin_sums[..., SUM_Y]).sum(axis=-1)
    return ratio(gap, bin_sums[..., N].sum(axis=-1))


def brier_decomposition(bin_sums: FloatArray) -> dict[str, FloatArray]:
    """Divide the Brier score of a yes/no forecast into its parts, from sums (..., n_bins, 5).

    Returns:
        ``brier`` = ``reliability`` - ``resolution`` + ``uncertainty`` + ``within_bin``, exactly. ``within_bin``
        (variance minus twice the covariance with the truth inside the bins) is the effect of binning. ``*_corrected``
        of the first three: without the bias of finite bins, for rows that are independent of each other (windows of
        one earthquake are not, so that some bias is left); they sum to the same.

    Source: Murphy (1973), doi:10.1175/1520-0450(1973)012<0595:ANVPOT>2.0.CO;2; within the bins Stephenson, Coelho &
    Jolliffe (2008), doi:10.1175/2007WAF2006116.1; bias Ferro & Fricker (2012), doi:10.1002/qj.1924.
    """
    n_k, p_k, y_k, pp_k, py_k = np.moveaxis(bin_sums, -1, 0)
    n = n_k.sum(axis=-1)
    mean_p, frequency = ratio(p_k, n_k), ratio(y_k, n_k)
    base = ratio(y_k.sum(axis=-1), n)
    # an empty bin counts nothing
    reliability = ratio(np.nansum(n_k * (mean_p - frequency) ** 2, axis=-1), n)
    resolution = ratio(np.nansum(n_k * (frequency - base[..., None]) ** 2, axis=-1), n)
    variance = np.nansum(pp_k - p_k * mean_p, axis=-1)
    covariance = np.nansum(py_k - y_k * mean_p, axis=-1)
    inside = np.nansum(np.where(n_k > 1, n_k * frequency * (1 - frequency) / np.maximum(n_k - 1, 1), 0.0), axis=-1)
    bias, bias_of_base = ratio(inside, n), ratio(base * (1 - base), n - 1)
    return {
        "brier": ratio((pp_k - 2 * py_k + y_k).sum(axis=-1), n),
        "reliability": reliability,
        "resolution": resolution,
        "uncertainty": base * (1 - base),
        "within_bin": ratio(variance - 2 * covariance, n),
        "reliability_corrected": reliability - bias,
        "resolution_corrected": resolution - bias + bias_of_base,
        "uncertainty_corrected": base * (1 - base) + bias_of_base,
    }
