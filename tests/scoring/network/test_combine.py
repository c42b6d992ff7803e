"""Rules that combine the windows of a day: the fit, the two kinds of units, and what they are blind to."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from fixtures.network_table import network_table
from seismag.scoring.network.combine import (
    RULES,
    Units,
    by_numbers,
    combine_days,
    fit_with_offset,
    forecast_by_columns,
)
from seismag.scoring.network.days import Days, find_days


def days_of(*arguments, **keywords) -> Days:
    table = network_table(*arguments, **keywords)
    return find_days(table, np.ones(len(table), dtype=bool))


def test_the_fit_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(200, 3))
    truth = rng.random(200) < 1 / (1 + np.exp(-features @ [1.0, -0.5, 0.0] + 0.3))
    expected = LogisticRegression(C=1.0, tol=1e-10, max_iter=1000).fit(features, truth)
    found = fit_with_offset(features, truth, np.zeros(200), np.ones(200))
    assert found == pytest.approx(np.append(expected.intercept_, expected.coef_), abs=1e-4)


def test_an_offset_is_added_to_the_log_odds() -> None:
    rng = np.random.default_rng(1)
    features, offset = rng.normal(size=(500, 1)), rng.normal(size=500)
    truth = rng.random(500) < 1 / (1 + np.exp(-offset - features[:, 0]))
    plain = fit_with_offset(np.column_stack([features, offset]), truth, np.zeros(500), np.full(500, 1e3))
    found = fit_with_offset(features, truth, plain[2] * offset, np.full(500, 1e3))
    assert found == pytest.approx(plain[:2], abs=1e-3)


def test_units_are_days_and_days_at_one_station() -> None:
    days = days_of(0)
    whole, single = Units.of_days(days), Units.of_stations(days)
    assert len(whole.day) == len(days.table)
    assert len(single.day) == days.table["n_stations"].sum()
    assert (single.day[single.of_window] == days.day).all()


def test_the_combination_depends_on_no_evaluated_label_and_on_no_order_of_rows() -> None:
    table = network_table(2, "signal")
    everything = np.ones(len(table), dtype=bool)
    days = find_days(table, everything)
    train, wanted = days.folds(np.ones(len(days.table), dtype=bool), 5)[0]
    first = combine_days(days, train, wanted, [Units.of_days(days)])[0]
    assert first.rule in RULES
    assert np.isnan(first.p_event[~wanted]).all()
    other_labels = days.table["is_event"].to_numpy() ^ wanted
    of_windows = days.is_event ^ wanted[days.day]
    changed = replace(days, table=days.table.assign(is_event=other_labels), is_event=of_windows)
    again = combine_days(changed, train, wanted, [Units.of_days(changed)])[0]
    assert again.rule == first.rule
    assert again.p_event[wanted] == pytest.approx(first.p_event[wanted])
    shuffled = find_days(table.sample(frac=1, random_state=0), everything)
    reordered = combine_days(shuffled, train, wanted, [Units.of_days(shuffled)])[0]
    assert reordered.p_event[wanted] == pytest.approx(first.p_event[wanted])


def test_a_constant_of_each_station_and_model_changes_no_probability() -> None:
    """Evidence is relative to the control windows of the same model and station, up to the shrinkage of their mean."""
    days = days_of(4, "signal", n_events=60, n_blocks=120)
    shifted = replace(days, log_odds=days.log_odds + 3.0 * days.model + 5.0)
    train, wanted = days.folds(np.ones(len(days.table), dtype=bool), 5)[0]
    p_event, of_shifted = (
        combine_days(table, train, wanted, [Units.of_days(table)])[0].p_event[wanted] for table in (days, shifted)
    )
    assert np.corrcoef(p_event, of_shifted)[0, 1] > 0.98


def test_numbers_of_windows_alone_rank_event_days_higher() -> None:
    days = days_of(5)
    train, wanted = days.folds(np.ones(len(days.table), dtype=bool), 5)[0]
    p_event, truth = by_numbers(days, train)[wanted], days.is_event_day[wanted]
    assert p_event[truth].mean() > p_event[~truth].mean() + 0.1
    station = forecast_by_columns(days, ["at_S0", "at_S1", "at_S2", "at_S3", "at_S4"], train)
    assert station.shape == (len(days.table),)
    assert ((station > 0) & (station < 1)).all()
