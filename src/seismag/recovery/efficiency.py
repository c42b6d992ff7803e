"""Detection efficiency of injected emissions, its curve over SNR, and the upper limit from a null result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special, stats

from seismag.arrays import BoolArray, FloatArray, IntArray
from seismag.domain import DataError

LIMIT_CONFIDENCE = 0.9
ALARMS_ERROR = 0.05  # p from here on down: more alarms before earthquakes than false alarms
SIZES = (0.03, 0.07)  # smallest and largest size of a test at 5 %
_SLOPE = (0.5, 40.0)  # of the curve, per decade of SNR
_BEYOND = 3.0  # decades that the middle of the curve may lie outside the tested SNR


@dataclass(frozen=True)
class Counts:
    """Hits among n trials; both are fractional for an effective number of trials."""

    hits: float
    n: float

    @property
    def fraction(self) -> float:
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


def independent_counts(success: BoolArray, cluster: IntArray) -> Counts:
    """Count the independent windows that give the same variance as n windows in m clusters.

    n* = p(1-p) / v, v the variance of p between clusters, times the squared ratio of Student's t with n - 1 and
    m - 1 degrees of freedom; at most n. Where all windows agree, v is unknown and n* = m.

    Args:
        success: (n,) windows.
        cluster: (n,) index of each window's cluster.

    Source: Korn & Graubard (1998), Survey Methodology 24(2), 193-201.
    """
    n, fraction = success.size, float(success.mean())
    _, index = np.unique(cluster, return_inverse=True)
    m = int(index.max()) + 1
    if m == n:
        return Counts(float(success.sum()), float(n))
    if m < 2 or fraction in (0.0, 1.0):
        return Counts(fraction * m, float(m))
    excess = np.bincount(index, weights=success - fraction)
    variance = m / (m - 1) * float((excess**2).sum()) / n**2
    if variance == 0:
        return Counts(float(success.sum()), float(n))
    students = stats.t.ppf(0.975, n - 1) / stats.t.ppf(0.975, m - 1)
    effective = min(float(n), fraction * (1 - fraction) / variance * float(students) ** 2)
    return Counts(fraction * effective, effective)


@dataclass(frozen=True)
class ChanceTest:
    """p-value of the alarms before earthquakes; ``size``: probability of p <= 0.05 under chance, given the numbers."""

    p_value: float
    size: float


def alarms_test(hits: int, models: Sequence[tuple[Counts, int]]) -> ChanceTest:
    """Test whether more earthquakes than by chance exceed thresholds that were set on control windows.

    If scores before earthquakes are distributed like those of n control windows, k of which exceed the threshold that
    they set, the number of N earthquakes above it is beta-binomial with parameters k + 1 and n - k; several models add
    up. p is the probability of at least as many; where this tail reaches p <= 0.05 in less than 3 % by its steps and
    the mid-p-value in no more than 7 %, the mid-p-value.

    Args:
        hits: earthquakes above the threshold.
        models: of each model, its control windows above its threshold and its number of earthquakes.

    Source: distribution of exceedances, Wilks (1942), doi:10.1214/aoms/1177731537; mid-p-value, Lancaster (1961),
    doi:10.1080/01621459.1961.10482105.
    """
    chance = np.ones(1)
    for controls, n in models:
        chance = np.convolve(chance, stats.betabinom.pmf(np.arange(n + 1), n, *_exceedance(controls)))
    tail = np.minimum(np.cumsum(chance[::-1])[::-1], 1.0)
    tests = tail, tail - chance / 2
    sizes = [float(chance[p <= ALARMS_ERROR].sum()) for p in tests]
    chosen = int(sizes[0] < SIZES[0] and sizes[1] <= SIZES[1])
    return ChanceTest(float(tests[chosen][hits]), sizes[chosen])


def false_alarm_interval(models: Sequence[Counts], confidence: float) -> tuple[float, float]:
    """Interval of the probability of exceeding a threshold that k of the same n windows exceed: Beta(k + 1, n - k).

    The mean of several models has nearly the distribution of their parameters' sums.

    Source: Wilks (1942), doi:10.1214/aoms/1177731537.
    """
    tail = (1 - confidence) / 2
    above, below = (sum(numbers) for numbers in zip(*(_exceedance(controls) for controls in models), strict=True))
    low, high = stats.beta.ppf([tail, 1 - tail], above, below)
    return float(low), float(high)


def _exceedance(controls: Counts) -> tuple[float, float]:
    """Parameters of the beta distribution of the probability to exceed a threshold, which the same windows set."""
    return controls.hits + 1, max(controls.n - controls.hits, 0.5)


def false_alarm_threshold(p_event: FloatArray, fraction: float) -> float:
    """Smallest score that at most ``fraction`` of the control windows exceed.

    Raises:
        DataError: fewer than 1 / ``fraction`` windows.
    """
    allowed = int(np.floor(fraction * p_event.size + 1e-9))
    if allowed < 1:
        raise DataError(
            f"{p_event.size} Normal windows are too few for a false alarm fraction of {fraction:g}: at least "
            f"{int(np.ceil(1 / fraction))} are needed. Use a store with more, or raise recover.false_alarm_fraction."
        )
    return float(np.sort(p_event)[::-1][allowed])


@dataclass(frozen=True)
class Curve:
    """Efficiency floor + (1 - floor) / (1 + exp(-slope (log10 SNR - middle))), slope per decade of SNR.

    The floor is the efficiency without an emission, the false alarm fraction.
    """

    middle: float
    slope: float
    floor: float

    def at(self, snr: FloatArray) -> FloatArray:
        """Efficiency at a signal-to-noise ratio."""
        curve: FloatArray = self.floor + (1 - self.floor) * special.expit(self.slope * (np.log10(snr) - self.middle))
        return curve

    def snr_at(self, efficiency: float) -> float:
        """Signal-to-noise ratio of an efficiency; NaN where it is not above the floor."""
        if efficiency <= self.floor:
            return float("nan")
        rise = (efficiency - self.floor) / (1 - self.floor)
        return float(10 ** (self.middle + special.logit(rise) / self.slope))


def fit_curve(
    snr: FloatArray, recovered: BoolArray, floor: float, weight: FloatArray | None = None, near: Curve | None = None
) -> Curve:
    """Fit the curve by maximum likelihood.

    The middle is bounded at three decades outside the tested SNR; out there it means only that the curve does not
    rise within them. The slope is bounded between 0.5 and 40 a decade.

    Args:
        snr: (n,) of each injection, above 0.
        recovered: (n,) whether it was detected.
        floor: false alarm fraction, below 1.
        weight: (n,) of each injection; None: 1.
        near: start of the search; None: several starts.
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
    grid = [(m, 4.0) for m in (*np.quantile(x, (0.1, 0.5, 0.9)), bounds[0][1])]
    starts = grid if near is None else [(near.middle, near.slope)]
    fits = [optimize.minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds) for start in starts]
    best = min(fits, key=lambda fit: float(fit.fun))
    return Curve(float(best.x[0]), float(best.x[1]), floor)


@dataclass(frozen=True)
class Limit:
    """Upper limit on the fraction of earthquakes that are preceded by an emission, from 0 to 1; None: undefined.

    ``value`` includes the uncertainty of efficiency and false alarms, ``if_exact`` does not.
    """

    value: float | None
    if_exact: float | None


def upper_limit(observed: Counts, efficiency: Counts, false_alarms: Counts) -> Limit:
    """Bound the fraction f of earthquakes with an emission, given the alarms before earthquakes.

    An earthquake with an emission gives an alarm with probability e, one without with probability t. The probability
    of an alarm is P = f e + (1 - f) t, so f = (P - t) / (e - t). f increases with P and decreases with e and, while
    P < e, with t (where P >= e the limit is 1). An upper bound of P and lower bounds of e and t give an upper bound of
    f. By Boole's inequality half of 1 - ``LIMIT_CONFIDENCE`` is spent on P, a quarter on each of e and t.

    Args:
        observed: alarms among independent earthquakes.
        efficiency: injections detected.
        false_alarms: control windows with an alarm. Without a higher efficiency the limit is undefined.

    Source: Rogan & Gladen (1978), doi:10.1093/oxfordjournals.aje.a112510 (prevalence by an imperfect test of
    sensitivity e and specificity 1 - t); bounds by Clopper & Pearson (1934).
    """
    error = 1 - LIMIT_CONFIDENCE
    return Limit(
        _solve(observed.upper(1 - error / 2), efficiency.lower(1 - error / 4), false_alarms.lower(1 - error / 4)),
        _solve(observed.upper(LIMIT_CONFIDENCE), efficiency.fraction, false_alarms.fraction),
    )


def _solve(alarm_rate: float, efficiency: float, false_alarms: float) -> float | None:
    if efficiency <= false_alarms:
        return None
    return float(np.clip((alarm_rate - false_alarms) / (efficiency - false_alarms), 0.0, 1.0))
