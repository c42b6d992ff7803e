"""Single seconds below 10 nT that stand out of a day's own noise, and days in which none does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from seismag.recordings import read_recording
from seismag.recordings.days import days_of, field_of_day
from seismag.spectrograms.artefacts import find_artefacts, small_spikes

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
        values[samples] += 8.0
        assert np.isin(samples, small_spikes(values)).mean() >= 0.9
