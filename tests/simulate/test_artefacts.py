"""Each kind of artefact alone is found by the code that assesses real days; random streams are independent."""

import datetime as dt
from functools import partial

import numpy as np
import pytest
from scipy import signal

from fixtures.archive_files import CLEAN, without_empty_blocks
from seismag.archive.quality import assess_day
from seismag.config import ArtefactConfig, DataConfig, SimulateConfig
from seismag.recordings.frg604rc import FRG604RC, encode_day
from seismag.simulate.artefacts import (
    HABIT_H,
    HABIT_POWER,
    RELEVEL_NT,
    add_artefacts,
    cultural_noise,
    plan_history,
    traffic_level_nt2_hz,
)
from seismag.spectrograms.artefacts import FLAT_S, find_artefacts, flat_runs

DAY_S = 86_400
LEVEL_NT = np.array([37_600.0, 10.0, -23_200.0])
ALL = {
    "missing_day_fraction": 0.1, "missing_blocks_per_year": 9.0, "gaps_per_day": 9.0, "spikes_per_day": 9.0,
    "steps_per_day": 2.0, "drift_nt_per_day": 3.0, "dead_component_fraction": 0.5, "relevels_per_year": 99.0,
    "clock_error_s": 3.0, "cultural_noise": 1.0, "instrument_change": True,
}  # fmt: skip
THURSDAY = np.datetime64("2021-03-04")


def simulation(days=30, seed=7, start="2021-03-01", **rates):
    """A configuration in which only the given kinds happen."""
    return SimulateConfig(days=days, seed=seed, start=start, artefacts=ArtefactConfig(**CLEAN | rates))


@pytest.fixture(scope="module")
def natural():
    """A quiet day: a level, the daily variation, red noise of 0.02 nT a second and sensor noise."""
    rng = np.random.default_rng(20260205)
    noise = np.cumsum(rng.normal(0, 0.02, (3, DAY_S)), axis=1) + rng.normal(0, 0.012, (3, DAY_S))
    return LEVEL_NT[:, None] + 20 * np.sin(2 * np.pi * np.arange(DAY_S) / DAY_S) + noise


def soiled(natural, spec, station=0):
    history = plan_history(spec, station)
    return [add_artefacts(natural, spec, history, station, day) for day in range(spec.days)]


def through_a_file(field_nt):
    payload = without_empty_blocks(encode_day("ALR", dt.date(2025, 1, 1), -8.1, 124.6, field_nt))
    return FRG604RC.read(payload, "S250101.ALR", "").field_nt


def assert_poisson(count, mean):
    """Within four standard deviations, as 15,999 of 16,000 draws are."""
    assert abs(count - mean) <= 4 * np.sqrt(mean), (count, mean)


def runs_of(mask):
    """First and end (exclusive) of the runs of True."""
    return np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(int), [0]]))).reshape(-1, 2)


def test_with_every_rate_at_zero_nothing_happens(natural):
    spec = simulation()
    history = plan_history(spec, 0)
    assert not history.missing.any()
    assert not history.baseline_nt.any()
    assert not history.clock_error_s.any()
    assert not history.changed.any()
    result = add_artefacts(natural, spec, history, 0, 3)
    assert result is not natural
    assert result.tobytes() == natural.tobytes()
    assert all(cultural_noise(spec, station, THURSDAY, 124.6) is None for station in range(20))


def test_the_clean_day_is_left_as_it_is(natural):
    before = natural.copy()
    soiled(natural, simulation(days=5, **ALL))
    np.testing.assert_array_equal(natural, before)


def test_spikes_are_found_as_often_as_asked(natural):
    spec = simulation(days=20, spikes_per_day=40.0)
    seconds, components, sizes = 0, 0, []
    for field in soiled(natural, spec):
        artefacts = find_artefacts(through_a_file(field))
        assert len(artefacts.steps) == 0
        seconds += np.unique(artefacts.spikes[:, 1]).size
        components += len(artefacts.spikes)
        changed = field != natural
        assert changed.sum() == len(artefacts.spikes)
        sizes.append((field - natural)[changed])
    assert_poisson(seconds, 800)
    assert components / seconds == pytest.approx(2 / 3 * 1 + 1 / 3 * 3, abs=0.14)  # sd of one: 0.94
    sizes = np.concatenate(sizes)
    assert np.abs(sizes).min() >= 11.99
    assert np.abs(sizes).max() <= 300.01
    assert np.median(np.abs(sizes)) == pytest.approx(60.0, rel=0.2)  # sqrt(12 x 300)
    assert np.mean(sizes > 0) == pytest.approx(0.5, abs=0.06)


def test_steps_are_found_as_often_as_asked_and_last_until_midnight(natural):
    spec = simulation(days=20, steps_per_day=10.0)
    count = 0
    for field in soiled(natural, spec):
        artefacts = find_artefacts(through_a_file(field))
        assert len(artefacts.spikes) == 0
        count += len(artefacts.steps)
        changes = np.diff(field - natural, axis=1)
        jumps = np.argwhere(np.abs(changes) > 1e-6) + np.array([0, 1])
        np.testing.assert_array_equal(jumps, artefacts.steps)
        sizes = np.abs(changes[jumps[:, 0], jumps[:, 1] - 1])
        assert np.all((sizes > 11.99) & (sizes < 100.01))
    assert_poisson(count, 200)


def test_gaps_are_missing_in_all_components(natural):
    spec = simulation(days=100, gaps_per_day=5.0)
    lengths = []
    for day, field in enumerate(soiled(natural, spec)):
        missing = np.isnan(field)
        assert np.all(missing == missing[0])
        np.testing.assert_array_equal(field[~missing], natural[~missing])
        lengths += [end - start for start, end in runs_of(missing[0])]
        if day < 5:
            quality = assess_day(through_a_file(field), DataConfig(), None, "ALR 2025-01-01")
            np.testing.assert_array_equal(quality.missing, missing.sum(axis=1))
            assert quality.spikes == quality.steps == 0
    assert_poisson(len(lengths), 500)
    assert 30 < np.median(lengths) < 53  # 40 s; 4 sd of its logarithm: 4 x 1.25 x 1.2 / sqrt(500)
    assert np.std(np.log(lengths)) == pytest.approx(1.2, rel=0.15)
    assert max(lengths) <= 4 * 3600


def test_a_stuck_component_is_found(natural):
    spec = simulation(days=200, dead_component_fraction=0.2)
    stuck, whole = 0, 0
    for field in soiled(natural, spec):
        runs = [(component, *run) for component in range(3) for run in flat_runs(field[component], FLAT_S)]
        if not runs:
            continue
        ((component, start, end),) = runs
        stuck += 1
        whole += start == 0
        assert end == DAY_S
        assert field[component, start] == natural[component, start]
        if stuck <= 3:
            quality = assess_day(through_a_file(field), DataConfig(), None, "ALR 2025-01-01")
            assert quality.flat_s[component] >= DAY_S - start
            assert f"{'HDZ'[component]} does not change" in " ".join(quality.reasons)
    assert abs(stuck - 40) <= 4 * np.sqrt(200 * 0.2 * 0.8)
    assert abs(whole - stuck / 2) <= 2 * np.sqrt(stuck)


def test_the_drift_is_a_line_from_midnight_on(natural):
    ends = []
    for field in soiled(natural, simulation(days=100, drift_nt_per_day=0.5)):
        drift = field - natural
        np.testing.assert_allclose(drift, drift[:, -1:] * np.arange(DAY_S) / (DAY_S - 1), atol=1e-9)
        ends.append(drift[:, -1])
    assert np.std(ends) == pytest.approx(0.5, rel=0.17)
    assert np.mean(ends) == pytest.approx(0.0, abs=0.12)


def test_single_days_are_missing_as_often_as_asked():
    missing = plan_history(simulation(days=20_000, missing_day_fraction=0.03), 0).missing
    assert abs(missing.sum() - 600) <= 4 * np.sqrt(20_000 * 0.03 * 0.97)


def test_outages_have_the_rate_and_the_length_asked_for():
    spec = simulation(days=146_100, missing_blocks_per_year=1.0, missing_block_days=6.0)
    outages = runs_of(plan_history(spec, 0).missing)
    assert_poisson(len(outages), 400)
    assert np.diff(outages).mean() == pytest.approx(6.0, rel=0.2)


def test_a_new_baseline_is_seen_in_the_medians_and_lasts(natural):
    spec = simulation(days=60, relevels_per_year=60.0)
    medians = np.array([np.median(through_a_file(field), axis=1) for field in soiled(natural, spec)])
    history = plan_history(spec, 0)
    np.testing.assert_allclose(medians, np.median(natural, axis=1) + history.baseline_nt, atol=0.02)
    assert np.any(np.diff(medians, axis=0))


def test_baselines_change_as_often_and_as_far_as_asked():
    baseline = plan_history(simulation(days=146_100, relevels_per_year=4.0), 0).baseline_nt
    changes = np.diff(baseline, axis=0)
    changes = changes[changes.any(axis=1)]
    assert_poisson(len(changes), 1600)
    sizes = np.sort(np.abs(changes), axis=None)
    assert sizes[int(0.97 * sizes.size)] <= RELEVEL_NT  # two changes on one day may add up to more
    assert np.std(changes) == pytest.approx(RELEVEL_NT / np.sqrt(3), rel=0.05)


def test_the_clock_error_is_one_whole_number_a_month():
    spec = simulation(days=3653, start="2015-01-15", clock_error_s=5.0)
    errors = np.array([plan_history(spec, station).clock_error_s for station in range(10)])
    assert errors.dtype == np.int64
    months = (np.datetime64(spec.start) + np.arange(spec.days)).astype("datetime64[M]")
    first = np.flatnonzero(np.diff(months, prepend=months[0] - 1))
    np.testing.assert_array_equal(errors, np.repeat(errors[:, first], np.diff(first, append=spec.days), axis=1))
    each = errors[:, first]
    assert each.shape == (10, 121)
    assert each.std() == pytest.approx(5.0, rel=0.09)
    assert abs(each.mean()) < 4 * 5 / np.sqrt(each.size)


def test_the_instrument_changes_on_the_middle_day():
    changed = plan_history(simulation(days=7, instrument_change=True), 0).changed
    assert changed.tolist() == [False] * 3 + [True] * 4


def test_the_same_seed_gives_the_same_bytes_in_any_order(natural):
    spec = simulation(days=12, **ALL)
    forward = [field.tobytes() for field in soiled(natural, spec)]
    again = plan_history(spec, 0)
    for day in (7, 0, 11, 3):
        assert add_artefacts(natural, spec, again, 0, day).tobytes() == forward[day]
    assert len(set(forward)) == 12
    assert soiled(natural, spec, station=1)[0].tobytes() != forward[0]
    assert soiled(natural, simulation(days=12, seed=8, **ALL))[0].tobytes() != forward[0]


def test_one_rate_leaves_the_other_kinds_as_they_were(natural):
    both = soiled(natural, simulation(days=6, spikes_per_day=20.0, gaps_per_day=10.0))
    gaps = soiled(natural, simulation(days=6, gaps_per_day=10.0))
    np.testing.assert_array_equal(np.isnan(both), np.isnan(gaps))
    before, after = (plan_history(simulation(days=900, **ALL | {"missing_day_fraction": f}), 2) for f in (0.1, 0.0))
    np.testing.assert_array_equal(before.baseline_nt, after.baseline_nt)
    assert not np.any(after.missing & ~before.missing)


@pytest.fixture(scope="module")
def noisy():
    """A configuration and the first station with traffic in it."""
    spec = simulation(cultural_noise=1.0)
    return spec, next(station for station in range(50) if traffic_level_nt2_hz(spec, station).any())


def hourly_power(make, days):
    """Power density of D between 45 and 100 mHz in each UTC hour, (days, 24)."""
    powers = []
    for day in days:
        frequency, power = signal.welch(make(day)[1].astype(float).reshape(24, 3600), nperseg=600)
        powers.append(power[:, (frequency >= 0.045) & (frequency <= 0.1)].mean(axis=1))
    return np.array(powers)


def test_a_third_of_the_stations_have_traffic_noise():
    spec = simulation(cultural_noise=2.0)
    levels = np.array([traffic_level_nt2_hz(spec, station) for station in range(1500)])
    some = levels[levels.any(axis=1)]
    assert abs(len(some) - 500) <= 4 * np.sqrt(1500 * 2 / 9)
    np.testing.assert_allclose(some[:, [0, 2]] / some[:, [1]], 0.2)
    assert some[:, 1].min() >= 2 * 1e-3
    assert some[:, 1].max() <= 2 * 3e-2
    assert np.median(some[:, 1]) == pytest.approx(2 * np.sqrt(3e-5), rel=0.3)


def test_traffic_noise_has_the_power_asked_for_at_its_daily_mean(noisy):
    spec, station = noisy
    level = traffic_level_nt2_hz(spec, station)
    days = THURSDAY + np.array([0, 1, 4, 5, 6, 7, 8, 11])  # no Sunday
    fields = np.array([cultural_noise(spec, station, day, 0.0) for day in days])
    assert fields.shape == (8, 3, DAY_S)
    frequency, power = signal.welch(fields.astype(float), nperseg=1200)
    power = power.mean(axis=0)
    for low, high, asked in [
        (0.045, 0.055, 1.0),
        (0.005, 0.018, 0.4**-2.3),
        (0.19, 0.21, 4**-2.3),
        (0.4, 0.5, 9**-2.3),
    ]:
        inside = (frequency >= low) & (frequency <= high)
        np.testing.assert_allclose(power[:, inside].mean(axis=1), level * asked, rtol=0.25)


def test_traffic_noise_follows_the_local_day(noisy):
    spec, station = noisy
    longitude = 124.6
    make = partial(cultural_noise, spec, station, longitude_deg=longitude)
    days = THURSDAY + np.array([0, 4, 5, 6, 7, 11, 12, 13])  # no local Sunday begins or ends in them
    power = hourly_power(lambda day: make(day=day), days).mean(axis=0)
    local_h = (np.arange(24) + 0.5 + longitude / 15) % 24
    expected = np.interp(local_h, HABIT_H, HABIT_POWER)
    level = traffic_level_nt2_hz(spec, station)[1]
    assert power.max() > 1.5 * power[np.abs(local_h - 12).argmin()]
    assert np.abs(local_h[power.argmax()] - [7, 17]).min() < 1.0
    night, day = power[(local_h < 4) | (local_h > 23)], power[np.abs(local_h - 17) < 1]
    assert night.mean() / day.mean() == pytest.approx(0.01, rel=0.25)
    density = np.mean((np.arange(0.045, 0.1, 1e-4) / 0.05) ** -2.3)
    mean = np.trapezoid(HABIT_POWER, HABIT_H) / 24
    middle = (local_h > 6) & (local_h < 21)
    np.testing.assert_allclose(power[middle], level * density * expected[middle] / mean, rtol=0.25)


@pytest.mark.parametrize("longitude", [0.0, 124.6, -77.4])
def test_traffic_noise_is_a_third_on_local_sundays(noisy, longitude):
    spec, station = noisy
    hours = np.datetime64("2021-03-01T00", "h") + np.arange(28 * 24)
    power = hourly_power(
        lambda day: cultural_noise(spec, station, day, longitude), np.unique(hours.astype("datetime64[D]"))
    ).ravel()
    local = hours + np.timedelta64(round((longitude / 15 + 0.5) * 60), "m")
    weekday = np.array([moment.weekday() for moment in local.astype("datetime64[s]").tolist()])
    hour = np.array([moment.hour for moment in local.astype("datetime64[s]").tolist()])
    daytime = (hour >= 6) & (hour < 21)
    means = np.array([power[daytime & (weekday == number)].mean() for number in range(7)])
    assert means[6] / means[:6].mean() == pytest.approx(1 / 3, rel=0.15)
    assert means[:6].min() > 0.8 * means[:6].max()


def test_traffic_noise_is_no_jump():
    spec = simulation(cultural_noise=1.0)
    loudest = max(range(60), key=lambda station: traffic_level_nt2_hz(spec, station)[1])
    artefacts = find_artefacts(cultural_noise(spec, loudest, THURSDAY, 0.0).astype(float))
    assert len(artefacts.spikes) == len(artefacts.steps) == 0
