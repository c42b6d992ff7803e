"""Properties of sensor and processing by class, rows against arrays, and skill that lives in all bands."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fixtures.geomagnetic_store import FAST, make_samples
from seismag.archive.noise import noise_floor_nt
from seismag.audit.checks.instrument import check_arrays_of_rows, check_instrument
from seismag.audit.checks.label_nulls import refit_permuted
from seismag.audit.checks.window_properties import (
    foreign_fingerprint,
    rounding_step,
    swapped_components,
)
from seismag.config import DataConfig
from seismag.estimate import CheckResult
from seismag.recordings import read_recording
from seismag.recordings.days import days_of, field_of_day
from seismag.spectrograms.compute import make_grid
from seismag.spectrograms.decibels import window_spectra
from seismag.windows.store import Store

SPEC = DataConfig(segment_s=600, step_s=900, frequency_rows="log", n_log_rows=40)


@pytest.fixture
def samples() -> pd.DataFrame:
    return make_samples(["GTO", "ALR"], 270)


@pytest.fixture
def power(samples: pd.DataFrame, rng: np.random.Generator) -> np.ndarray:
    """Natural power falls with frequency and varies with activity; sensor noise differs by station and component."""
    grid = make_grid(SPEC)
    shape = (len(samples), 3, len(grid.frequency_hz), len(grid.time_s))
    activity_db = rng.normal(0, 4, (len(samples), 1, 1, 1)) + np.array([2, 0, -3])[:, None, None]
    natural = 10 ** ((activity_db - 35 * np.log10(grid.frequency_hz / 0.01)[:, None]) / 10)
    by_station = {"GTO": [-45, -42, -48], "ALR": [-50, -41, -44]}
    sensor = 10 ** (np.array([by_station[code] for code in samples["station"]])[:, :, None, None] / 10)
    drift = 10 ** (rng.normal(0, 0.3, (len(samples), 3, 1, 1)) / 10)
    return 10 * np.log10((natural + sensor * drift) * rng.standard_exponential(shape))


def store_of(samples: pd.DataFrame, power: np.ndarray) -> Store:
    grid = make_grid(SPEC)
    attributes = {"origin": "simulated", "config": SPEC.model_dump(mode="json")}
    return Store(
        Path("memory"), samples, power.astype(np.float16), None, grid.frequency_hz, grid.time_s, attributes  # type: ignore[arg-type]
    )  # fmt: skip


def is_event(samples: pd.DataFrame) -> np.ndarray:
    return (samples["magnitude_class"] != "Normal").to_numpy()


def checked(samples: pd.DataFrame, power: np.ndarray, name: str = "class_by_instrument") -> CheckResult:
    (found,) = (test for test in check_instrument(store_of(samples, power), FAST) if test.name == name)
    return found


def test_nothing_differs_in_windows_of_one_sensor_whatever_the_activity(samples, power) -> None:
    power[is_event(samples), :, :20] += 4  # an emission below 100 mHz
    found = checked(samples, power)
    assert found.p_value > 0.01
    assert found.blocking


def test_an_emission_beside_the_lowest_bin_is_noted_and_does_not_block(samples, power) -> None:
    power[is_event(samples), :, 1:20] += 4
    assert checked(samples, power).p_value > 0.01
    lowest = checked(samples, power, "class_by_lowest_bins")
    assert (lowest.p_value, lowest.blocking) == (0.001, False)


def noisier(power: np.ndarray) -> np.ndarray:
    return 10 * np.log10(10 ** (power / 10) + 10**-4.5)


def masked(power: np.ndarray) -> np.ndarray:
    gap = np.random.default_rng(1).random((len(power), 1, 1, power.shape[3])) < 0.15
    return np.where(gap, np.nan, power)


def first_frame(power: np.ndarray) -> np.ndarray:
    return power + np.where(np.arange(power.shape[3]) == 0, 10, 0)


def changed_below(limit_hz: float, change) -> np.ndarray:
    """The change in the frequency bins below a limit only."""
    below = make_grid(SPEC).frequency_hz < limit_hz
    return lambda power: np.where(below[:, None], change(power), power)


def masked_within(low_hz: float, high_hz: float):
    frequency = make_grid(SPEC).frequency_hz
    within = (frequency >= low_hz) & (frequency < high_hz)
    return lambda power: np.where(within[:, None], masked(power), power)


def mean_of_frames(power: np.ndarray) -> np.ndarray:
    return (power + np.concatenate([power[..., 1:], power[..., -1:]], axis=3)) / 2


def mean_of_bins(power: np.ndarray) -> np.ndarray:
    return (power + np.concatenate([power[:, :, 1:], power[:, :, -1:]], axis=2)) / 2


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (noisier, "noise of Z above 100 mHz"),
        (lambda p: p + 2, "noise of D above 100 mHz"),
        (lambda p: np.round(4 * p) / 4, "rounding of the values"),
        (masked, "masked fraction of the arrays"),
        (lambda p: p[:, [1, 0, 2]], "order of the components"),
        (first_frame, "first time frames above 100 mHz"),
        (changed_below(0.03, first_frame), "first time frames below 7 mHz"),
        (changed_below(0.03, lambda p: first_frame(p[..., ::-1])[..., ::-1]), "last time frames below 7 mHz"),
        (masked_within(0.1, 1), "time frames masked at some frequencies"),
        (masked_within(0.01, 0.1), "time frames masked at some frequencies"),
        (lambda p: np.round(3 * p) / 3, "rounding of the values"),
        (lambda p: np.round(p / 0.05) * 0.05, "rounding of the values"),
        (changed_below(0.1, mean_of_frames), "scatter from frame to frame at 50 to 100 mHz"),
        (changed_below(0.1, mean_of_bins), "scatter of single bins at 50 to 100 mHz"),
        (lambda p: np.broadcast_to(p[:, :1], p.shape), "components alike"),
        (lambda p: (p + np.roll(p, 1, axis=3)) / 2, "scatter of single bins above 100 mHz"),
    ],
)
def test_a_property_of_event_windows_is_named(samples, power, change, name: str) -> None:
    changed = np.where(is_event(samples)[:, None, None, None], change(power), power)
    found = checked(samples, changed)
    assert found.p_value == 0.001
    assert found.above_minimum
    assert name in found.details["properties"]
    assert name in found.sentence


def test_stations_that_are_swapped_in_event_windows_are_named(samples, power) -> None:
    events = is_event(samples)
    one, other = (np.flatnonzero(events & (samples["station"] == code).to_numpy()) for code in ("GTO", "ALR"))
    n = min(len(one), len(other))
    power[one[:n]], power[other[:n]] = power[other[:n]].copy(), power[one[:n]].copy()
    found = checked(samples, power)
    assert found.p_value <= 0.01
    assert "fingerprint of another station" in found.details["properties"]


def test_an_exchange_of_components_and_of_stations_is_told_from_the_stations_own() -> None:
    rng = np.random.default_rng(0)
    usual = {"GTO": np.array([[0.0], [4.0], [9.0]]), "ALR": np.array([[-5.0], [2.0], [20.0]])}
    station = np.repeat(["GTO", "ALR"], 20)
    profile = np.stack([usual[code] + rng.normal(0, 0.3, (3, 12)) for code in station])
    profile[3], profile[25] = profile[3, [1, 0, 2]], usual["GTO"] + rng.normal(0, 0.3, (3, 12))
    assert np.flatnonzero(swapped_components(profile, station))[0] == 3
    assert np.flatnonzero(foreign_fingerprint(profile, station)).tolist() == [25]


@pytest.mark.parametrize("n_lowered", [1, 2, 3, 5])
def test_another_detrending_is_named_by_the_bins_between_which_it_ends(samples, power, n_lowered: int) -> None:
    power[is_event(samples), :, :n_lowered] -= 4
    assert checked(samples, power).p_value > 0.01
    lowest = checked(samples, power, "class_by_lowest_bins")
    assert (lowest.p_value, lowest.blocking) == (0.001, False)
    assert f"level of frequency bin {n_lowered} over that of {n_lowered + 1}" in lowest.details["properties"]


def test_values_on_a_grid_are_told_from_the_steps_of_float16(rng: np.random.Generator) -> None:
    free = rng.normal(-30, 5, (1, 4000)).astype(np.float16).astype(np.float32)
    assert rounding_step(free)[0] == 0
    for step in (0.07, 0.1, 0.25, 1 / 3, 1.0):
        rounded = (np.round(free / step) * step).astype(np.float16).astype(np.float32)
        assert rounding_step(rounded)[0] == pytest.approx(step, rel=0.2)
    assert rounding_step(np.full((1, 4000), np.nan))[0] == 0


def test_arrays_that_slipped_against_the_table_are_counted(samples, power) -> None:
    power[4, :, :, 3:9] = np.nan
    stored = power.astype(np.float16).astype(np.float32)
    table = samples.assign(
        noise_floor_nt=noise_floor_nt(10 ** (stored / 10), SPEC),
        masked_fraction=np.isnan(stored[:, 0, 0]).mean(axis=1),
    )
    clean = check_arrays_of_rows(store_of(table, power))
    assert (clean.verdict, clean.statistic) == ("pass", 0)
    slipped = check_arrays_of_rows(store_of(table, np.roll(power, 1, axis=0)))
    assert slipped.verdict == "fail"
    assert "by masked_fraction" in slipped.sentence
    masked_only = check_arrays_of_rows(store_of(table.drop(columns="noise_floor_nt"), np.roll(power, 1, axis=0)))
    assert masked_only.statistic == 2
    power[7, 0, 20:, :4] = np.nan  # at high frequencies only
    assert check_arrays_of_rows(store_of(table.drop(columns="noise_floor_nt"), power)).statistic == 1


def test_skill_in_all_bands_is_told_from_that_of_an_emission(samples, power) -> None:
    events, spec = is_event(samples), FAST
    offset, emission = power.copy(), power.copy()
    offset[events] += 6
    emission[events, :, 12:22] += 6  # within 10 to 40 mHz or so
    everywhere = refit_permuted(store_of(samples, offset), None, spec)
    narrow = refit_permuted(store_of(samples, emission), None, spec)
    assert "about equally in all bands" in everywhere.sentence
    assert "about equally" not in narrow.sentence
    assert set(everywhere.details["auc_by_band"]) == {"pc5", "pc4", "pc3", "high"}
    assert refit_permuted(store_of(samples, power), None, spec).details["auc_by_band"] == {}


HOURLY = DataConfig(window_h=1, segment_s=600, step_s=300, frequency_rows="log", n_log_rows=40)


def hourly_power(folder: Path, instrument: str) -> np.ndarray:
    """Power (48, 3, F, T) of the hours of two days at Conrad observatory."""
    parts = []
    for path in sorted(folder.glob(f"{instrument}*.cdf")):
        recording = read_recording(path)
        parts.append(window_spectra(field_of_day([recording], days_of(recording)[0]), HOURLY).power)
    return np.concatenate(parts)


@pytest.mark.real
def test_two_instruments_side_by_side_are_told_apart_and_one_is_not(real_data: Path) -> None:
    fge, lemi = (hourly_power(real_data / "martas_wic_1s", name) for name in ("FGE", "LEMI"))
    events = np.repeat(np.random.default_rng(1).permutation(24) < 10, 2)
    table = pd.DataFrame(
        {
            "station": "WIC", "split_group": np.repeat(np.arange(24), 2).astype(str),
            "magnitude_class": np.where(events, "Medium", "Normal"),
        }
    )  # fmt: skip
    grid = make_grid(HOURLY)
    p_values = {}
    for name, power in (("two", np.where(events[:, None, None, None], lemi, fge)), ("FGE", fge), ("LEMI", lemi)):
        attributes = {"origin": "recorded", "config": HOURLY.model_dump(mode="json")}
        store = Store(Path("m"), table, power.astype(np.float16), None, grid.frequency_hz, grid.time_s, attributes)  # type: ignore[arg-type]
        p_values[name] = next(test.p_value for test in check_instrument(store, FAST))
    assert p_values["two"] == 0.001
    assert min(p_values["FGE"], p_values["LEMI"]) > 0.05
