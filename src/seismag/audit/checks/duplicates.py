"""Search for copies among the windows of a store: a file under two dates, a day under two stations, also disguised.

Each bin of a periodogram scatters by 5.6 dB about the spectrum, and that scatter is new in every window, so it is what
is compared (docs/method.md). Stations share scatter below about 0.1 Hz at one time; windows of one time are copies only
if they also agree at higher frequencies, where each sensor has its own noise.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from seismag.arrays import Float32Array, IndexArray
from seismag.audit.checks.disguised_copies import (
    MAX_MODES,
    N_DIRECTIONS,
    best_alignment,
    frames_by_direction,
    invariant_scatter,
)
from seismag.config import AuditConfig
from seismag.domain import COMPONENTS
from seismag.estimate import CheckResult, NullInterval
from seismag.windows.store import LEGACY_IMAGE, SHARD_SAMPLES, Store, read_samples

COPY_CORRELATION = 0.5  # ten times what independent windows reach; copies with other gaps and rounding keep 0.8
SAME_TIME_CORRELATION = 0.9  # of the upper third of the frequencies, for two stations at one time
CANDIDATE_CORRELATION = 0.3  # of fingerprints, whose own error is 0.04
FINGERPRINT_SUMS = 512
COMPONENT_SUMS, CANDIDATE_COMPONENT = 256, 0.45  # error 0.06
FRAME_SUMS, CANDIDATE_FRAME = 128, 0.6  # error 0.09, and 0.1 that single frames reach by chance
MAX_PARTNERS = 20  # copies of one window that are examined
_FRAME_STEP = 3  # neighbouring time frames overlap by five sixths
_HALF_BINS = 2  # frequency bins on each side that the spectrum at a bin is estimated from
_MIN_SHARED = 0.2  # fraction of bins that is unmasked in both windows
_BLOCK = 2048  # windows compared at once
_CHANCE_PAIRS = 200_000
_EXAMPLES = 5
_KEPT_BYTES = 64_000_000  # of the scatter of windows that are compared


def check_duplicates(store: Store, split: pd.DataFrame | None, spec: AuditConfig) -> CheckResult:
    """``duplicates``, blocking: windows whose spectrograms are the same, exactly or nearly.

    The statistic is the largest correlation of two windows; the null interval is that of as many independent pairs.
    With a split (sample_id, fold, role), copies on both sides of a fold are counted.
    """
    found = fingerprints(store, np.random.default_rng([spec.seed, 1]))
    images = store.attributes.get("origin") == LEGACY_IMAGE  # frames and axes are alike in all pictures
    copies = _exact(found.digests)
    pairs, similarity = similar_pairs(found.whole, CANDIDATE_CORRELATION)
    if not images:
        near = _near(store, np.unique(np.concatenate([pairs, *found.disguised_pairs()]), axis=0))
        copies = pd.concat([copies, near] if len(near) else [copies]).drop_duplicates(["one", "other"])
    spread = _chance_spread(found.whole, np.random.default_rng([spec.seed, 2]))
    n, n_involved, n_exact = len(store.samples), len(np.unique(copies[["one", "other"]])), int(copies["exact"].sum())
    largest = float(copies["correlation"].max()) if len(copies) else similarity
    examples = _examples(store.samples, copies)
    subset_pairs = {} if split is None else _subset_pairs(store.samples, split, copies)
    how = "the same bytes" if images else "the same bytes or nearly the same scatter"
    if n_involved:
        one, other = examples[0]["windows"]
        sides = ", ".join(f"{count} between {name}" for name, count in subset_pairs.items())
        changes = "".join(f"; {count} {name}" for name, count in _changes(copies).items())
        sentence = (
            f"{n_involved} of {n} windows contain {how} as another one ({len(copies)} pairs, "
            f"{n_exact} of them exact{changes}; for example {one} and {other}); independent windows correlate "
            f"within {3 * spread:.2f}{f'. Pairs on both sides of a fold: {sides}' if sides else ''}. "
            "Find the files behind them and keep one of each."
        )
    else:
        sentence = (
            f"No two of {n} windows contain {how}; the largest correlation is {largest:.2f}, copies have "
            f"{COPY_CORRELATION:g} or more."
        )
    return CheckResult(
        name="duplicates",
        sentence=sentence,
        statistic=largest,
        statistic_name="largest correlation of the scatter of two windows",
        null=_null_of_largest(spread, n),
        blocking=True,
        verdict="fail" if n_involved else "pass",
        details={
            "windows": n, "windows_with_copy": n_involved, "pairs": len(copies),
            "exact_pairs": n_exact, "changes": _changes(copies), "examples": examples, "role_pairs": subset_pairs,
            "searched": "exact" if images else "exact and near",
        },
    )  # fmt: skip


def spectral_scatter(power_db: NDArray[Any]) -> Float32Array:
    """Remove the spectrum, its slow change and its lines from (n, 3, F, T) dB, NaN masked; the scatter remains.

    It has mean 0 and deviation 1 over time in each frequency bin; 0 where masked.
    """
    known = np.isfinite(power_db)
    level = np.where(known, power_db, 0).astype(np.float32)
    weight = known.astype(np.float32)
    scatter = np.where(known, level - _box_sum(level) / np.maximum(_box_sum(weight), 1), 0)
    count = np.maximum(weight.sum(axis=-1, keepdims=True), 1)
    scatter = (scatter - scatter.sum(axis=-1, keepdims=True) / count) * weight
    deviation = np.sqrt((scatter**2).sum(axis=-1, keepdims=True) / count)
    return np.divide(scatter, deviation, out=np.zeros_like(scatter), where=deviation > 1e-3)


@dataclass(frozen=True)
class Fingerprints:
    """Signed sums of the scatter of each window, of unit length: their products estimate correlations.

    Attributes:
        whole: (n, 512) of all bins.
        invariant: (n, 512) of what no reversal, circular shift or order of the components changes.
        components: (3, n, 256) of each component.
        frames: (m, n, 128) of the time frame that is largest in each of m directions.
        digests: of the bytes of each window; "" for one without any value.

    Source: Charikar, Chen and Farach-Colton (2004), doi:10.1016/S0304-3975(03)00400-6 (count sketch).
    """

    whole: Float32Array
    invariant: Float32Array
    components: Float32Array
    frames: Float32Array
    digests: list[str]

    def disguised_pairs(self) -> list[IndexArray]:
        """Candidates (p, 2) for copies that were changed, by each kind of fingerprint."""
        return [
            similar_pairs(self.invariant, CANDIDATE_CORRELATION)[0],
            *(similar_pairs(of_one, CANDIDATE_COMPONENT)[0] for of_one in self.components),
            *(similar_pairs(of_one, CANDIDATE_FRAME)[0] for of_one in self.frames),
        ]


def fingerprints(store: Store, rng: np.random.Generator) -> Fingerprints:
    """Summarise each window of a store."""
    n, (n_bins, n_frames) = len(store.samples), store.power.shape[2:]
    n_kept = len(range(0, n_frames, _FRAME_STEP))
    of_whole = _SignedSums.build(3 * n_bins * n_kept, FINGERPRINT_SUMS, rng)
    step = _FRAME_STEP if n_frames > 2 * MAX_MODES else 1
    n_modes = min(len(range(0, n_frames, step)) // 2, MAX_MODES)
    of_moduli = _SignedSums.build(n_bins * n_modes, FINGERPRINT_SUMS, rng)
    of_component = _SignedSums.build(n_bins * n_kept, COMPONENT_SUMS, rng)
    of_frame = _SignedSums.build(3 * n_bins, FRAME_SUMS, rng)
    directions = rng.standard_normal((N_DIRECTIONS, 3 * n_bins)).astype(np.float32)
    whole, invariant = (np.zeros((n, FINGERPRINT_SUMS), np.float32) for _ in range(2))
    components = np.zeros((3, n, COMPONENT_SUMS), np.float32)
    frames = np.zeros((N_DIRECTIONS, n, FRAME_SUMS), np.float32)
    digests = []
    for first in range(0, n, SHARD_SAMPLES):
        power = read_samples(store.power, first, min(first + SHARD_SAMPLES, n))
        for window in power:
            digest = hashlib.blake2b(window.tobytes(), digest_size=16).hexdigest()
            digests.append(digest if np.isfinite(window).any() else "")
        rows = slice(first, first + len(power))
        scatter = spectral_scatter(power[..., ::_FRAME_STEP])
        whole[rows] = of_whole.of(scatter)
        for k in range(3):
            components[k, rows] = of_component.of(scatter[:, k])
        scatter = scatter if step == _FRAME_STEP else spectral_scatter(power[..., ::step])
        invariant[rows] = of_moduli.of(invariant_scatter(scatter))
        for k, chosen in enumerate(np.moveaxis(frames_by_direction(scatter, directions), 1, 0)):
            frames[k, rows] = of_frame.of(chosen)
    has_value = np.array([bool(digest) for digest in digests])[:, None]
    invariant = np.where(has_value, invariant - invariant[has_value[:, 0]].mean(axis=0), 0).astype(np.float32)
    return Fingerprints(
        _unit_length(whole), _unit_length(invariant), _unit_length(components), _unit_length(frames), digests
    )


@dataclass(frozen=True)
class _SignedSums:
    """Sums of random subsets of numbers with random signs."""

    size: int
    n_sums: int
    order: IndexArray
    sign: Float32Array

    @classmethod
    def build(cls, size: int, n_sums: int, rng: np.random.Generator) -> _SignedSums:
        order = rng.permutation(-(-size // n_sums) * n_sums)
        return cls(size, n_sums, order, rng.choice(np.array([-1, 1], np.float32), order.size))

    def of(self, values: Float32Array) -> Float32Array:
        """Sums (n, n_sums) of (n, ...)."""
        padded = np.pad(values.reshape(len(values), -1), ((0, 0), (0, self.order.size - self.size)))
        return np.asarray((padded * self.sign)[:, self.order].reshape(len(values), -1, self.n_sums).sum(axis=1))


def _unit_length(prints: Float32Array) -> Float32Array:
    length = np.linalg.norm(prints, axis=-1, keepdims=True)
    return np.divide(prints, length, out=np.zeros_like(prints), where=length > 0)


def similar_pairs(prints: Float32Array, limit: float) -> tuple[IndexArray, float]:
    """Pairs of fingerprints whose product exceeds ``limit``, (p, 2), at most 20 partners a window; largest product."""
    found, largest = [], -1.0
    for first in range(0, len(prints), _BLOCK):
        product = prints[first : first + _BLOCK] @ prints[first:].T  # with all later windows
        product[np.tril_indices(len(product), m=product.shape[1])] = -1
        largest = max(largest, float(product.max(initial=-1)))
        for row in np.flatnonzero((product > limit).any(axis=1)):
            partners = np.flatnonzero(product[row] > limit)
            best = partners[np.argsort(-product[row, partners], kind="stable")[:MAX_PARTNERS]]
            found += [(first + row, first + partner) for partner in np.sort(best)]
    return np.array(found, dtype=np.intp).reshape(-1, 2), largest


def scatter_correlation(a: Float32Array, b: Float32Array) -> float:
    """Correlate the scatter (3, F, T) of two windows over the bins known in both; 0 where they are too few."""
    shared = (a != 0) & (b != 0)
    if shared.mean() < _MIN_SHARED:
        return 0.0
    x, y = a[shared].astype(float), b[shared].astype(float)
    return float((x @ y) / max(np.sqrt((x @ x) * (y @ y)), 1e-12))


def _box_sum(values: Float32Array) -> Float32Array:
    padded = np.pad(values, ((0, 0), (0, 0), (_HALF_BINS + 1, _HALF_BINS), (0, 0)))
    total = np.cumsum(padded, axis=2, dtype=np.float32)
    return total[:, :, 2 * _HALF_BINS + 1 :] - total[:, :, : -2 * _HALF_BINS - 1]


def _exact(digests: list[str]) -> pd.DataFrame:
    """Pairs of windows with the same bytes: one, other, correlation, exact."""
    pairs: list[tuple[int, int]] = []
    for digest, rows in pd.Series(range(len(digests))).groupby(np.array(digests, dtype=object)).indices.items():
        if digest and len(rows) > 1:
            pairs += list(combinations(sorted(rows), 2))[: MAX_PARTNERS * len(rows)]
    return pd.DataFrame(pairs, columns=["one", "other"]).astype(int).assign(correlation=1.0, exact=True, change="")


def _near(store: Store, pairs: IndexArray) -> pd.DataFrame:
    """Candidates (p, 2) whose whole spectrograms agree: one, other, correlation, exact, change of the copy."""
    start = store.samples["start_utc"].to_numpy()
    upper = slice(2 * store.power.shape[2] // 3, None)
    window_bytes = 4 * int(np.prod(store.power.shape[1:]))

    @lru_cache(maxsize=max(2, _KEPT_BYTES // window_bytes))  # a window with many copies is read once
    def scatter_of(index: int) -> Float32Array:
        return spectral_scatter(read_samples(store.power, index, index + 1))[0]

    found = []
    for one, other in pairs.tolist():
        of_upper = None if start[one] != start[other] else upper
        value, change = _best_correlation(scatter_of(one), scatter_of(other), of_upper)
        if value >= COPY_CORRELATION:
            found.append((one, other, value, False, change))
    return pd.DataFrame(found, columns=["one", "other", "correlation", "exact", "change"])


def _best_correlation(a: Float32Array, b: Float32Array, upper: slice | None) -> tuple[float, str]:
    """Largest correlation of the scatter of two windows: as they are, changed, or of a single component; the change.

    ``upper``: bins in which two windows of one time must agree too; None for windows of different times.
    """

    def of_components(chosen: slice) -> float:
        value = scatter_correlation(a[chosen], b[chosen])
        is_shared = (
            upper is not None and scatter_correlation(a[chosen, upper], b[chosen, upper]) < SAME_TIME_CORRELATION
        )
        return 0.0 if is_shared else value

    value = of_components(slice(None))
    if value >= COPY_CORRELATION:
        return value, ""
    value, change = best_alignment(a, b)
    if value >= COPY_CORRELATION and change:
        return value, change
    by_component = [of_components(slice(k, k + 1)) for k in range(3)]
    best = int(np.argmax(by_component))
    return by_component[best], f"{COMPONENTS[best]} only"


def _changes(copies: pd.DataFrame) -> dict[str, int]:
    """Number of pairs by the change of the copy, the most frequent first."""
    changed = copies.loc[copies["change"] != "", "change"]
    return {str(name): int(count) for name, count in changed.value_counts().head(_EXAMPLES).items()}


def _chance_spread(prints: Float32Array, rng: np.random.Generator) -> float:
    """Robust deviation of the correlation of independent windows, from random pairs (few of them are copies)."""
    if len(prints) < 2:
        return float("nan")
    one = rng.integers(0, len(prints), _CHANCE_PAIRS)
    other = (one + rng.integers(1, len(prints), _CHANCE_PAIRS)) % len(prints)
    blocks = [slice(first, first + _BLOCK) for first in range(0, _CHANCE_PAIRS, _BLOCK)]
    chance = [np.einsum("ij,ij->i", prints[one[block]], prints[other[block]]) for block in blocks]
    return float(stats.median_abs_deviation(np.concatenate(chance), scale="normal"))


def _null_of_largest(spread: float, n: int) -> NullInterval | None:
    """Median and interval of the largest of n (n - 1) / 2 independent normal correlations of this deviation."""
    if n < 2 or not spread > 0:
        return None
    pairs = n * (n - 1) / 2
    middle, low, high = (float(spread * stats.norm.isf(-np.log(q) / pairs)) for q in (0.5, 0.025, 0.975))
    return NullInterval(middle, low, high)


def _subset_pairs(samples: pd.DataFrame, split: pd.DataFrame, copies: pd.DataFrame) -> dict[str, int]:
    """Count, over all folds, the pairs whose windows are in different subsets."""
    counts: Counter[str] = Counter()
    for _, rows in split.groupby("fold", sort=True):
        one_subset = rows.sort_values("role").drop_duplicates("sample_id")  # naive splits validate on test windows
        subset = samples["sample_id"].map(one_subset.set_index("sample_id")["role"]).astype(str).to_numpy()
        for one, other in zip(subset[copies["one"]], subset[copies["other"]], strict=True):
            sides = sorted({one, other} & {"train", "val", "test", "sealed"})
            counts[" and ".join(sides)] += len(sides) == 2
    return {sides: n for sides, n in counts.items() if n}


def _examples(samples: pd.DataFrame, copies: pd.DataFrame) -> list[dict[str, Any]]:
    ids = samples["sample_id"].to_numpy()
    best = copies.sort_values("correlation", ascending=False, kind="stable").head(_EXAMPLES)
    return [
        {"windows": [str(ids[pair.one]), str(ids[pair.other])], "correlation": round(float(pair.correlation), 3)}
        for pair in best.itertuples()
    ]
