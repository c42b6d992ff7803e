"""Errors that are put into a clean table or store, each with the check that should name it; used by audit.py."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seismag.windows.store import open_store, write_changed_store

Array = NDArray[np.float32]
SEED = 11
AGREES = 0.75  # fraction of rows whose class follows the property of the error


def leaking_table(n_rows: int, gain: float, rng: np.random.Generator) -> pd.DataFrame:
    """A table of one row for each station and day over four years; Kp predicts the class with accuracy 0.5 + gain."""
    day = np.sort(rng.choice(1460, n_rows, replace=n_rows > 1460))
    is_event = rng.random(n_rows) < 0.5
    is_high = np.where(rng.random(n_rows) < 0.5 + gain, is_event, ~is_event)
    activity = rng.normal(0, 0.4, (n_rows, 1))
    measured = np.exp(activity + rng.normal(0, 0.3, (n_rows, 7))).round(4)
    return pd.DataFrame(
        {
            "station": rng.choice(list("ABCDEF"), n_rows),
            "date": (pd.Timestamp("2018-01-01") + pd.to_timedelta(day, unit="D")).strftime("%Y-%m-%d"),
            "hour": rng.choice([0, 6, 12, 18], n_rows),
            "kp_max": np.where(is_high, rng.uniform(2, 6, n_rows), rng.uniform(0, 2, n_rows)).round(2),
            "gap_fraction": rng.beta(1, 20, n_rows).round(3),
            **{f"h_band{k}_std": values for k, values in enumerate(measured.T)},
            "magnitude_class": np.where(is_event, "Medium", "Normal"),
        }
    )


def error_tables() -> dict[str, tuple[pd.DataFrame, str]]:
    """Tables of 600 rows with one error, by name, and the check that should name it."""
    rng = np.random.default_rng(SEED)
    table, n = leaking_table(600, 0.0, rng), 600
    date = pd.to_datetime(table["date"])
    late, disturbed = (table["hour"] >= table["hour"].median()).to_numpy(), (table["kp_max"] > 2).to_numpy()
    western = table["station"].isin(sorted(table["station"].unique())[::2]).to_numpy()
    number = rng.permutation(n)
    named = [f"w{i:05d}.png" for i in number]
    written_h = rng.uniform(0, 8, n)
    written = (pd.Timestamp("2024-05-01") + pd.to_timedelta(written_h, unit="h")).astype(str)
    measured = [column for column in table if column.startswith("h_")]
    copies = table.sample(n // 10, random_state=1)
    jitter = copies.copy()
    jitter[measured] *= rng.normal(1, 0.01, (len(copies), len(measured)))
    scaled = copies.copy()
    scaled[measured] = scaled[measured].mul(rng.uniform(0.5, 2, len(copies)), axis=0)
    raised, one_changed = copies.copy(), copies.copy()
    raised[measured] = raised[measured].add(rng.uniform(0.1, 2, len(copies)), axis=0).round(4)
    one_changed[measured[2]] = (one_changed[measured[2]] * rng.uniform(0.5, 2, len(copies))).round(4)
    moved = {"date": (pd.to_datetime(copies["date"]) + pd.Timedelta(days=2000)).dt.strftime("%Y-%m-%d")}
    return {
        "weekday": (_by(table, (date.dt.day_of_week >= 4).to_numpy(), rng), "class_by_calendar"),
        "month": (_by(table, date.dt.month.isin([2, 5, 8, 11]).to_numpy(), rng), "class_by_calendar"),
        "season": (_by(table, (date.dt.month % 12 // 3 >= 2).to_numpy(), rng), "class_by_calendar"),
        "order of the rows": (table.sort_values("magnitude_class", kind="stable"), "class_by_order"),
        "file number": (
            _by(table.assign(file=named), number > n / 2, rng),
            "class_by_file",
        ),
        "file time": (_by(table.assign(file_time=written), written_h > 4, rng), "class_by_file"),
        "Kp x hour": (_by(table, disturbed ^ late, rng), "class_by_pairs"),
        "station x hour": (_by(table, western ^ late, rng), "class_by_pairs"),
        "copied rows, jitter": (pd.concat([table, jitter.assign(**moved)], ignore_index=True), "copies"),
        "copied rows, factor": (pd.concat([table, scaled.assign(**moved)], ignore_index=True), "copies"),
        "copied rows, offset": (pd.concat([table, raised.assign(**moved)], ignore_index=True), "copies"),
        "copied rows, one column changed": (
            pd.concat([table, one_changed.assign(**moved)], ignore_index=True),
            "copies",
        ),
    }


def _by(table: pd.DataFrame, is_event: NDArray[np.bool_], rng: np.random.Generator) -> pd.DataFrame:
    agrees = rng.random(len(table)) < AGREES
    return table.assign(magnitude_class=np.where(is_event == agrees, "Medium", "Normal"))


StoreError = Callable[[Array, pd.DataFrame], Array]  # power in dB (n, 3, F, T), table of windows: changed power


def store_errors() -> dict[str, tuple[StoreError, str]]:
    """Errors of the arrays of a store, by name, and the check that should name it."""
    return {
        "sensor noise": (_sensor_noise, "class_by_instrument"),
        "rounding of values": (_rounding, "class_by_instrument"),
        "masked in the arrays": (_masked, "class_by_instrument"),
        "masked above 100 mHz": (_masked_above, "class_by_instrument"),
        "H and D swapped": (_components, "class_by_instrument"),
        "offset in dB": (_offset, "class_by_instrument"),
        "other detrending": (_detrending, "class_by_lowest_bins"),
        "equal shaking": (_shaking, "class_by_instrument"),
        "arrays slipped": (_slipped, "arrays_of_rows"),
        "two stations swapped": (_stations, "class_by_instrument"),
        "day edges": (_edges, "class_by_instrument"),
        "low edge frames": (_low_edges, "class_by_instrument"),
        "smoothing over time": (_smoothed, "class_by_instrument"),
        "another instrument": (_instrument, "class_by_instrument"),
        "copy reversed in time": (_reversed_copy, "duplicates"),
        "copy shifted by a frame": (_shifted_copy, "duplicates"),
        "copy, components swapped": (_turned_copy, "duplicates"),
        "copy of one component": (_component_copy, "duplicates"),
        "copy of another station": (_noisy_copy, "duplicates"),
    }  # fmt: skip


def spoil_store(source: Path, out: Path, error: StoreError) -> Path:
    """A store like the source with an error in its arrays; an existing one is replaced."""
    store = open_store(source)
    shutil.rmtree(out, ignore_errors=True)
    power = error(np.asarray(store.power[:]).astype(np.float32), store.samples)
    write_changed_store(store, out, store.samples, power)
    return out


def _is_event(samples: pd.DataFrame) -> NDArray[np.bool_]:
    return (samples["magnitude_class"] != "Normal").to_numpy()


def _of_events(power: Array, samples: pd.DataFrame, changed: Array) -> Array:
    return np.where(_is_event(samples)[:, None, None, None], changed, power)


def _upper(power: Array) -> slice:
    """The frequency bins above 100 mHz, of 48 or so in the logarithm up to 373 mHz."""
    return slice(int(power.shape[2] * 0.78), None)


def _sensor_noise(power: Array, samples: pd.DataFrame) -> Array:
    quiet = np.nanpercentile(power[:, :, -6:], 10)
    noisier = power.copy()
    noisier[:, :, _upper(power)] = 10 * np.log10(10 ** (power[:, :, _upper(power)] / 10) + 10 ** (quiet / 10))
    return _of_events(power, samples, noisier)


def _rounding(power: Array, samples: pd.DataFrame) -> Array:
    return _of_events(power, samples, (np.round(power * 4) / 4).astype(np.float32))


def _masked(power: Array, samples: pd.DataFrame) -> Array:
    rng = np.random.default_rng(SEED)
    gap = rng.random((len(power), 1, 1, power.shape[3])) < 0.1
    return _of_events(power, samples, np.where(gap, np.nan, power))


def _masked_above(power: Array, samples: pd.DataFrame) -> Array:
    changed = power.copy()
    changed[:, :, _upper(power)] = _masked(power, samples)[:, :, _upper(power)]
    return changed


def _components(power: Array, samples: pd.DataFrame) -> Array:
    return _of_events(power, samples, power[:, [1, 0, 2]])


def _offset(power: Array, samples: pd.DataFrame) -> Array:
    return _of_events(power, samples, power + 1.5)


def _slipped(power: Array, _: pd.DataFrame) -> Array:
    return np.roll(power, 3, axis=0)


def _reversed_copy(power: Array, samples: pd.DataFrame) -> Array:
    return _copy(power, samples, power[..., ::-1])


def _shifted_copy(power: Array, samples: pd.DataFrame) -> Array:
    return _copy(power, samples, np.roll(power, 1, axis=-1))


def _turned_copy(power: Array, samples: pd.DataFrame) -> Array:
    return _copy(power, samples, power[:, [2, 0, 1]])


def _detrending(power: Array, samples: pd.DataFrame) -> Array:
    changed = power.copy()
    changed[:, :, 0] -= 3
    return _of_events(power, samples, changed)


def _shaking(power: Array, samples: pd.DataFrame) -> Array:
    rng, frames = np.random.default_rng(SEED), (len(power), 1, 1, power.shape[3])
    shaken = rng.random(frames) < 0.2
    level = np.nanpercentile(power, 60)
    added = 10 * np.log10(10 ** (power / 10) + 10 ** (level / 10) * rng.exponential(size=frames))
    return _of_events(power, samples, np.where(shaken, added, power).astype(np.float32))


def _stations(power: Array, samples: pd.DataFrame) -> Array:
    """Event windows of two stations have each other's arrays."""
    one, other = samples.loc[_is_event(samples), "station"].value_counts().index[:2]
    result = power.copy()
    first, second = (
        np.flatnonzero(_is_event(samples) & (samples["station"] == code).to_numpy()) for code in (one, other)
    )
    n = min(len(first), len(second))
    result[first[:n]], result[second[:n]] = power[second[:n]], power[first[:n]]
    return result


def _edges(power: Array, samples: pd.DataFrame) -> Array:
    changed = power.copy()
    changed[..., 0] += 10
    return _of_events(power, samples, changed)


def _low_edges(power: Array, samples: pd.DataFrame) -> Array:
    changed = power.copy()
    changed[:, :, : power.shape[2] // 2, 0] += 10  # up to 25 mHz or so
    return _of_events(power, samples, changed)


def _smoothed(power: Array, samples: pd.DataFrame) -> Array:
    """Neighbouring time frames are averaged below 100 mHz."""
    changed = power.copy()
    changed[:, :, : _upper(power).start, 1:] = (power[..., 1:] + power[..., :-1])[:, :, : _upper(power).start] / 2
    return _of_events(power, samples, changed)


def _component_copy(power: Array, samples: pd.DataFrame) -> Array:
    copied = _copy(power, samples, power)
    copied[:, 1:] = power[:, 1:]  # H only
    return copied


def _instrument(power: Array, samples: pd.DataFrame) -> Array:
    tilt = np.linspace(0, 2, power.shape[2], dtype=np.float32)[:, None]
    return _of_events(power, samples, power + tilt * np.array([1, -1, 1], np.float32)[:, None, None])


def _copy(power: Array, samples: pd.DataFrame, changed: Array) -> Array:
    """A tenth of the windows are changed copies of others of their station."""
    result = power.copy()
    for rows in samples.groupby("station").indices.values():
        n = len(rows) // 10
        result[rows[:n]] = changed[rows[-n:]]
    return result


def _noisy_copy(power: Array, samples: pd.DataFrame) -> Array:
    """Windows of one station are those of another a day later, with sensor noise of their own."""
    codes = list(samples.groupby("station").indices.values())
    result = power.copy()
    rows, source = codes[0], codes[1]
    n = min(len(rows), len(source)) // 3
    noise = np.nanpercentile(power, 10, axis=(0, 3), keepdims=True) + 10 * np.log10(
        np.random.default_rng(SEED).exponential(size=(n, *power.shape[1:]))
    )
    result[rows[:n]] = 10 * np.log10(10 ** (power[source[-n:]] / 10) + 10 ** (noise / 10))
    return result
