"""Molchan diagram, area skill, bounds and chance, by hand values, brute force and independent programs."""

import re

import matplotlib as mpl
import numpy as np
import pytest
from scipy.stats import irwinhall, kstest

from seismag.alarms.molchan import (
    AlarmFractions,
    AlarmRows,
    alarm_fractions,
    area_skill,
    information_gain_nat,
    miss_rate,
    randomise_events,
)
from seismag.scoring.null import Null


def make_rows(score, event, background=None, fold=None, station=None, start_h=None, block=None) -> AlarmRows:
    n = len(score)
    zeros = np.zeros(n, dtype=int)
    event = np.asarray(event)
    return AlarmRows(
        np.asarray(score, dtype=float), zeros if fold is None else np.asarray(fold),
        zeros if station is None else np.asarray(station), 6.0 * np.arange(n) if start_h is None else start_h, event,
        event < 0 if background is None else np.asarray(background),
        np.arange(n) if block is None else np.asarray(block),
    )  # fmt: skip


def test_alarm_fractions_by_hand_with_ties_and_weights() -> None:
    score, measure = np.array([0.9, 0.5, 0.5, 0.1]), np.array([1.0, 2.0, 0.0, 1.0])
    fractions = alarm_fractions(score, measure, np.zeros(4, dtype=int))
    np.testing.assert_allclose(fractions.low, [0, 0.25, 0.25, 0.75])
    np.testing.assert_allclose(fractions.high, [0.25, 0.75, 0.75, 1])


def test_alarm_fractions_are_those_of_brute_force_in_each_fold(rng: np.random.Generator) -> None:
    score, measure, fold = rng.integers(0, 6, 60) / 5, rng.random(60), rng.integers(0, 3, 60)
    fractions = alarm_fractions(score, measure, fold)
    for i in range(60):
        own = fold == fold[i]
        assert fractions.low[i] == pytest.approx(measure[own & (score > score[i])].sum() / measure[own].sum())
        assert fractions.high[i] == pytest.approx(measure[own & (score >= score[i])].sum() / measure[own].sum())


def test_a_fold_without_measure_has_no_alarm_fractions() -> None:
    assert np.isnan(alarm_fractions(np.array([0.1, 0.2]), np.array([1.0, 0.0]), np.array([0, 1])).high[1])


def test_perfect_alarms_have_area_one_and_reversed_ones_zero() -> None:
    rows = make_rows([5, 6, 1, 2, 3], [0, 1, -1, -1, -1])
    weight = rows.event_weight()
    measure = rows.background.astype(float)
    assert area_skill(alarm_fractions(rows.score, measure, rows.fold), weight) == 1
    assert area_skill(alarm_fractions(-rows.score, measure, rows.fold), weight) == 0


def test_constant_alarms_are_at_chance_whatever_the_order() -> None:
    rows = make_rows(np.ones(20), [0, 1] + 18 * [-1])
    fractions = alarm_fractions(rows.score, rows.background.astype(float), rows.fold)
    assert area_skill(fractions, rows.event_weight()) == 0.5
    np.testing.assert_allclose(miss_rate(fractions, rows.event_weight(), np.array([0.0, 0.5, 1.0])), [1, 1, 0])


def test_area_skill_is_the_area_above_the_molchan_curve(rng: np.random.Generator) -> None:
    score, event = rng.random(300), np.where(np.arange(300) < 40, np.arange(300) // 4, -1)
    rows = make_rows(score, event)
    fractions = alarm_fractions(score, rows.background.astype(float), rows.fold)
    tau = (np.arange(20000) + 0.5) / 20000
    brute = 1 - miss_rate(fractions, rows.event_weight(), tau).mean()
    assert area_skill(fractions, rows.event_weight()) == pytest.approx(brute, abs=1e-3)


def test_area_skill_of_single_windows_is_the_auc_of_scikit_learn(rng: np.random.Generator) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    score, is_event = rng.integers(0, 30, 200), rng.random(200) < 0.3
    rows = make_rows(score, np.where(is_event, np.arange(200), -1))
    fractions = alarm_fractions(rows.score, rows.background.astype(float), rows.fold)
    assert area_skill(fractions, rows.event_weight()) == pytest.approx(metrics.roc_auc_score(is_event, score))


def test_the_weight_of_an_event_is_divided_among_its_windows() -> None:
    rows = make_rows(np.arange(5), [0, 0, 0, 7, -1])
    np.testing.assert_allclose(rows.event_weight(), [1 / 6, 1 / 6, 1 / 6, 1 / 2, 0])
    assert rows.n_events == 2


def test_area_skill_of_untied_chance_has_mean_half_and_variance_one_over_12_n(rng: np.random.Generator) -> None:
    n_events = 3
    areas = np.array(
        [area_skill(AlarmFractions(u, u), np.full(n_events, 1 / n_events)) for u in rng.random((4000, n_events))]
    )
    assert areas.mean() == pytest.approx(0.5, abs=0.02)
    assert areas.var() == pytest.approx(1 / (12 * n_events), rel=0.08)
    tails = irwinhall.sf(n_events * areas, n_events)
    assert kstest(tails, "uniform").pvalue > 0.01


def test_information_gain_by_hand() -> None:
    assert information_gain_nat(0.25, 0.0) == pytest.approx(np.log(4))  # all hit: ln(1 / tau)
    assert information_gain_nat(0.3, 0.7) == pytest.approx(0, abs=1e-12)  # hit rate tau: nothing
    expected = 0.6 * np.log(0.6 / 0.2) + 0.4 * np.log(0.4 / 0.8)
    assert information_gain_nat(0.2, 0.4) == pytest.approx(expected)
    worse = information_gain_nat(0.2, 0.95)
    assert worse is not None
    assert worse < 0
    assert information_gain_nat(0.0, 1.0) is None


def chance_table(rng: np.random.Generator, covers: bool, n_clusters: int = 20) -> AlarmRows:
    """Scores of three stations with a common weather of days, earthquakes of eight windows anywhere."""
    steps, stations = 400, 3
    noise = rng.standard_normal((stations + 1, steps + 8))
    slow = np.stack([np.convolve(row, np.ones(8), "valid")[:steps] for row in noise])
    score = slow[0] + slow[1:]
    event = np.full((stations, steps), -1)
    for cluster in range(n_clusters):
        start = rng.integers(0, steps - 8)
        for station in rng.choice(stations, rng.integers(1, 4), replace=False):
            event[station, start : start + 8] = cluster
    station, step = np.indices(event.shape).reshape(2, -1)
    event, score = event.ravel(), score.ravel()
    kept = np.ones(len(event), dtype=bool) if covers else (event >= 0) | (rng.random(len(event)) < 0.4)
    return make_rows(
        score[kept], event[kept], np.ones(int(kept.sum()), dtype=bool) if covers else event[kept] < 0,
        station=station[kept], start_h=6.0 * step[kept], block=step[kept] // 40,
    )  # fmt: skip


@pytest.mark.parametrize("covers", [True, False])
def test_randomised_events_give_uniform_p_where_alarms_have_no_skill(covers: bool) -> None:
    p_values, deviations = [], []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        rows = chance_table(rng, covers)
        measure = rows.background.astype(float)
        fractions = alarm_fractions(rows.score, measure, rows.fold)
        area = area_skill(fractions, rows.event_weight())
        drawn, _ = randomise_events(rows, measure, np.array([0.2]), 59, rng)
        p_values.append(Null(drawn).p_value(area))
        deviations.append((area - drawn.mean()) / drawn.std())
    assert kstest(p_values, "uniform").pvalue > 0.01
    assert 0.8 < np.std(deviations) < 1.25


def test_alarms_that_depend_on_the_station_alone_show_no_skill_beyond_randomised_events(
    rng: np.random.Generator,
) -> None:
    rows = chance_table(rng, covers=True)
    busy = rows.station == 0
    kept = busy | (rows.event < 0)  # every earthquake at one station, whose alarms are the strongest
    rows = AlarmRows(*(getattr(rows, name)[kept] for name in AlarmRows.__dataclass_fields__))
    rows = make_rows(
        rng.random(kept.sum()) + 2 * (rows.station == 0), rows.event, rows.background,
        station=rows.station, start_h=rows.start_h, block=rows.block,
    )  # fmt: skip
    fractions = alarm_fractions(rows.score, np.ones(len(rows.score)), rows.fold)
    area = area_skill(fractions, rows.event_weight())
    drawn, _ = randomise_events(rows, np.ones(len(rows.score)), np.array([0.2]), 99, rng)
    assert area > 0.7
    assert irwinhall.sf(rows.n_events * area, rows.n_events) < 1e-3
    assert Null(drawn).p_value(area) > 0.05


def test_alarms_before_earthquakes_are_beyond_every_randomised_set(rng: np.random.Generator) -> None:
    rows = chance_table(rng, covers=False)
    measure = rows.background.astype(float)
    seen = rows.score + 8.0 * (rows.event >= 0)
    rows = AlarmRows(seen, rows.fold, rows.station, rows.start_h, rows.event, rows.background, rows.block)
    area = area_skill(alarm_fractions(seen, measure, rows.fold), rows.event_weight())
    drawn, _ = randomise_events(rows, measure, np.array([0.2]), 99, rng)
    assert Null(drawn).p_value(area) == 0.01


def p_of_area(rows: AlarmRows, measure, rng: np.random.Generator) -> float:
    area = area_skill(alarm_fractions(rows.score, measure * rows.background, rows.fold), rows.event_weight())
    return Null(randomise_events(rows, measure, np.array([0.2]), 59, rng)[0]).p_value(area)


def seasonal_table(rng: np.random.Generator, skill: float = 0.0) -> AlarmRows:
    """Two years at two stations; scores and five swarms of six clusters have a season in common."""
    steps, stations = 2920, 2
    wave = np.sin(2 * np.pi * np.arange(steps) / 1461 + rng.uniform(0, 6.28))
    noise = rng.standard_normal((stations, steps + 7))
    score = np.stack([np.convolve(row, np.ones(8), "valid") for row in noise]) / np.sqrt(8) + 1.4 * wave
    weight = np.exp(2 * wave)
    weight[:100] = weight[-100:] = 0
    centres = rng.choice(steps, 5, p=weight / weight.sum())
    event = np.full((stations, steps), -1)
    for cluster in range(30):
        start = centres[cluster // 6] + round(12 * rng.standard_normal())
        event[:, start : start + 8] = cluster
    station, step = np.indices(event.shape).reshape(2, -1)
    event = event.ravel()
    return make_rows(
        score.ravel() + skill * (event >= 0), event, np.ones(len(event), dtype=bool),
        station=station, start_h=6.0 * step,
    )  # fmt: skip


def test_swarms_and_a_common_season_are_no_skill_and_skill_in_them_is_found() -> None:
    found = []
    for skill, seeds in ((0.0, 60), (1.0, 20)):
        tables = [(seasonal_table(rng, skill), rng) for rng in map(np.random.default_rng, range(seeds))]
        found.append(sum(p_of_area(rows, np.ones(len(rows.score)), rng) <= 0.05 for rows, rng in tables))
    assert found[0] <= 7  # of 60; more with probability 0.01
    assert found[1] >= 15  # of 20


def test_alarms_that_follow_past_earthquakes_have_skill_in_uniform_time_and_none_beyond_the_past() -> None:
    found = np.zeros(2)
    for seed in range(60):
        rng = np.random.default_rng(seed)
        steps = 1200
        past_rate = np.full(steps, 0.02)
        for start in rng.integers(0, steps, 12):
            past_rate[start + 1 :] += (0.3 + 0.25 * np.arange(steps - start - 1)) ** -1.08
        event = np.full(steps, -1)
        last = rng.choice(np.arange(4, steps), 30, replace=False, p=past_rate[4:] / past_rate[4:].sum())
        for cluster, step in enumerate(last):
            event[step - 3 : step + 1] = cluster
        rows = make_rows(past_rate, event, np.ones(steps, dtype=bool))
        found += [p_of_area(rows, measure, rng) <= 0.05 for measure in (np.ones(steps), past_rate)]
    assert found[0] > 40
    assert found[1] <= 7


def test_the_molchan_curve_and_its_area_are_those_of_pycsep(rng: np.random.Generator) -> None:
    """Cells in place of windows, all background time; an event cell is one event. Its area is floored at 1/2.

    Where it is installed: `pip install pycsep` (tried with 0.8.0).
    """
    pytest.importorskip("csep")
    mpl.use("agg")
    from csep.core.catalogs import CSEPCatalog
    from csep.core.forecasts import GriddedForecast
    from csep.core.regions import CartesianGrid2D
    from csep.plots import plot_Molchan_diagram

    lon, lat = (axis.ravel() for axis in np.meshgrid(np.arange(10.0, 18.0), np.arange(40.0, 46.0)))
    region = CartesianGrid2D.from_origins(np.column_stack([lon, lat]), dh=1.0, magnitudes=np.array([4.95]))
    rate = np.round(rng.random(len(lon)), 1) + 0.05  # with ties
    cells = rng.choice(len(lon), 9, replace=False, p=rate / rate.sum())
    forecast = GriddedForecast(data=rate[:, None], region=region, magnitudes=np.array([4.95]), name="rate")
    events = [(str(i), 0, lat[c] + 0.5, lon[c] + 0.5, 10.0, 5.5) for i, c in enumerate(cells)]
    axes = plot_Molchan_diagram(forecast, CSEPCatalog(data=events, region=region), show=False)
    tau, nu = (np.asarray(values, dtype=float) for values in axes.lines[0].get_data())

    fractions = alarm_fractions(rate, np.ones(len(rate)), np.zeros(len(rate), dtype=int))
    weight = np.bincount(cells, minlength=len(rate)) / len(cells)
    np.testing.assert_allclose(miss_rate(fractions, weight, tau), nu, atol=1e-12)
    stated = re.search(r"ASS=([0-9.]+)", axes.lines[0].get_label())
    assert stated is not None
    assert area_skill(fractions, weight) == pytest.approx(float(stated[1]), abs=0.0051)
