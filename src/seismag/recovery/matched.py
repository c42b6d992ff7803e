"""Detectors that know the band of an emission, a bound for models that have to learn it.

- ``within_window``: compares bins of the same window alone: horizontal power in the band over that of the octave from
  twice the upper edge on; with cross-spectra the quadrature of Z and the horizontal components over their powers.
- ``matched``: knows the background of the station as well, the mean and the covariance between bands of its control
  windows on other days. It weighs the bands as a matched filter does: with the expected increase s of the logarithmic
  powers x, horizontal and vertical, by a weak emission of constant power density, s = emission / background inside the
  band and 0 outside, and the covariance C of the background, the statistic is s' C^-1 (x - mean) in units of its
  standard deviation. Bands outside count too: they predict the background inside. With cross-spectra the same filter is
  applied to both components of the quadrature vector, and the squares of the power (where it is increased) and of the
  vector are added.

Source: matched filter in coloured noise, Kay (1998), Fundamentals of Statistical Signal Processing II, chapter 4;
shrinkage of the covariance, Ledoit & Wolf (2004), doi:10.1016/S0047-259X(03)00096-4.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import ledoit_wolf

from seismag.arrays import BoolArray, FloatArray, IndexArray
from seismag.config import EmissionConfig
from seismag.spectrograms.compute import PAIRS
from seismag.windows.store import Store, read_samples

StoredArray = NDArray[np.floating[Any]]
DETECTORS = ("within_window", "matched")
LEAST_WINDOWS = 30  # control windows of a station on other days; with fewer those of all stations are used
_DAY_FOLDS = 10  # consecutive days that are left out together
_REACH = 4.0  # bands from low / 4 to 4 high are used
_PER_OCTAVE = 4  # bands
_MOST_QUADRATURE = 0.999
_POWERS = 2  # features that are powers: horizontal, vertical


@dataclass(frozen=True)
class Bands:
    """Frequency bins of a known emission.

    Attributes:
        inside: (F,) in the band of the emission.
        above: (F,) in the octave from twice its upper edge on.
        width_mhz: (F,) of each bin.
        part: (F,) band of the matched filter, a quarter of an octave inside or outside; -1: not used.
        is_inside: (K,) whether a band of the matched filter lies in that of the emission.
        z_ratio: amplitude of the emission in Z over the horizontal one.
    """

    inside: BoolArray
    above: BoolArray
    width_mhz: FloatArray
    part: IndexArray
    is_inside: BoolArray
    z_ratio: float

    @classmethod
    def of(cls, frequency_hz: FloatArray, emission: EmissionConfig) -> Bands:
        """Divide the frequency bins of a store."""
        mhz = frequency_hz * 1000
        inside = (mhz >= emission.low_mhz) & (mhz < emission.high_mhz)
        above = (mhz >= 2 * emission.high_mhz) & (mhz < 4 * emission.high_mhz)
        used = (mhz >= emission.low_mhz / _REACH) & (mhz < emission.high_mhz * _REACH)
        octave = np.round(_PER_OCTAVE * np.log2(mhz / emission.low_mhz))
        keys, part = np.unique(np.stack([octave, inside])[:, used], axis=1, return_inverse=True)
        places = np.full(len(mhz), -1)
        places[used] = part.ravel()
        return cls(inside, above, np.gradient(mhz), places, keys[1] == 1, emission.z_ratio)

    def mean(self, values: FloatArray) -> FloatArray:
        """Mean of values (..., F) over the bins of each band of the matched filter, (..., K)."""
        used = self.part >= 0
        indicator = np.eye(len(self.is_inside))[self.part[used]]  # (bins, K)
        return np.asarray(values[..., used] @ (indicator / indicator.sum(axis=0)))


@dataclass(frozen=True)
class BandSums:
    """A window in the band of an emission: powers (3,) of H, D, Z, and cross-spectra (2,) of Z with H and with D.

    ``ratio`` is the logarithm of the horizontal power density over that of the octave above.
    """

    power: FloatArray
    cross: NDArray[np.complex128] | None
    ratio: float

    @classmethod
    def of(cls, power_db: StoredArray, phasors: StoredArray | None, bands: Bands) -> BandSums:
        """Add up power_db (3, F, T) and phasors (3 pairs, 2 parts, F, T) of a store; NaN is left out."""
        power = 10.0 ** (power_db.astype(float) / 10)
        weighted = power * bands.width_mhz[:, None]
        ratio = np.log(np.nanmean(power[:2, bands.inside]) / np.nanmean(power[:2, bands.above]))
        cross = None
        if phasors is not None:
            parts = _cross_spectra(power[None], phasors[None])[0] * bands.width_mhz[:, None]
            cross = np.nansum(parts[:, bands.inside], axis=(1, 2))
        return cls(np.nansum(weighted[:, bands.inside], axis=(1, 2)), cross, float(ratio))

    @property
    def quadrature(self) -> float:
        """Coherence of Z with the horizontal components a quarter period later, as Fisher's z."""
        if self.cross is None:
            raise ValueError("no cross-spectra")
        coherence = np.hypot(*self.cross.imag) / np.sqrt(self.power[2] * self.power[:2].sum())
        return float(np.arctanh(min(coherence, _MOST_QUADRATURE)))

    @property
    def detector(self) -> float:
        """The statistic of ``within_window``: the quadrature where there are cross-spectra, else the ratio."""
        return self.ratio if self.cross is None else self.quadrature

    @property
    def azimuth_deg(self) -> float:
        """Azimuth of the source from the H axis.

        Z leads the horizontal components along the azimuth by 90 degrees, so with S_ab = <conj(a) b> the vector
        (-Im S_ZX, -Im S_ZY) points at the source. Power alone gives atan(sqrt(P_D / P_H)), the direction except for
        mirror images and reverse; of these the one from 0 to 90 degrees.
        """
        if self.cross is None:
            return float(np.degrees(np.arctan2(np.sqrt(self.power[1]), np.sqrt(self.power[0]))))
        return float(np.degrees(np.arctan2(-self.cross[1].imag, -self.cross[0].imag)))


@dataclass(frozen=True)
class Background:
    """Filter for one station, from control windows of other days.

    Attributes:
        mean: (2 or 4, K) of the logarithms of horizontal and vertical power and, with cross-spectra, of both components
            of the quadrature.
        weights: (2 or 4, K); the filtered background has the standard deviation 1.
    """

    mean: FloatArray
    weights: FloatArray

    @classmethod
    def of(cls, features: FloatArray, bands: Bands) -> Background:
        """Learn the filter from control windows (n, 2 or 4, K)."""
        n, parts, n_bands = features.shape
        mean = features.mean(axis=0)
        emission = np.array([1.0, bands.z_ratio**2])[:, None]
        increase = np.where(bands.is_inside, emission * np.exp(mean[0].min() - mean[:_POWERS]), 0.0)
        power = (features - mean)[:, :_POWERS].reshape(n, -1)
        weights = [_filter(power, increase.ravel()).reshape(_POWERS, n_bands)]
        if parts > _POWERS:  # both components have one covariance, as the azimuth is unknown
            quadrature = (features - mean)[:, _POWERS:].reshape(-1, n_bands)
            weights.append(np.tile(_filter(quadrature, increase[0]), (parts - _POWERS, 1)))
        return cls(mean, np.concatenate(weights))

    def statistic(self, features: FloatArray) -> FloatArray:
        """Statistic (n,) of windows (n, 2 or 4, K); larger where an emission is likelier."""
        filtered = np.einsum("njk,jk->nj", features - self.mean, self.weights)
        power = filtered[:, :_POWERS].sum(axis=1)
        if filtered.shape[1] == _POWERS:
            return np.asarray(power)
        return np.asarray(np.maximum(power, 0.0) ** 2 + (filtered[:, _POWERS:] ** 2).sum(axis=1))


def _filter(background: FloatArray, increase: FloatArray) -> FloatArray:
    """Weights (k,) of the matched filter for an increase (k,) in a background (n, k) of mean 0, to unit variance."""
    weights = np.linalg.solve(ledoit_wolf(background)[0], increase)
    return np.asarray(weights / (background @ weights).std())


@dataclass(frozen=True)
class KnownBand:
    """Both detectors for the windows of a study.

    Attributes:
        bands: frequency bins.
        cross: cross-spectra are used.
        edges: first day of each fold but the first, days since 1970-01-01; statistics of a fold are of other days.
        backgrounds: by station and fold.
    """

    bands: Bands
    cross: bool
    edges: IndexArray
    backgrounds: Mapping[tuple[str, int], Background]

    def score(
        self, power_db: StoredArray, phasors: StoredArray | None, station: str, day: np.datetime64
    ) -> dict[str, FloatArray]:
        """Statistics (n,) by detector, of versions (n, 3, F, T) of a window; -inf where no bin of a band is known."""
        phasors = phasors if self.cross else None
        background = self.backgrounds[station, _fold_of(self.edges, day)]
        features = matched_features(power_db, phasors, self.bands)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # empty means are NaN
            sums = [
                BandSums.of(power_db[k], None if phasors is None else phasors[k], self.bands)
                for k in range(len(power_db))
            ]
        found = {
            "within_window": np.array([entry.detector for entry in sums]),
            "matched": background.statistic(features),
        }
        return {name: np.where(np.isfinite(values), values, -np.inf) for name, values in found.items()}


def fit_known_band(
    store: Store, rows: IndexArray, emission: EmissionConfig, cross: bool
) -> tuple[KnownBand, dict[str, FloatArray]]:
    """Learn the backgrounds of stations from control windows, and score these windows.

    Args:
        store: of the windows.
        rows: (n,) positions of the control windows.
        emission: its band.
        cross: use the cross-spectra, as the model does.

    Returns:
        The detectors, and the statistics (n,) of the control windows by detector, each with backgrounds of other days.
    """
    bands = Bands.of(store.frequency_hz, emission)
    samples = store.samples.iloc[rows]
    station, day = samples["station"].astype(str).to_numpy(), samples["start_utc"].to_numpy().astype("M8[D]")
    features = []
    for row in rows:
        phasors = read_samples(store.cross, row, row + 1) if cross else None
        features.append(matched_features(read_samples(store.power, row, row + 1), phasors, bands)[0])
    known = np.array(features)
    days = np.unique(day.astype(np.int64))
    edges = np.array([part[0] for part in np.array_split(days, min(_DAY_FOLDS, len(days)))][1:], dtype=np.int64)
    fold = np.array([_fold_of(edges, each) for each in day])
    usable = np.isfinite(known).all(axis=(1, 2))
    backgrounds = {}
    for code in np.unique(station):
        for number in np.unique(fold):
            others = usable & (fold != number)
            own = others & (station == code)
            enough = own if own.sum() >= LEAST_WINDOWS else others
            backgrounds[code, int(number)] = Background.of(known[enough], bands)
    detectors = KnownBand(bands, cross, edges, backgrounds)
    scores: dict[str, list[float]] = {name: [] for name in DETECTORS}
    for row, code, date in zip(rows, station, day, strict=True):
        phasors = read_samples(store.cross, row, row + 1) if cross else None
        for name, value in detectors.score(read_samples(store.power, row, row + 1), phasors, code, date).items():
            scores[name].append(float(value[0]))
    return detectors, {name: np.array(values) for name, values in scores.items()}


def matched_features(power_db: StoredArray, phasors: StoredArray | None, bands: Bands) -> FloatArray:
    """Logarithms of horizontal and vertical power, and quadrature, averaged over time and the bins of each band.

    Args:
        power_db: (n, 3, F, T) as in a store.
        phasors: (n, 3, 2, F, T), or None.

    Returns:
        (n, 2, K), with phasors (n, 4, K), the quadrature of Z and both components over the horizontal power; NaN where
        no time frame is known.
    """
    power = 10.0 ** (power_db.astype(float) / 10)
    horizontal = power[:, :2].sum(axis=1)  # (n, F, T)
    parts = [np.log(horizontal), np.log(power[:, 2])]
    if phasors is not None:
        quadrature = -_cross_spectra(power, phasors).imag / horizontal[:, None]
        parts += [quadrature[:, 0], quadrature[:, 1]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # empty means are NaN
        over_time = [np.nanmean(part, axis=2) for part in parts]
    return np.stack([bands.mean(values) for values in over_time], axis=1)


def _cross_spectra(power: FloatArray, phasors: StoredArray) -> NDArray[np.complex128]:
    """Cross-spectra (n, 2, F, T) of Z with X and of Z with Y, from powers (n, 3, F, T) and phasors."""
    unit = phasors[:, 1:, 0].astype(float) + 1j * phasors[:, 1:, 1].astype(float)
    pairs = [np.sqrt(power[:, a] * power[:, b]) for _, a, b in PAIRS[1:]]
    return np.asarray(unit * np.stack(pairs, axis=1))


def _fold_of(edges: IndexArray, day: np.datetime64) -> int:
    return int(np.searchsorted(edges, day.astype("M8[D]").astype(np.int64), side="right"))
