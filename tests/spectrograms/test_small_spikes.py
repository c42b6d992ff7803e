"""Spikes and steps below 10 nT that stand out of a day's own noise, and days in which none does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from seismag.recordings import read_recording
from seismag.recordings.days import days_of, field_of_day
from seismag.spectrograms.artefacts import Artefacts, blank_artefacts, find_artefacts, small_spikes, small_steps

QUIET_DAYS = ["bou20140407vsec.sec.gz", "tuc20140408vsec.sec.gz", "cmo20140408vsec.sec.gz", "hon20140407vsec.sec.gz"]


@pytest.fixture
def quiet(rng: np.random.Generator) -> np.ndarray:
    """Three hours of slow variations and noise of 0.02 nT, written in steps of 0.01 nT."""
    t = np.arange(10_800)
    return np.round(40_000 + 20 * np.sin(t / 1500) + rng.normal(0, 0.02, t.size), 2)


def test_one_sample_of_a_few_nanotesla_is_found_and_the_quiet_day_has_none(quiet: np.ndarray) -> None:
    assert small_spikes(quiet).size == 0
    quiet[[900, 4000, 7000]] += [8.0, -3.0, 1.5]
    assert small_spikes(quiet).tolist() == [900, 4000, 7000]


def test_a_spike_is_blanked_once_whatever_its_height(quiet: np.ndarray) -> None:
    field = np.stack([quiet, quiet, quiet])
    field[0, 900] += 8.0
    field[1, 2000] += 200.0  # a jump, found before
    assert find_artefacts(field).spikes.tolist() == [[0, 900], [1, 2000]]


def test_a_step_an_event_of_several_seconds_and_disturbed_minutes_are_no_spikes(
    quiet: np.ndarray, rng: np.random.Generator
) -> None:
    quiet[2000:] += 3.0
    quiet[4000:4060] += rng.normal(0, 2.0, 60)
    quiet[7000:7020] += 4 * np.hanning(20)
    assert small_spikes(quiet).size == 0


@pytest.mark.parametrize("height", [8.0, -3.0])
def test_a_spike_at_the_ends_and_beside_a_gap_is_found(quiet: np.ndarray, height: float) -> None:
    quiet[3000:3100] = np.nan
    quiet[6000:6050] = np.nan
    spikes = [0, 2999, 3100, 6051, quiet.size - 1]
    quiet[spikes] += height
    assert small_spikes(quiet).tolist() == spikes
    field = np.stack([quiet, quiet, quiet])
    blanked = blank_artefacts(field, Artefacts(np.array([[0, 0]]), np.empty((0, 2), int), np.empty((0, 3), int)))
    assert np.isnan(blanked[0, :3]).tolist() == [True, True, False]


def test_spikes_in_almost_one_second_of_100_are_counted_once_each(quiet: np.ndarray, rng: np.random.Generator) -> None:
    spikes = np.arange(60, 10_700, 110)
    noisy = quiet.copy()
    noisy[spikes] += rng.choice([-8, 8], spikes.size)
    assert small_spikes(noisy).tolist() == spikes.tolist()  # 0.9 %
    many = np.arange(60, 10_700, 50)
    quiet[many] += 8
    assert small_spikes(quiet).size == 0  # 2 %


def test_a_small_step_is_found_where_it_exceeds_the_noise_of_its_day(
    quiet: np.ndarray, rng: np.random.Generator
) -> None:
    assert small_steps(quiet).size == 0
    stepped = quiet.copy()
    for first, height in ((500, 8.0), (4000, -1.5), (quiet.size - 20, 3.0)):
        stepped[first:] += height
    assert small_steps(stepped).tolist() == [500, 4000, quiet.size - 20]
    field = np.stack([stepped, quiet, quiet])
    assert find_artefacts(field).steps.tolist() == [[0, 500], [0, 4000], [0, quiet.size - 20]]
    assert find_artefacts(field).spikes.size == 0
    assert small_steps(stepped + rng.normal(0, 2, stepped.size)).size == 0  # the noise of another sensor


def test_spikes_and_slopes_of_several_seconds_are_no_steps(quiet: np.ndarray) -> None:
    quiet[2000] += 8
    quiet[3000:] += np.clip(np.arange(quiet.size - 3000) / 5, 0, 8)
    quiet[5000:5100] = np.nan
    quiet[5100:] += 5  # across a gap
    assert small_steps(quiet).size == 0


def test_missing_seconds_and_short_series_are_no_spikes(quiet: np.ndarray) -> None:
    quiet[1000:1500] = np.nan
    quiet[1600] = np.nan
    assert small_spikes(quiet).size == 0
    assert small_spikes(np.full(10_000, np.nan)).size == 0
    assert small_spikes(quiet[:20]).size == 0


@pytest.mark.real
@pytest.mark.parametrize("name", QUIET_DAYS)
def test_real_days_have_none_and_injected_ones_are_found(real_data: Path, name: str) -> None:
    recording = read_recording(real_data / "usgs_1s_201404" / name)
    field = field_of_day([recording], days_of(recording)[0])
    samples = np.arange(5000, 80_000, 2500)
    for values in field:
        assert small_spikes(values).size == 0
        assert small_steps(values).size == 0
        values[samples] += 8.0
        assert np.isin(samples, small_spikes(values)).mean() >= 0.9
