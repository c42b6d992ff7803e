"""Alarm evaluation of a table of predictions: statistical power, and the Molchan diagram against three references."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seismag.alarms import molchan as mo
from seismag.alarms.power import StudyPower, study_power
from seismag.arrays import FloatArray
from seismag.config import EvaluateConfig
from seismag.scoring.mainshocks import add_label_columns, knows_mainshocks, mainshocks_and_normal
from seismag.scoring.predictions import check_predictions, evaluated_rows, task_probabilities

FEW_EVENTS = 10
ALARM_FRACTIONS = (0.05, 0.1, 0.2, 0.5)
EVENT_RULE = (
    "An event is an earthquake cluster (split_group); it counts as hit by the fraction of its windows that are alarmed."
)
_CURVE_TAU = np.linspace(0, 1, 51)
_MOST_ROWS = 20_000_000  # rows times draws, above which there are fewer draws, but at least _FEWEST_DRAWS
_FEWEST_DRAWS = 200


@dataclass(frozen=True)
class AreaSkill:
    """Area skill score, its chance distribution (``mean``, ``low``, ``high``) and two p-values."""

    value: float
    null: dict[str, float]
    p_moved: float
    p_independent: float


@dataclass(frozen=True)
class FixedAlarms:
    """Scores of the strictest alarms that spend at most the alarm fraction ``tau_asked``."""

    tau_asked: float
    tau: float
    nu: float
    hits: float
    gain: float | None
    d: float
    information_gain_nat: float | None
    p_moved: float
    p_independent: float


@dataclass(frozen=True)
class MolchanCurve:
    """Miss rate over alarm fraction, with the chance band and the binomial bounds; None where there is no bound."""

    tau: list[float]
    nu: list[float]
    chance_low: list[float]
    chance_one_sided_5: list[float]
    chance_high: list[float]
    binomial_5: list[float | None]
    binomial_1: list[float | None]


@dataclass(frozen=True)
class Reference:
    """Alarms against one reference measure of background time."""

    area_skill: AreaSkill
    at: list[FixedAlarms]
    tied_share: float
    curve: MolchanCurve


@dataclass(frozen=True)
class AbsentReference:
    """Why a reference measure cannot be computed."""

    absent: str


@dataclass(frozen=True)
class AlarmSummary:
    """Content of alarms.json; ``undefined`` is the reason why nothing could be evaluated."""

    power: StudyPower | None
    n_events: int
    n_event_windows: int
    n_ordinary_windows: int
    n_left_out: int
    events: str
    event_rule: str
    tau_measured_on: str
    references: dict[str, Reference | AbsentReference]
    warnings: list[str]
    draws: int | None = None
    seed: int | None = None
    undefined: str | None = None

    def to_json(self) -> dict[str, object]:
        """The JSON document, without ``undefined``, or without the numbers where it is given."""
        left_out = {"undefined"} if self.undefined is None else {"draws", "seed"}
        return {key: value for key, value in dataclasses.asdict(self).items() if key not in left_out}


@dataclass(frozen=True)
class _Table:
    """The evaluated rows as arrays."""

    rows: mo.AlarmRows
    past_rate: FloatArray | str  # (n,), or why there is none
    covers_all_time: bool
    n_left_out: int


def alarm_summary(
    predictions: pd.DataFrame, samples: pd.DataFrame | None = None, config: EvaluateConfig | None = None
) -> AlarmSummary:
    """Evaluate P(Event) as alarms in space (stations) and time (windows).

    Args:
        predictions: a table as ``read_predictions`` returns it; its test rows (else validation rows) are evaluated.
        samples: the store's samples: whether its Normal windows are all background time or matched controls
            (``attrs["controls"]``), and the column ``past_rate`` for the clustering reference.
        config: draws (``bootstrap``), ``alarm_fraction`` and seed.

    Returns:
        Power, which needs the sizes of the table only, and the scores against each reference. Where the table allows
        no evaluation, ``undefined`` is the reason and ``references`` is empty.

    Raises:
        DataError: the table is not valid, or the samples do not contain its windows.
    """
    config = config or EvaluateConfig.model_validate({})
    check_predictions(predictions)
    evaluated = add_label_columns(evaluated_rows(predictions), samples)
    mainshocks = config.events == "mainshocks" and knows_mainshocks(evaluated)
    is_event = evaluated["y_magnitude"] != "Normal"
    if mainshocks:
        is_event &= mainshocks_and_normal(evaluated)
    table = _read_table(evaluated, is_event.to_numpy(), samples)
    rows = table.rows
    summary = AlarmSummary(
        power=None,
        n_events=rows.n_events,
        n_event_windows=int((rows.event >= 0).sum()),
        n_ordinary_windows=int(rows.background.sum()),
        n_left_out=table.n_left_out,
        events="mainshocks" if mainshocks else "all",
        event_rule=EVENT_RULE,
        tau_measured_on="all windows" if table.covers_all_time else "Normal windows",
        references={},
        warnings=_warnings(table),
        undefined=_why_undefined(table),
    )
    if summary.undefined is not None:
        return summary
    draws = min(int(np.clip(_MOST_ROWS // len(rows.score), _FEWEST_DRAWS, config.bootstrap)), config.bootstrap)
    references = {
        name: AbsentReference(measure) if isinstance(measure, str) else _evaluate(rows, measure, config, draws)
        for name, measure in _measures(table).items()
    }
    power = study_power(rows, config)
    return dataclasses.replace(summary, power=power, references=references, draws=draws, seed=config.seed)


def _read_table(evaluated: pd.DataFrame, is_event: NDArray[np.bool_], samples: pd.DataFrame | None) -> _Table:
    """Event windows, and those of background time: all where the store covers all time, else the Normal ones."""
    covers = samples is not None and samples.attrs.get("controls") == "all"
    past_rate = _find_past_rate(evaluated, samples)
    background = np.ones(len(evaluated), dtype=bool) if covers else (evaluated["y_magnitude"] == "Normal").to_numpy()
    group = pd.factorize(evaluated["split_group"].astype(str), sort=True)[0]
    rows = mo.AlarmRows(
        score=task_probabilities(evaluated, "detection")[:, 1],
        fold=pd.factorize(evaluated["fold"], sort=True)[0],
        station=pd.factorize(evaluated["station"].astype(str), sort=True)[0],
        start_h=evaluated["start_utc"].to_numpy().astype("datetime64[s]").astype(np.int64) / 3600.0,
        event=np.where(is_event, group, -1),
        background=background,
        block=group,
    )
    stratum = _strata(rows)
    has_background = np.isin(stratum, stratum[background])
    left_out = int((is_event & ~has_background).sum())
    kept = background | (is_event & has_background)  # windows of aftershocks are neither, in a store of controls
    if not kept.all():
        rows = mo.AlarmRows(*(getattr(rows, name)[kept] for name in mo.AlarmRows.__dataclass_fields__))
        past_rate = past_rate if isinstance(past_rate, str) else past_rate[kept]
    return _Table(rows, past_rate, covers, left_out)


def _strata(rows: mo.AlarmRows) -> NDArray[np.int_]:
    """Station and fold of each row as one number, (n,)."""
    return np.asarray(rows.fold * (rows.station.max() + 1) + rows.station)


def _find_past_rate(evaluated: pd.DataFrame, samples: pd.DataFrame | None) -> FloatArray | str:
    """Rate of earthquakes expected from the past at each evaluated window, or why there is none."""
    if samples is None:
        return "The rate of past earthquakes is in the store's samples.parquet: give the store as well (--data)."
    if "past_rate" not in samples:
        return "The store has no column past_rate (rate of past earthquakes); prepare it again to get one."
    known = samples.set_index(samples["sample_id"].astype(str))["past_rate"]
    rate = known.loc[evaluated["sample_id"].astype(str)].to_numpy(dtype=float)
    if not np.isfinite(rate).all():
        return f"past_rate is missing in {int((~np.isfinite(rate)).sum())} of {len(rate)} evaluated windows."
    return rate


def _why_undefined(table: _Table) -> str | None:
    rows = table.rows
    if not rows.background.any() or not (rows.event < 0).any():
        return (
            "No Normal window is evaluated, so there is no background time on which an alarm fraction could be "
            "measured. Predict Normal windows as well (data.controls of the store)."
        )
    if rows.n_events:
        return None
    if table.n_left_out:
        return (
            f"None of the {table.n_left_out} event windows lies at a station (and fold) with Normal windows, on which "
            "the alarm fraction could be measured. Predict Normal windows of the same stations."
        )
    return "No window with an earthquake is evaluated, so no alarm can hit. Predict event windows as well."


def _warnings(table: _Table) -> list[str]:
    warnings = []
    if not table.covers_all_time:
        warnings.append(
            "tau is the alarmed fraction of the Normal windows in the table, matched or chosen, not of real time: the "
            "days of alarm a year are not known. Only a store with data.controls: all gives them."
        )
    else:
        warnings.append(
            "tau is the alarmed fraction of the store's windows; times within the exclusion intervals are not among "
            "them."
        )
    if table.n_left_out:
        warnings.append(
            f"{table.n_left_out} event windows at stations (and folds) without a background window are left out."
        )
    if 0 < table.rows.n_events < FEW_EVENTS:
        warnings.append(f"Inconclusive ({table.rows.n_events} event clusters; at least {FEW_EVENTS} are needed).")
    return warnings


def _measures(table: _Table) -> dict[str, FloatArray | str]:
    """Weight of each background row, by reference; a sentence where it cannot be computed."""
    rows = table.rows
    uniform = rows.background.astype(float)
    stratum = np.unique(_strata(rows), return_inverse=True)[1]
    events = np.bincount(stratum, weights=rows.event_weight())
    background = np.bincount(stratum, weights=uniform)
    rate = np.divide(events, background, out=np.zeros(len(events)), where=background > 0)
    clustering: FloatArray | str
    if isinstance(table.past_rate, str):
        clustering = table.past_rate
    else:
        clustering = uniform * table.past_rate
        with_events = np.unique(rows.fold[rows.event >= 0])
        if any(clustering[rows.fold == fold].sum() <= 0 for fold in with_events):
            clustering = "past_rate is 0 in all background windows of a fold: no earthquake is expected anywhere."
    return {"uniform": uniform, "station": uniform * rate[stratum], "clustering": clustering}


def _evaluate(rows: mo.AlarmRows, measure: FloatArray, config: EvaluateConfig, draws: int) -> Reference:
    """Area skill, scores at fixed alarm fractions, and the curve, against one reference measure."""
    events = np.flatnonzero(rows.event >= 0)
    weight = rows.event_weight()[events]
    fractions = mo.alarm_fractions(rows.score, measure, rows.fold)
    of_events = mo.AlarmFractions(fractions.low[events], fractions.high[events])
    fixed = sorted({*ALARM_FRACTIONS, config.alarm_fraction})
    tau = np.union1d(_CURVE_TAU, fixed)
    null = mo.randomise_events(rows, measure, tau, draws, np.random.default_rng(config.seed))
    area = mo.area_skill(of_events, weight)
    low, high = np.quantile(null.area, [0.025, 0.975])
    band = np.quantile(null.nu, [0.025, 0.05, 0.975], axis=0)
    return Reference(
        area_skill=AreaSkill(
            value=area,
            null={"mean": float(null.area.mean()), "low": float(low), "high": float(high)},
            p_moved=mo.tail_fraction(null.area, area),
            p_independent=mo.area_p_value(area, rows.n_events),
        ),
        at=[_evaluate_at(rows, fractions, measure, null, float(t)) for t in fixed],
        tied_share=float(weight @ (of_events.high - of_events.low)),
        curve=MolchanCurve(
            tau.tolist(), mo.miss_rate(of_events, weight, tau).tolist(), *band.tolist(),
            *(_with_none(mo.binomial_bound(rows.n_events, tau, alpha)) for alpha in (0.05, 0.01)),
        ),
    )  # fmt: skip


def _evaluate_at(
    rows: mo.AlarmRows, fractions: mo.AlarmFractions, measure: FloatArray, null: mo.RandomisedEvents, most: float
) -> FixedAlarms:
    """Scores of the strictest set of alarms that spends at most the alarm fraction ``most``."""
    event_weight = rows.event_weight()
    alarmed = fractions.high <= most + 1e-9
    nu = 1.0 - float(event_weight[alarmed].sum())
    tau = _realised_fraction(rows, measure, event_weight, alarmed)
    nearest = int(np.argmin(np.abs(null.tau - most)))
    hits = (1.0 - nu) * rows.n_events
    return FixedAlarms(
        tau_asked=most,
        tau=tau,
        nu=nu,
        hits=hits,
        gain=mo.gain(tau, nu),
        d=1.0 - nu - tau,
        information_gain_nat=mo.information_gain_nat(tau, nu),
        p_moved=mo.tail_fraction(-null.nu[:, nearest], -nu),
        p_independent=mo.binomial_tail(hits, rows.n_events, tau),
    )


def _realised_fraction(
    rows: mo.AlarmRows, measure: FloatArray, event_weight: FloatArray, alarmed: NDArray[np.bool_]
) -> float:
    """Alarmed fraction of the measure, the folds weighted by their events: the hit rate of chance."""
    total = np.bincount(rows.fold, weights=measure)
    spent = np.bincount(rows.fold, weights=measure * alarmed)
    events = np.bincount(rows.fold, weights=event_weight)
    fraction = np.divide(spent, total, out=np.zeros(len(total)), where=total > 0)
    return float(np.clip(events @ fraction, 0.0, 1.0))


def _with_none(values: FloatArray) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]
