"""Windows that hold the same field: a file under two dates, a day under two stations, a record in two roles.

Two records of the field never agree cell by cell: each cell of a periodogram scatters by 5.6 dB about the spectrum,
and that scatter is drawn anew in every window. So the spectrum, its slow change and its lines are taken off, and what
is left of two windows is correlated. Independent windows give 0 within a few hundredths, copies nearly 1, even after
other gaps, levels and rounding. Stations that record the same storm or the same Pc3 train at the same time share
cells below about 0.1 Hz; two windows of one time are copies only if they also agree above, where each sensor has its
own noise.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from seismag.arrays import FloatArray
from seismag.config import AuditConfig
from seismag.estimate import CheckResult
from seismag.windows.store import LEGACY_IMAGE, SHARD_SAMPLES, Store, read_samples

COPY_CORRELATION = 0.5  # ten times what independent windows reach; copies with other gaps and rounding keep 0.8
SAME_TIME_CORRELATION = 0.9  # ... of the upper third of the rows, for two stations at one time
CANDIDATE_CORRELATION = 0.3  # of fingerprints, whose own error is 0.04
FINGERPRINT_CELLS = 512
PARTNERS = 20  # copies looked at of one window
_COLUMN_STEP = 3  # neighbouring columns overlap by five sixths
_HALF_ROWS = 2  # rows on each side that the spectrum at a row is estimated from
_LEAST_SHARED = 0.2  # of the cells, unmasked in both windows
_BLOCK = 2048
_CHANCE_PAIRS = 200_000
_EXAMPLES = 5


@dataclass(frozen=True)
class Copies:
    """Pairs of windows that hold the same field.

    Attributes:
        pairs: (p, 2) positions, the smaller first.
        correlation: (p,) 1 for exact copies.
        exact: (p,) same bytes.
    """

    pairs: NDArray[np.intp]
    correlation: FloatArray
    exact: NDArray[np.bool_]


def check_duplicates(store: Store, split: pd.DataFrame | None, spec: AuditConfig) -> CheckResult:
    """Look for windows whose spectrograms are the same, or nearly.

    Args:
        store: a finished store; it is read once, and the candidates again.
        split: sample_id, fold, role; where given, copies on two sides of a fold are counted.
        spec: seed of the fingerprints.

    Returns:
        ``duplicates``, gating, with its own verdict: copies are no matter of chance. The statistic is the largest
        correlation of two windows; the null is that of as many independent pairs.
    """
    prints, digests = fingerprints(store, np.random.default_rng([spec.seed, 1]))
    images = store.attributes.get("origin") == LEGACY_IMAGE  # frames and axes are alike in all pictures
    copies = _merge(_exact(digests), _near(store, prints) if not images else None)
    spread = _chance_spread(prints, np.random.default_rng([spec.seed, 2]))
    involved = np.unique(copies.pairs)
    largest = float(copies.correlation.max()) if len(copies.pairs) else _largest(prints)
    details: dict[str, Any] = {
        "windows": len(store.samples), "windows_with_copy": len(involved), "pairs": len(copies.pairs),
        "exact_pairs": int(copies.exact.sum()), "examples": _examples(store.samples, copies),
        "role_pairs": {} if split is None else _role_pairs(store.samples, split, copies),
        "searched": "exact" if images else "exact and near",
    }  # fmt: skip
    return CheckResult(
        name="duplicates",
        sentence=_sentence(details, len(store.samples), largest, spread),
        statistic=largest,
        statistic_name="largest correlation of two windows' cells",
        null=_null_of_largest(spread, len(store.samples)),
        gates=True,
        verdict="fail" if len(involved) else "pass",
        details=details,
    )


def cell_scatter(power_db: NDArray[Any]) -> NDArray[np.float32]:
    """Take the spectrum, its slow change and its lines off: what is left is each cell's own scatter.

    Args:
        power_db: (n, 3, F, T) dB; NaN masked.

    Returns:
        (n, 3, F, T), each row with mean 0 and deviation 1 over time; 0 where masked.
    """
    known = np.isfinite(power_db)
    level = np.where(known, power_db, 0).astype(np.float32)
    weight = known.astype(np.float32)
    scatter = np.where(known, level - _row_box(level) / np.maximum(_row_box(weight), 1), 0)
    count = np.maximum(weight.sum(axis=-1, keepdims=True), 1)
    scatter = (scatter - scatter.sum(axis=-1, keepdims=True) / count) * weight
    deviation = np.sqrt((scatter**2).sum(axis=-1, keepdims=True) / count)
    return np.divide(scatter, deviation, out=np.zeros_like(scatter), where=deviation > 1e-3)


def fingerprints(store: Store, rng: np.random.Generator) -> tuple[NDArray[np.float32], list[str]]:
    """Summarise each window by 512 signed sums of its scatter, and by the digest of its bytes.

    The product of two fingerprints (of unit length) estimates the correlation of the windows with an error of
    1 / sqrt(512).

    Returns:
        (n, 512), and n digests ("" for a window without any value).

    Source: Charikar, Chen and Farach-Colton (2004), doi:10.1016/S0304-3975(03)00400-6 (count sketch).
    """
    n, (rows, columns) = len(store.samples), store.power.shape[2:]
    cells = 3 * rows * len(range(0, columns, _COLUMN_STEP))
    width = -(-cells // FINGERPRINT_CELLS)
    order = rng.permutation(width * FINGERPRINT_CELLS)
    sign = rng.choice(np.array([-1, 1], np.float32), order.size)
    prints = np.zeros((n, FINGERPRINT_CELLS), np.float32)
    digests = []
    for first in range(0, n, SHARD_SAMPLES):
        power = read_samples(store.power, first, min(first + SHARD_SAMPLES, n))
        digests += [_digest(window) for window in power]
        scatter = cell_scatter(power[..., ::_COLUMN_STEP]).reshape(len(power), -1)
        padded = np.pad(scatter, ((0, 0), (0, order.size - cells)))
        prints[first : first + len(power)] = (padded * sign)[:, order].reshape(len(power), width, -1).sum(axis=1)
    length = np.linalg.norm(prints, axis=1, keepdims=True)
    return np.divide(prints, length, out=np.zeros_like(prints), where=length > 0), digests


def similar_pairs(prints: NDArray[np.float32], limit: float) -> NDArray[np.intp]:
    """Find the pairs of fingerprints whose product exceeds ``limit``: (p, 2), at most 20 partners a window."""
    found = []
    for first in range(0, len(prints), _BLOCK):
        product = prints[first : first + _BLOCK] @ prints[first:].T  # (b, n - first)
        product[np.tril_indices(len(product), m=product.shape[1])] = -1
        rows = np.flatnonzero((product > limit).any(axis=1))
        for row in rows:
            partners = np.flatnonzero(product[row] > limit)
            best = partners[np.argsort(-product[row, partners], kind="stable")[:PARTNERS]]
            found += [(first + row, first + partner) for partner in np.sort(best)]
    return np.array(found, dtype=np.intp).reshape(-1, 2)


def scatter_correlation(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Correlate the scatter (3, F, T) of two windows over the cells known in both; 0 where too few are."""
    shared = (a != 0) & (b != 0)
    if shared.mean() < _LEAST_SHARED:
        return 0.0
    x, y = a[shared].astype(float), b[shared].astype(float)
    return float((x @ y) / max(np.sqrt((x @ x) * (y @ y)), 1e-12))


def _row_box(values: NDArray[np.float32]) -> NDArray[np.float32]:
    padded = np.pad(values, ((0, 0), (0, 0), (_HALF_ROWS + 1, _HALF_ROWS), (0, 0)))
    total = np.cumsum(padded, axis=2, dtype=np.float32)
    return total[:, :, 2 * _HALF_ROWS + 1 :] - total[:, :, : -2 * _HALF_ROWS - 1]


def _digest(window: NDArray[np.float16]) -> str:
    return hashlib.blake2b(window.tobytes(), digest_size=16).hexdigest() if np.isfinite(window).any() else ""


def _exact(digests: list[str]) -> Copies:
    groups = pd.Series(range(len(digests))).groupby(np.array(digests, dtype=object)).indices
    pairs = [
        pair
        for digest, rows in groups.items()
        if digest and len(rows) > 1
        for pair in list(combinations(sorted(rows), 2))[: PARTNERS * len(rows)]
    ]
    array = np.array(pairs, dtype=np.intp).reshape(-1, 2)
    return Copies(array, np.ones(len(array)), np.ones(len(array), dtype=bool))


def _near(store: Store, prints: NDArray[np.float32]) -> Copies:
    """Confirm candidates by their whole spectrograms."""
    start = store.samples["start_utc"].to_numpy()
    upper = slice(2 * store.power.shape[2] // 3, None)
    held: dict[int, NDArray[np.float32]] = {}
    pairs, values = [], []
    for one, other in similar_pairs(prints, CANDIDATE_CORRELATION):
        held = {row: kept for row, kept in held.items() if row == one}  # pairs come sorted by the first
        for row in (int(one), int(other)):
            if row not in held:
                held[row] = cell_scatter(read_samples(store.power, row, row + 1))[0]
        a, b = held[int(one)], held[int(other)]
        value = scatter_correlation(a, b)
        together = start[one] == start[other]
        if together and scatter_correlation(a[:, upper], b[:, upper]) < SAME_TIME_CORRELATION:
            continue
        if value >= COPY_CORRELATION:
            pairs.append((one, other))
            values.append(value)
    array = np.array(pairs, dtype=np.intp).reshape(-1, 2)
    return Copies(array, np.array(values), np.zeros(len(array), dtype=bool))


def _merge(exact: Copies, near: Copies | None) -> Copies:
    if near is None:
        return exact
    known = set(map(tuple, exact.pairs.tolist()))
    new = np.array([tuple(pair) not in known for pair in near.pairs.tolist()], dtype=bool)
    return Copies(
        np.concatenate([exact.pairs, near.pairs[new]]),
        np.concatenate([exact.correlation, near.correlation[new]]),
        np.concatenate([exact.exact, near.exact[new]]),
    )


def _chance_spread(prints: NDArray[np.float32], rng: np.random.Generator) -> float:
    """Deviation of the correlation of independent windows, from pairs drawn at random (robust: copies are few)."""
    if len(prints) < 2:
        return float("nan")
    one = rng.integers(0, len(prints), _CHANCE_PAIRS)
    other = (one + rng.integers(1, len(prints), _CHANCE_PAIRS)) % len(prints)
    chance = np.concatenate([
        np.einsum("ij,ij->i", prints[one[k : k + _BLOCK]], prints[other[k : k + _BLOCK]])
        for k in range(0, _CHANCE_PAIRS, _BLOCK)
    ])  # fmt: skip
    return float(stats.median_abs_deviation(chance, scale="normal"))


def _largest(prints: NDArray[np.float32]) -> float:
    largest = -1.0
    for first in range(0, len(prints), _BLOCK):
        product = prints[first : first + _BLOCK] @ prints[first:].T
        product[np.tril_indices(len(product), m=product.shape[1])] = -1
        largest = max(largest, float(product.max(initial=-1)))
    return largest


def _null_of_largest(spread: float, n: int) -> dict[str, float] | None:
    """Distribution of the largest of n (n - 1) / 2 independent normal correlations of this deviation."""
    if n < 2 or not spread > 0:
        return None
    pairs = n * (n - 1) / 2
    middle, low, high = (float(spread * stats.norm.isf(-np.log(q) / pairs)) for q in (0.5, 0.025, 0.975))
    return {"mean": middle, "low": low, "high": high}


def _role_pairs(samples: pd.DataFrame, split: pd.DataFrame, copies: Copies) -> dict[str, int]:
    """Count, over all folds, the pairs whose two windows have different roles."""
    counts: dict[str, int] = {}
    ids = samples["sample_id"]
    for _, rows in split.groupby("fold", sort=True):
        one_role = rows.sort_values("role").drop_duplicates("sample_id")  # naive: test windows validate as well
        role = ids.map(one_role.set_index("sample_id")["role"]).to_numpy(dtype=object)
        for one, other in copies.pairs:
            sides = sorted({str(role[one]), str(role[other])} & {"train", "val", "test", "sealed"})
            if len(sides) == 2:
                counts[" and ".join(sides)] = counts.get(" and ".join(sides), 0) + 1
    return counts


def _examples(samples: pd.DataFrame, copies: Copies) -> list[dict[str, Any]]:
    ids = samples["sample_id"].to_numpy()
    order = np.argsort(-copies.correlation, kind="stable")[:_EXAMPLES]
    return [
        {"windows": [str(ids[row]) for row in copies.pairs[k]], "correlation": round(float(copies.correlation[k]), 3)}
        for k in order
    ]


def _sentence(details: dict[str, Any], n: int, largest: float, spread: float) -> str:
    how = "the same bytes" if details["searched"] == "exact" else "the same bytes or nearly the same cells"
    if not details["windows_with_copy"]:
        alike = f"the most alike correlate by {largest:.2f}, copies by {COPY_CORRELATION:g} or more"
        return f"No two of {n} windows hold {how}; {alike}."
    one, other = details["examples"][0]["windows"]
    sides = ", ".join(f"{count} between {name}" for name, count in details["role_pairs"].items())
    return (
        f"{details['windows_with_copy']} of {n} windows hold {how} as another one ({details['pairs']} pairs, "
        f"{details['exact_pairs']} of them exact; for example {one} and {other}); independent windows correlate within "
        f"{3 * spread:.2f}{f'. Pairs on two sides of a fold: {sides}' if sides else ''}. "
        "Find the files behind them and keep one of each."
    )
