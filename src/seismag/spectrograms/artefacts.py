"""Artefacts of a component, jumps of one second and stuck stretches, which are blanked before spectra."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seismag.config import DataConfig
from seismag.spectrograms.compute import bridge_short_gaps

JUMP_NT = 10.0  # natural variations change by less in one second at middle and low latitude
JUMP_DEVIATIONS = 40.0  # on disturbed auroral days a jump must also exceed this many median differences
FLAT_S = 600  # identical values for one whole segment: a dead or stuck component
MOST_SMALL_SPIKES = 0.01  # fraction of the seconds of a day
SMALL_SPIKE_NT = 0.3  # below it a spike raises the spectrum of a quiet segment by less than 11 dB
SMALL_SPIKE_DEVIATIONS = 40.0  # of the second difference, on the day and in the minute around it
LEVEL_S = 30  # seconds on either side that decide whether a jump is a step or a spike
_BESIDE_S, _RETURN_S = 2, 5  # seconds of the spike's own differences, and of the level beside a small one


@dataclass(frozen=True)
class Artefacts:
    """Jumps of one second, and stretches that do not change.

    Attributes:
        spikes, steps: (m, 2) component and first wrong sample.
        stuck: (m, 3) component, first sample and end (exclusive).
    """

    spikes: NDArray[np.int64]
    steps: NDArray[np.int64]
    stuck: NDArray[np.int64]


def find_artefacts(field_nt: NDArray[np.float64]) -> Artefacts:
    """Find spikes (the level returns) and steps (it does not) among jumps within one second, and stuck stretches.

    Spikes below 10 nT are found too (``small_spikes``). ``field_nt`` is (3, n) at 1 Hz, NaN missing.
    """
    found: dict[str, list[tuple[int, int]]] = {"spikes": [], "steps": []}
    changes = np.diff(field_nt)
    np.abs(changes, out=changes)
    for component, (values, change) in enumerate(zip(field_nt, changes, strict=True)):
        candidates = np.flatnonzero(change > JUMP_NT)
        if candidates.size:
            usual = np.nanmedian(change[:: max(1, change.size // 4096)])
            candidates = candidates[change[candidates] > JUMP_DEVIATIONS * usual]
        for sample in candidates + 1:
            before = values[max(0, sample - LEVEL_S) : sample]
            after = values[sample + 1 : sample + 1 + LEVEL_S]
            level = np.abs(finite_median(after) - finite_median(before))
            kind = "steps" if level > JUMP_NT / 2 else "spikes"
            if kind == "spikes" and found[kind] and found[kind][-1] == (component, int(sample) - 1):
                continue  # the end of the same spike
            found[kind].append((component, int(sample)))
        jumps = np.array([sample for kind in found.values() for c, sample in kind if c == component], dtype=np.int64)
        small = [s for s in small_spikes(values) if not jumps.size or np.abs(jumps - s).min() > _BESIDE_S]
        found["spikes"] += [(component, int(sample)) for sample in small]
    stuck = [(component, *run) for component, values in enumerate(field_nt) for run in flat_runs(values, FLAT_S)]
    return Artefacts(
        np.array(found["spikes"], dtype=np.int64).reshape(-1, 2),
        np.array(found["steps"], dtype=np.int64).reshape(-1, 2),
        np.array(stuck, dtype=np.int64).reshape(-1, 3),
    )


def small_spikes(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Find single seconds that stand out of a component (n,) of 1 Hz in nT; NaN missing.

    A sample is a spike where it lies above or below both neighbours, differs from their mean by more than 0.3 nT, 40
    usual differences of the component, and 40 of the minute around it, and the level before and after it is the same.
    Where more than one second in 100 is such a sample, they are the noise of the day, and none is a spike.
    """
    if values.size < 2 * LEVEL_S:
        return np.empty(0, dtype=np.int64)
    height = np.abs(values[1:-1] - (values[:-2] + values[2:]) / 2)
    usual = 1.4826 * finite_median(height[:: max(1, height.size // 4096)])
    is_extreme = np.diff(values[:-1]) * np.diff(values[1:]) < 0
    found = np.flatnonzero(is_extreme & (height > max(SMALL_SPIKE_NT, SMALL_SPIKE_DEVIATIONS * usual)))
    if not found.size or found.size > MOST_SMALL_SPIKES * values.size:
        return np.empty(0, dtype=np.int64)
    offsets = np.concatenate([np.arange(-LEVEL_S, -_BESIDE_S), np.arange(_BESIDE_S + 1, LEVEL_S + 1)])
    around = np.clip(found[:, None] + offsets, 0, height.size - 1)
    local = 1.4826 * _finite_medians(height[around])
    nearby = np.clip(found[:, None] + np.arange(-_BESIDE_S, _BESIDE_S + 1), 0, height.size - 1)
    is_highest = height[found] >= np.nanmax(height[nearby], axis=1)
    level = values[np.clip(found[:, None] + 1 + offsets, 0, values.size - 1)]
    half = offsets.size // 2
    change = np.abs(
        _finite_medians(level[:, half - _RETURN_S : half]) - _finite_medians(level[:, half : half + _RETURN_S])
    )
    is_spike = (height[found] > SMALL_SPIKE_DEVIATIONS * local) & is_highest & (change < height[found] / 2)
    return found[is_spike] + 1


def _finite_medians(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Median of the finite values of each row (m, k); infinite where there is none."""
    filled = values.copy()
    filled[~np.isfinite(filled).any(axis=1)] = np.inf
    return np.asarray(np.nanmedian(filled, axis=1))


def mask_artefacts(field_nt: NDArray[np.float64], spec: DataConfig) -> NDArray[np.float64]:
    """Bridge short gaps of a day (3, n) at 1 Hz, then blank jumps and stuck stretches.

    A blanked second masks the time frames that it touches, as a gap does. Returns the same array where there is
    nothing to change, otherwise a copy.
    """
    bridged = bridge_short_gaps(field_nt, spec.max_interpolated_gap_s)
    return blank_artefacts(bridged, find_artefacts(bridged))


def blank_artefacts(field_nt: NDArray[np.float64], artefacts: Artefacts) -> NDArray[np.float64]:
    """Blank two seconds of a step, three of a spike, and stuck stretches; the same array where there are none."""
    blanks = [(component, sample - 1, sample + 2) for component, sample in artefacts.spikes]
    blanks += [(component, sample - 1, sample + 1) for component, sample in artefacts.steps]
    blanks += [(component, start, end) for component, start, end in artefacts.stuck]
    if not blanks:
        return field_nt
    result = field_nt.copy()
    for component, start, end in blanks:
        result[component, start:end] = np.nan
    return result


def flat_runs(values: NDArray[np.float64], shortest: int) -> NDArray[np.int64]:
    """Find runs of at least ``shortest`` identical values: (m, 2) first and end (exclusive); NaN breaks one."""
    block = shortest // 2  # a long run contains at least one whole aligned block
    if block > 1:
        blocks = values[: values.size // block * block].reshape(-1, block)
        if not np.any(blocks.max(axis=1, initial=-np.inf) == blocks.min(axis=1, initial=np.inf)):
            return np.empty((0, 2), dtype=np.int64)
    edges = np.concatenate([[0], np.flatnonzero(values[1:] != values[:-1]) + 1, [values.size]])
    long = np.flatnonzero(np.diff(edges) >= max(2, shortest))
    return np.stack([edges[long], edges[long + 1]], axis=1).astype(np.int64)


def usual_change(field_nt: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the median change (3,) from one sample to the next, nT, of every 64th pair; NaN without any pair."""
    changes = np.abs(field_nt[:, 1::64] - field_nt[:, :-1:64][:, : field_nt[:, 1::64].shape[1]])
    return np.array([finite_median(component) for component in changes])


def finite_median(values: NDArray[np.float64]) -> float:
    """Return the median of the finite values; NaN where there is none."""
    finite = values[np.isfinite(values)] if np.isnan(np.sum(values)) else values
    return float(np.median(finite)) if finite.size else float("nan")
