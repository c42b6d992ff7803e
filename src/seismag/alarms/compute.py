"""A table of predictions as alarms: power first, then the Molchan diagram against three references."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seismag.alarms import molchan as al
from seismag.alarms import power as pw
from seismag.arrays import FloatArray
from seismag.config import EvaluateConfig
from seismag.scoring.mainshocks import add_label_columns, knows_mainshocks, mainshocks_and_normal
from seismag.scoring.predictions import check_predictions, evaluated_rows, task_probabilities

FEW_EVENTS = 10
ALARMED_FRACTIONS = (0.05, 0.1, 0.2, 0.5)
ERRORS = (0.05, 0.01)  # of a single test, and of the audit's gate
GAINS = (1.6, 2.0, 3.0)
WANTED_POWER = 0.8
EVENT_RULE = (
    "An event is an earthquake cluster (split_group); it counts as hit by the share of its windows that are alarmed."
)
_CURVE_TAU = np.linspace(0, 1, 51)
_ROWS_DRAWN = 20_000_000  # rows times draws, above which there are fewer draws, but at least _FEWEST_DRAWS
_FEWEST_DRAWS = 200
_POWER_ROWS = 20_000_000


@dataclass(frozen=True)
class _Table:
    """The judged rows as arrays, and what had to be said on the way."""

    rows: al.AlarmRows
    past_rate: FloatArray | str  # (n,), or why there is none
    covers_all_time: bool
    n_left_out: int


def alarm_summary(
    predictions: pd.DataFrame, samples: pd.DataFrame | None = None, config: EvaluateConfig | None = None
) -> dict[str, Any]:
    """Judge P(Event) of the judged windows as alarms in space (stations) and time (windows).

    Args:
        predictions: a table as ``read_predictions`` returns it; rows of the role test (else val) are judged.
        samples: the store's samples; says whether its Normal windows are all ordinary time or matched controls
            (``attrs["controls"]``), and holds the column ``past_rate`` for the clustering reference.
        config: draws (``bootstrap``), ``alarm_fraction`` and seed.

    Returns:
        A JSON-ready dictionary. ``power`` stands first and needs the sizes of the table only. Where the table
        allows no judgement, ``undefined`` says why and ``references`` is empty.

    Raises:
        DataError: the table cannot be read as predictions, or the samples do not hold its windows.
    """
    config = config or EvaluateConfig.model_validate({})
    check_predictions(predictions)
    judged = add_label_columns(evaluated_rows(predictions), samples)
    mainshocks = config.events == "mainshocks" and knows_mainshocks(judged)
    is_event = judged["y_magnitude"] != "Normal"
    if mainshocks:
        is_event &= mainshocks_and_normal(judged)
    table = _read_table(judged, is_event.to_numpy(), samples)
    rows = table.rows
    result: dict[str, Any] = {
        "power": None,
        "n_events": rows.n_events,
        "n_event_windows": int((rows.event >= 0).sum()),
        "n_ordinary_windows": int(rows.ordinary.sum()),
        "n_left_out": table.n_left_out,
        "events": "mainshocks" if mainshocks else "all",
        "event_rule": EVENT_RULE,
        "tau_measured_on": "all windows" if table.covers_all_time else "Normal windows",
        "references": {},
        "warnings": _warnings(table),
    }
    if reason := _why_undefined(table):
        return {**result, "undefined": reason}
    result["power"] = study_power(rows, config)
    draws = int(np.clip(_ROWS_DRAWN // len(rows.score), _FEWEST_DRAWS, config.bootstrap))
    result |= {"draws": min(draws, config.bootstrap), "seed": config.seed}
    for name, measure in _measures(table).items():
        if isinstance(measure, str):
            result["references"][name] = {"absent": measure}
        else:
            result["references"][name] = _against(rows, measure, config, result["draws"])
    return result


def study_power(rows: al.AlarmRows, config: EvaluateConfig) -> dict[str, Any]:
    """What this table can show with 80 % power, from its sizes and groups; no label is compared with a score.

    Besides sizes, one number comes from the scores: how alike they are within a group, events and Normal apart.
    """
    tau, n = config.alarm_fraction, rows.n_events
    event = rows.event >= 0
    normal = ~event
    groups = pw.GroupedRows(rows.event[event], np.unique(rows.block[normal], return_inverse=True)[1])
    correlation = max(
        pw.group_correlation(rows.score[event], groups.event_group),
        pw.group_correlation(rows.score[normal], groups.normal_group),
    )
    by_error = {}
    for alpha in ERRORS:
        draws = int(np.clip(_POWER_ROWS // len(rows.score) // 11, 100, 400))
        curve = pw.ranking_power(groups, correlation, alpha, np.random.default_rng(config.seed), draws)
        by_error[f"{alpha:g}"] = {
            "events_needed": {f"{g:g}": pw.events_needed(tau, g, alpha) for g in GAINS if g * tau <= 1},
            "smallest_gain": pw.smallest_gain(n, tau, alpha),
            "smallest_area_skill": pw.smallest_area_skill(n, alpha),
            "smallest_auc": pw.smallest_seen(curve["auc"], curve["power_auc"]),
            "smallest_balanced_accuracy": pw.smallest_seen(
                curve["balanced_accuracy"], curve["power_balanced_accuracy"]
            ),
        }
    return {
        "alarm_fraction": tau,
        "power": WANTED_POWER,
        "n_events": n,
        "group_correlation": correlation,
        "by_error": by_error,
    }


def _read_table(judged: pd.DataFrame, is_event: NDArray[np.bool_], samples: pd.DataFrame | None) -> _Table:
    """Event windows, and the ordinary ones: all where the store covers all time, else the Normal ones."""
    covers = samples is not None and samples.attrs.get("controls") == "all"
    past_rate = _find_past_rate(judged, samples)
    ordinary = np.ones(len(judged), dtype=bool) if covers else (judged["y_magnitude"] == "Normal").to_numpy()
    groups = judged["split_group"].astype(str)
    start = judged["start_utc"].to_numpy().astype("datetime64[s]").astype(np.int64) / 3600.0
    rows = al.AlarmRows(
        score=task_probabilities(judged, "detection")[:, 1],
        fold=pd.factorize(judged["fold"], sort=True)[0],
        station=pd.factorize(judged["station"].astype(str), sort=True)[0],
        start_h=start,
        event=np.where(is_event, pd.factorize(groups, sort=True)[0], -1),
        ordinary=ordinary,
        block=pd.factorize(groups, sort=True)[0],
    )
    place = rows.fold * (rows.station.max() + 1) + rows.station
    has_ordinary = np.isin(place, place[ordinary])
    left_out = int((is_event & ~has_ordinary).sum())
    kept = ordinary | (is_event & has_ordinary)  # windows of aftershocks are neither, in a store of controls
    if not kept.all():
        rows = al.AlarmRows(*(getattr(rows, name)[kept] for name in al.AlarmRows.__dataclass_fields__))
        past_rate = past_rate if isinstance(past_rate, str) else past_rate[kept]
    return _Table(rows, past_rate, covers, left_out)


def _find_past_rate(judged: pd.DataFrame, samples: pd.DataFrame | None) -> FloatArray | str:
    """Rate of earthquakes expected from the past at each judged window, or why there is none."""
    if samples is None:
        return "The rate of past earthquakes is in the store's samples.parquet: give the store as well (--data)."
    if "past_rate" not in samples:
        return "The store has no column past_rate (rate of past earthquakes); prepare it again to get one."
    known = samples.set_index(samples["sample_id"].astype(str))["past_rate"]
    rate = known.loc[judged["sample_id"].astype(str)].to_numpy(dtype=float)
    if not np.isfinite(rate).all():
        return f"past_rate is missing in {int((~np.isfinite(rate)).sum())} of {len(rate)} judged windows."
    return rate


def _why_undefined(table: _Table) -> str | None:
    rows = table.rows
    if not rows.ordinary.any() or not (rows.event < 0).any():
        return (
            "No Normal window is judged, so there is no ordinary time on which an alarmed fraction could be measured. "
            "Predict Normal windows as well (data.controls of the store)."
        )
    if rows.n_events:
        return None
    if table.n_left_out:
        return (
            f"None of the {table.n_left_out} event windows lies at a station (and fold) with Normal windows, so "
            "nothing says what an alarm means there. Predict Normal windows of the same stations."
        )
    return "No window with an earthquake is judged, so no alarm can hit. Predict event windows as well."


def _warnings(table: _Table) -> list[str]:
    warnings = []
    if not table.covers_all_time:
        warnings.append(
            "tau is the alarmed share of the Normal windows in the table, matched or chosen, not of real time: how "
            "many days a year an alarm would stand cannot be told. Only a store with data.controls: all gives that."
        )
    else:
        warnings.append("tau is the alarmed share of the store's windows; times within the guards are not among them.")
    if table.n_left_out:
        warnings.append(
            f"{table.n_left_out} event windows at stations (and folds) without an ordinary window are left out."
        )
    if 0 < table.rows.n_events < FEW_EVENTS:
        warnings.append(
            f"{table.rows.n_events} independent events: whatever comes out is an anecdote. {FEW_EVENTS} are the least."
        )
    return warnings


def _measures(table: _Table) -> dict[str, FloatArray | str]:
    """Weight of each ordinary row, by reference."""
    rows = table.rows
    uniform = rows.ordinary.astype(float)
    place = np.unique(rows.fold * (rows.station.max() + 1) + rows.station, return_inverse=True)[1]
    events, ordinary = np.bincount(place, weights=rows.event_weight()), np.bincount(place, weights=uniform)
    share = np.divide(events, ordinary, out=np.zeros(len(events)), where=ordinary > 0)
    clustering: FloatArray | str
    if isinstance(table.past_rate, str):
        clustering = table.past_rate
    else:
        clustering = uniform * table.past_rate
        with_events = np.unique(rows.fold[rows.event >= 0])
        if any(clustering[rows.fold == fold].sum() <= 0 for fold in with_events):
            clustering = "past_rate is 0 in all ordinary windows of a fold: the past expects nothing anywhere."
    return {"uniform": uniform, "station": uniform * share[place], "clustering": clustering}


def _against(rows: al.AlarmRows, measure: FloatArray, config: EvaluateConfig, draws: int) -> dict[str, Any]:
    """Area skill, rows at fixed alarmed fractions, and the curve, against one reference measure."""
    events = np.flatnonzero(rows.event >= 0)
    weight = rows.event_weight()[events]
    levels = al.alarm_levels(rows.score, measure, rows.fold)
    event_levels = al.Levels(levels.low[events], levels.high[events])
    asked = sorted({*ALARMED_FRACTIONS, config.alarm_fraction})
    tau = np.union1d(_CURVE_TAU, asked)
    chance = al.draw_chance(rows, measure, tau, draws, np.random.default_rng(config.seed))
    area = al.area_skill(event_levels, weight)
    low, high = np.quantile(chance.area, [0.025, 0.975])
    nu = al.miss_rate(event_levels, weight, tau)
    band = np.quantile(chance.nu, [0.025, 0.05, 0.975], axis=0)
    return {
        "area_skill": {
            "value": area,
            "null": {"mean": float(chance.area.mean()), "low": float(low), "high": float(high)},
            "p_moved": al.tail_fraction(chance.area, area),
            "p_independent": al.area_tail(area, rows.n_events),
        },
        "at": [_at(rows, levels, measure, replace(chance, tau=tau), float(t)) for t in asked],
        "tied_share": float(weight @ (event_levels.high - event_levels.low)),
        "curve": {
            "tau": tau.tolist(),
            "nu": nu.tolist(),
            "chance_low": band[0].tolist(),
            "chance_one_sided_5": band[1].tolist(),
            "chance_high": band[2].tolist(),
            **{
                f"binomial_{100 * alpha:g}": _with_none(al.binomial_bound(rows.n_events, tau, alpha))
                for alpha in ERRORS
            },
        },
    }


def _at(
    rows: al.AlarmRows, levels: al.Levels, measure: FloatArray, chance: al.ChanceDraws, asked: float
) -> dict[str, Any]:
    """Scores of the strictest set of alarms that spends at most ``asked``."""
    event_weight = rows.event_weight()
    alarmed = levels.high <= asked + 1e-9
    nu = 1.0 - float(event_weight[alarmed].sum())
    tau = _realised(rows, measure, event_weight, alarmed)
    place = int(np.argmin(np.abs(chance.tau - asked)))
    hits = (1.0 - nu) * rows.n_events
    return {
        "tau_asked": asked,
        "tau": tau,
        "nu": nu,
        "hits": hits,
        "gain": al.gain(tau, nu),
        "d": 1.0 - nu - tau,
        "information_gain_nat": al.information_gain_nat(tau, nu),
        "p_moved": al.tail_fraction(-chance.nu[:, place], -nu),
        "p_independent": al.binomial_tail(hits, rows.n_events, tau),
    }


def _realised(rows: al.AlarmRows, measure: FloatArray, event_weight: FloatArray, alarmed: NDArray[np.bool_]) -> float:
    """Alarmed share of the measure, the folds weighed by their events: what chance hits."""
    total = np.bincount(rows.fold, weights=measure)
    spent = np.bincount(rows.fold, weights=measure * alarmed)
    events = np.bincount(rows.fold, weights=event_weight)
    share = np.divide(spent, total, out=np.zeros(len(total)), where=total > 0)
    return float(np.clip(events @ share, 0.0, 1.0))


def _with_none(values: FloatArray) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]
