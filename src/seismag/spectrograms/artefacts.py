"""Artefacts of a component, spikes, steps and stuck stretches, which are blanked before spectra."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seismag.config import DataConfig
from seismag.spectrograms.compute import bridge_short_gaps

JUMP_NT = 10.0  # natural variations change by less in one second at middle and low latitude
JUMP_DEVIATIONS = 40.0  # on disturbed auroral days a jump must also exceed this many median differences
FLAT_S = 600  # identical values for one whole segment: a dead or stuck component
MOST_SMALL = 0.01  # fraction of the seconds of a day that may be small spikes, or small steps
SMALL_SPIKE_NT = 0.3  # below it a spike raises the spectrum of a quiet segment by less than 11 dB
SMALL_STEP_NT = 0.5
SMALL_DEVIATIONS = 40.0  # of the same difference, on the day and in the minute around it
LEVEL_S = 30  # seconds on either side that decide whether a jump is a step or a spike
_BESIDE_S = 2  # seconds on either side that contain the artefact's own differences
_RETURN_S, _STEP_LEVEL_S = 5, 10  # seconds of the level beside a small spike, and beside a small step


@dataclass(frozen=True)
class Artefacts:
    """Spikes, steps within one second, and stretches that do not change.

    Attributes:
        spikes, steps: (m, 2) component and first wrong sample.
        stuck: (m, 3) component, first sample and end (exclusive).
    """

    spikes: NDArray[np.int64]
    steps: NDArray[np.int64]
    stuck: NDArray[np.int64]


def find_artefacts(field_nt: NDArray[np.float64]) -> Artefacts:
    """Find spikes (the level returns) and steps (it does not) among jumps within one second, and stuck stretches.

    Those below 10 nT are found too (``small_spikes``, ``small_steps``). ``field_nt`` is (3, n) at 1 Hz, NaN missing.
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
        for kind, small in (("spikes", small_spikes(values)), ("steps", small_steps(values))):
            others = [s for s in small if not jumps.size or np.abs(jumps - s).min() > _BESIDE_S]
            found[kind] += [(component, int(sample)) for sample in others]
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
    Beside a gap and at the ends it is compared with the 5 s on the other side.
    Where more than one second in 100 is such a sample, they are the noise of the day, and none is a spike.
    """
    if values.size < 2 * LEVEL_S:
        return np.empty(0, dtype=np.int64)
    before, after = _neighbours(values)
    height = np.abs(values - (before + after) / 2)
    is_extreme = (values - before) * (after - values) < 0
    found = _standing_out(np.where(is_extreme, height, 0), height, SMALL_SPIKE_NT)
    level = _level_change(values, found - 1, found + 1, _RETURN_S, _BESIDE_S)
    return found[~(level >= height[found] / 2)]


def small_steps(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Find changes of level within one second in a component (n,) of 1 Hz in nT: the first samples after them.

    A change is a step where it exceeds 0.5 nT, 40 usual (median) changes of the component, 40 of the minute around it,
    and twice those of the 2 s on either side, and the levels of the 10 s before and after differ by half of it.
    Where more than one second in 100 is such a change, they are the noise of the day, and none is a step.
    """
    if values.size < 2 * LEVEL_S:
        return np.empty(0, dtype=np.int64)
    change = np.abs(np.diff(values))
    found = _standing_out(change, change, SMALL_STEP_NT)
    beside = np.array([-2, -1, 1, 2])
    is_lone = ~(_finite_max(_at(change, found, beside)) > change[found] / 2)
    level = _level_change(values, found, found + 1, _STEP_LEVEL_S, 0)
    return found[is_lone & (level > change[found] / 2)] + 1


def _neighbours(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The samples before and after each one (n,), so that their mean is what the sample should be; NaN unknown.

    Where only one of them is missing, it follows from the level and slope of the 5 s on the other side.
    """
    padded = np.pad(values, 1, constant_values=np.nan)
    before, after = padded[:-2].copy(), padded[2:].copy()
    is_first, is_last = np.isnan(before) & np.isfinite(after), np.isnan(after) & np.isfinite(before)
    for missing, other, rows, direction in ((before, after, is_first, 1), (after, before, is_last, -1)):
        ends = np.flatnonzero(rows)
        beside = _at(values, ends, direction * np.arange(1, 2 * _BESIDE_S + 2))
        expected = _finite_medians(beside) - (_BESIDE_S + 1) * _finite_medians(np.diff(beside))
        missing[ends] = 2 * expected - other[ends]
    return before, after


def _standing_out(differences: NDArray[np.float64], of_all: NDArray[np.float64], least_nt: float) -> NDArray[np.int64]:
    """Positions of the differences (n,) that stand out of all on the day and in the minute, the largest within 2 s."""
    usual = 1.4826 * finite_median(of_all[:: max(1, of_all.size // 4096)])
    found = np.flatnonzero(differences > max(least_nt, SMALL_DEVIATIONS * usual))
    nearby = np.arange(-_BESIDE_S, _BESIDE_S + 1)
    found = found[of_all[found] >= _finite_max(_at(of_all, found, nearby))]
    if found.size > MOST_SMALL * of_all.size:
        return found[:0]
    minute = np.concatenate([np.arange(-LEVEL_S, -_BESIDE_S), np.arange(_BESIDE_S + 1, LEVEL_S + 1)])
    local = 1.4826 * _finite_medians(_at(of_all, found, minute))
    return found[of_all[found] > SMALL_DEVIATIONS * local]


def _level_change(
    values: NDArray[np.float64], before: NDArray[np.int64], after: NDArray[np.int64], length_s: int, skip_s: int
) -> NDArray[np.float64]:
    """Change (m,) of the median from the seconds up to ``before`` to those from ``after``; NaN where one is missing."""
    seconds = np.arange(skip_s, skip_s + length_s)
    return np.abs(_finite_medians(_at(values, after, seconds)) - _finite_medians(_at(values, before, -seconds)))


def _at(values: NDArray[np.float64], positions: NDArray[np.int64], offsets: NDArray[np.int64]) -> NDArray[np.float64]:
    """Values (m, k) at positions (m,) plus offsets (k,); NaN beyond the ends."""
    index = positions[:, None] + offsets
    return np.where((index >= 0) & (index < values.size), values[np.clip(index, 0, values.size - 1)], np.nan)


def _finite_max(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.where(np.isfinite(values), values, 0).max(axis=1, initial=0))


def _finite_medians(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Median of the finite values of each row (m, k); NaN where there is none."""
    result = np.full(len(values), np.nan)
    has_value = np.isfinite(values).any(axis=1)
    result[has_value] = np.nanmedian(values[has_value], axis=1)
    return result


def mask_artefacts(field_nt: NDArray[np.float64], spec: DataConfig) -> NDArray[np.float64]:
    """Bridge short gaps of a day (3, n) at 1 Hz, then blank jumps and stuck stretches.

    A blanked second masks the time frames that it touches, as a gap does. Returns the same array where there is
    nothing to change, otherwise a copy.
    """
    bridged = bridge_short_gaps(field_nt, spec.max_interpolated_gap_s)
    return blank_artefacts(bridged, find_artefacts(bridged))


def blank_artefacts(field_nt: NDArray[np.float64], artefacts: Artefacts) -> NDArray[np.float64]:
    """Blank two seconds of a step, three of a spike, and stuck stretches; the same array where there are none."""
    blanks = [(component, max(sample - 1, 0), sample + 2) for component, sample in artefacts.spikes]
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
