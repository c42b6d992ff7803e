"""How often planted emissions are recovered, from which strength on, and what a null result excludes.

Counts become intervals by Clopper and Pearson; where windows share days, on the number of independent ones. The
limit on the share of earthquakes with an emission keeps its confidence although efficiency and false alarms are
estimates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special, stats

from seismag.arrays import FloatArray
from seismag.domain import DataError

_SLOPE = (0.5, 40.0)  # of the curve, per decade of SNR
_BEYOND = 3.0  # decades that the middle of the curve may lie outside the tested SNR


@dataclass(frozen=True)
class Counts:
    """Successes among trials; both may be fractional once they are brought to independent ones."""

    hits: float
    n: float

    @property
    def share(self) -> float:
        """hits / n."""
        return self.hits / self.n

    def lower(self, confidence: float) -> float:
        """One-sided lower bound of the probability; see ``interval``."""
        return 0.0 if self.hits <= 0 else float(stats.beta.ppf(1 - confidence, self.hits, self.n - self.hits + 1))

    def upper(self, confidence: float) -> float:
        """One-sided upper bound of the probability; see ``interval``."""
        return 1.0 if self.hits >= self.n else float(stats.beta.ppf(confidence, self.hits + 1, self.n - self.hits))

    def interval(self, confidence: float) -> tuple[float, float]:
        """Two-sided exact interval of the probability.

        Source: Clopper & Pearson (1934), doi:10.1093/biomet/26.4.404.
        """
        return self.lower((1 + confidence) / 2), self.upper((1 + confidence) / 2)


def independent_counts(success: NDArray[np.bool_], cluster: NDArray[np.int64]) -> Counts:
    """Bring windows that share clusters to the number of independent ones with the same variance.

    n* = p(1-p) / v, v the variance of p between clusters, times the squared ratio of Student's t with n - 1 and
    m - 1 degrees of freedom; at most n. Where all windows agree v is unknown and n* is the number m of clusters.

    Args:
        success: (n,) windows.
        cluster: (n,) number of each window's cluster.

    Source: Korn & Graubard (1998), Survey Methodology 24(2), 193-201.
    """
    n, share = success.size, float(success.mean())
    _, index = np.unique(cluster, return_inverse=True)
    m = int(index.max()) + 1
    if m == n:
        return Counts(float(success.sum()), float(n))
    if m < 2 or share in (0.0, 1.0):
        return Counts(share * m, float(m))
    excess = np.bincount(index, weights=success - share)
    variance = m / (m - 1) * float((excess**2).sum()) / n**2
    if variance == 0:
        return Counts(float(success.sum()), float(n))
    students = stats.t.ppf(0.975, n - 1) / stats.t.ppf(0.975, m - 1)
    effective = min(float(n), share * (1 - share) / variance * float(students) ** 2)
    return Counts(share * effective, effective)


def false_alarm_threshold(p_event: FloatArray, share: float) -> float:
    """Smallest score that at most ``share`` of the windows without an emission exceed.

    Raises:
        DataError: so few windows that not even one may exceed it.
    """
    allowed = int(np.floor(share * p_event.size + 1e-9))
    if allowed < 1:
        raise DataError(
            f"{p_event.size} Normal windows are too few for a false-alarm share of {share:g}: at least "
            f"{int(np.ceil(1 / share))} are needed. Use a store with more, or raise --false-alarms."
        )
    return float(np.sort(p_event)[::-1][allowed])


@dataclass(frozen=True)
class Curve:
    """Efficiency floor + (1 - floor) / (1 + exp(-slope (log10 SNR - middle))).

    Attributes:
        middle: log10 SNR halfway between floor and 1.
        slope: per decade of SNR.
        floor: efficiency without an emission, the false-alarm share.
    """

    middle: float
    slope: float
    floor: float

    def at(self, snr: FloatArray) -> FloatArray:
        """Efficiency at a signal-to-noise ratio."""
        curve: FloatArray = self.floor + (1 - self.floor) * special.expit(self.slope * (np.log10(snr) - self.middle))
        return curve

    def snr_at(self, efficiency: float) -> float:
        """Signal-to-noise ratio of an efficiency above the floor."""
        rise = (efficiency - self.floor) / (1 - self.floor)
        return float(10 ** (self.middle + special.logit(rise) / self.slope))


def fit_curve(
    snr: FloatArray,
    recovered: NDArray[np.bool_],
    floor: float,
    weight: FloatArray | None = None,
    near: Curve | None = None,
) -> Curve:
    """Fit the curve by maximum likelihood.

    The middle may lie three decades outside the tested SNR, where it says no more than that the curve does not rise
    within them; the slope lies between 0.5 and 40 a decade, so a jump between two SNR has a middle between them.

    Args:
        snr: (n,) of each planted emission, above 0.
        recovered: (n,).
        floor: false-alarm share, below 1.
        weight: (n,) of each emission; None: 1.
        near: where the search starts; None: at several places.
    """
    x = np.log10(snr)
    weight = np.ones(x.size) if weight is None else weight
    levels, index = np.unique(x, return_inverse=True)
    hits = np.bincount(index, weights=weight * recovered)
    misses = np.bincount(index, weights=weight * ~recovered)

    def loss(parameters: FloatArray) -> tuple[float, FloatArray]:
        middle, slope = parameters
        rise = special.expit(slope * (levels - middle))
        p = np.clip(floor + (1 - floor) * rise, 1e-9, 1 - 1e-9)
        by_rise = (misses / (1 - p) - hits / p) * (1 - floor) * rise * (1 - rise)
        gradient = np.array([-slope * by_rise.sum(), by_rise @ (levels - middle)])
        return float(-(hits @ np.log(p) + misses @ np.log1p(-p))), gradient

    bounds = ((x.min() - _BEYOND, x.max() + _BEYOND), _SLOPE)
    places = [(m, 4.0) for m in (*np.quantile(x, (0.1, 0.5, 0.9)), bounds[0][1])]
    starts = places if near is None else [(near.middle, near.slope)]
    fits = [optimize.minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds) for start in starts]
    best = min(fits, key=lambda fit: float(fit.fun))
    return Curve(float(best.x[0]), float(best.x[1]), floor)


@dataclass(frozen=True)
class Limit:
    """Upper limit on the share of earthquakes that are preceded by an emission.

    Attributes:
        value: between 0 and 1, the uncertainty of efficiency and false alarms included; None: undefined.
        if_exact: the same were both known exactly.
    """

    value: float | None
    if_exact: float | None


def upper_limit(observed: Counts, efficiency: Counts, false_alarms: Counts, confidence: float = 0.9) -> Limit:
    """Bound the share f of earthquakes with an emission from how many of them the model alarmed on.

    An earthquake with an emission gives an alarm with probability e, one without with probability t, so an alarm
    comes with P = f e + (1 - f) t and f = (P - t) / (e - t). f grows with P and falls with e and, while P < e, with t
    (where P >= e the limit is 1). So an upper bound of P and lower bounds of e and t give an upper bound of f, wrong at
    most as often as one of the three is (Boole): half of 1 - confidence goes to P, a quarter to each of e and t.

    Args:
        observed: alarms among independent earthquakes.
        efficiency: planted emissions recovered.
        false_alarms: windows without an emission above the threshold.
        confidence: that the limit holds.

    Returns:
        None where the efficiency is not above the false alarms: nothing can be said then.

    Source: the estimate is that of Rogan & Gladen (1978), doi:10.1093/oxfordjournals.aje.a112510, for a prevalence
    measured with an imperfect test of sensitivity e and specificity 1 - t; bounds by Clopper & Pearson (1934).
    """
    error = 1 - confidence
    return Limit(
        _solve(observed.upper(1 - error / 2), efficiency.lower(1 - error / 4), false_alarms.lower(1 - error / 4)),
        _solve(observed.upper(confidence), efficiency.share, false_alarms.share),
    )


def _solve(alarm_rate: float, efficiency: float, false_alarms: float) -> float | None:
    if efficiency <= false_alarms:
        return None
    return float(np.clip((alarm_rate - false_alarms) / (efficiency - false_alarms), 0.0, 1.0))
