"""Alarm evaluation of a table of predictions: statistical power, and the Molchan diagram against three references."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from seismag.alarms import molchan as mo
from seismag.alarms.figure import draw_molchan
from seismag.alarms.power import StudyPower, study_power
from seismag.arrays import BoolArray, FloatArray, ratio
from seismag.config import EvaluateConfig
from seismag.domain import FEW_CLUSTERS, DataError
from seismag.estimate import NullInterval
from seismag.files import write_json_atomic
from seismag.folder_lock import one_writer
from seismag.scoring.agreement import require_agreement
from seismag.scoring.estimates import finite
from seismag.scoring.mainshocks import add_label_columns, knows_mainshocks, mainshocks_and_normal
from seismag.scoring.null import Null
from seismag.scoring.predictions import check_predictions, evaluated_rows, read_predictions, task_probabilities
from seismag.scoring.study import make_output_folder
from seismag.windows.store import open_store

ALARM_FRACTIONS = (0.05, 0.1, 0.2, 0.5)
EVENT_RULE = (
    "An event is an earthquake cluster (split_group); it counts as hit by the fraction of its windows that are alarmed."
)
_CURVE_TAU = np.linspace(0, 1, 51)
_BAND = {"chance_low": 0.025, "chance_one_sided_5": 0.05, "chance_high": 0.975}  # quantiles of the chance band
_MOST_ROWS = 20_000_000  # rows times draws, above which there are fewer draws, but at least _FEWEST_DRAWS
_FEWEST_DRAWS = 200


@dataclass(frozen=True)
class AreaSkill:
    """Area skill score, its chance distribution, and p-value of randomised events."""

    value: float
    null: NullInterval
    p_moved: float


@dataclass(frozen=True)
class FixedAlarms:
    """Scores of the strictest alarms that spend at most the alarm fraction ``tau_asked``.

    ``gain`` is the probability gain (1 - nu) / tau, Aki (1981), doi:10.1029/ME004p0566; None where nothing is alarmed.
    """

    tau_asked: float
    tau: float
    nu: float
    hits: float
    gain: float | None
    d: float
    information_gain_nat: float | None
    p_moved: float


@dataclass(frozen=True)
class Reference:
    """Alarms against one reference measure of background time, over all and at fixed alarm fractions.

    ``tied_share`` is the fraction of the event windows' alarm fractions that ties leave open. ``curve`` has the alarm
    fraction tau, miss rate nu, and chance band.
    """

    area_skill: AreaSkill
    at: list[FixedAlarms]
    tied_share: float
    curve: dict[str, list[float | None]]


@dataclass(frozen=True)
class AlarmSummary:
    """Content of alarms.json.

    ``undefined`` is the reason why nothing could be evaluated; an absent reference has its reason (``absent``).
    """

    power: StudyPower | None
    n_events: int
    n_event_windows: int
    n_ordinary_windows: int
    n_left_out: int
    events: str
    event_rule: str
    tau_measured_on: str
    references: dict[str, Reference | dict[str, str]]
    warnings: list[str]
    draws: int | None = None
    seed: int | None = None
    undefined: str | None = None

    def to_json(self) -> dict[str, object]:
        """The JSON document, without ``undefined``, or without the numbers where it is given."""
        left_out = {"undefined"} if self.undefined is None else {"draws", "seed"}
        return {key: value for key, value in dataclasses.asdict(self).items() if key not in left_out}


@one_writer()
def evaluate_alarms(predictions: Path, store: Path | None, config: EvaluateConfig, out: Path | None) -> dict[str, Any]:
    """Evaluate a table as alarms, and write alarms.json and molchan.png into ``out``, if given; returns the document.

    Raises:
        DataError: the table cannot be read, is of another store or has other labels, or allows no evaluation; or
            ``out`` cannot be made.
    """
    table = read_predictions(predictions)
    samples = None if store is None else open_store(store).samples
    if samples is not None:
        require_agreement(table, samples, None)
    summary = alarm_summary(table, samples, config)
    if summary.undefined is not None:
        raise DataError(f"{predictions}: {summary.undefined}")
    document = summary.to_json()
    if out is not None:
        make_output_folder(out)
        write_json_atomic(out / "alarms.json", document)
        draw_molchan(document, out / "molchan.png")
    return document


def alarm_summary(
    predictions: pd.DataFrame, samples: pd.DataFrame | None = None, config: EvaluateConfig | None = None
) -> AlarmSummary:
    """Evaluate P(Event) as alarms in space (stations) and time (windows): test rows, else validation rows.

    Args:
        predictions: a table as ``read_predictions`` returns it.
        samples: the store's samples: whether its Normal windows are all background time or matched controls
            (``attrs["controls"]``), and the column ``past_rate`` for the clustering reference.
        config: draws (``bootstrap``), ``alarm_fraction`` and seed.

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
    covers = samples is not None and samples.attrs.get("controls") == "all"
    rows, past_rate, n_left_out = _read_rows(evaluated, is_event.to_numpy(), samples, covers)
    summary = AlarmSummary(
        power=None,
        n_events=rows.n_events,
        n_event_windows=int((rows.event >= 0).sum()),
        n_ordinary_windows=int(rows.background.sum()),
        n_left_out=n_left_out,
        events="mainshocks" if mainshocks else "all",
        event_rule=EVENT_RULE,
        tau_measured_on="all windows" if covers else "Normal windows",
        references={},
        warnings=_warnings(rows, n_left_out, covers),
        undefined=_why_undefined(rows, n_left_out),
    )
    if summary.undefined is not None:
        return summary
    draws = min(int(np.clip(_MOST_ROWS // len(rows.score), _FEWEST_DRAWS, config.bootstrap)), config.bootstrap)
    references = {
        name: {"absent": measure} if isinstance(measure, str) else evaluate_reference(rows, measure, config, draws)
        for name, measure in reference_measures(rows, past_rate).items()
    }
    power = study_power(rows, config)
    return dataclasses.replace(summary, power=power, references=references, draws=draws, seed=config.seed)


def _read_rows(
    evaluated: pd.DataFrame, is_event: BoolArray, samples: pd.DataFrame | None, covers: bool
) -> tuple[mo.AlarmRows, FloatArray | str, int]:
    """Event windows, and those of background time: all where the store covers all time, else the Normal ones.

    Gives past_rate (n,) or why there is none, and the number of event windows without background time, as well.
    """
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
    has_background = np.isin(rows.stratum, rows.stratum[background])
    kept = background | (is_event & has_background)  # windows of aftershocks are neither, in a store of controls
    if not kept.all():
        rows = mo.AlarmRows(*(getattr(rows, name)[kept] for name in mo.AlarmRows.__dataclass_fields__))
        past_rate = past_rate if isinstance(past_rate, str) else past_rate[kept]
    return rows, past_rate, int((is_event & ~has_background).sum())


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


def _why_undefined(rows: mo.AlarmRows, n_left_out: int) -> str | None:
    if not rows.background.any() or not (rows.event < 0).any():
        return (
            "No Normal window is evaluated, so there is no background time on which an alarm fraction could be "
            "measured. Predict Normal windows as well (data.controls of the store)."
        )
    if rows.n_events:
        return None
    if n_left_out:
        return (
            f"None of the {n_left_out} event windows lies at a station (and fold) with Normal windows, on which "
            "the alarm fraction could be measured. Predict Normal windows of the same stations."
        )
    return "No window with an earthquake is evaluated, so no alarm can hit. Predict event windows as well."


def _warnings(rows: mo.AlarmRows, n_left_out: int, covers_all_time: bool) -> list[str]:
    warnings = []
    if not covers_all_time:
        warnings.append(
            "tau is the alarmed fraction of the Normal windows in the table, matched or chosen, not of real time: the "
            "days of alarm a year are not known. Only a store with data.controls: all gives them."
        )
    else:
        warnings.append(
            "tau is the alarmed fraction of the store's windows; times within the exclusion intervals are not among "
            "them."
        )
    if n_left_out:
        warnings.append(f"{n_left_out} event windows at stations (and folds) without a background window are left out.")
    if 0 < rows.n_events < FEW_CLUSTERS:
        warnings.append(f"Inconclusive ({rows.n_events} event clusters; at least {FEW_CLUSTERS} are needed).")
    return warnings


def reference_measures(rows: mo.AlarmRows, past_rate: FloatArray | str) -> dict[str, FloatArray | str]:
    """Weight of each row, by reference; a sentence where it cannot be computed."""
    uniform = np.ones(len(rows.score))
    events, background = (np.bincount(rows.stratum, weights=w) for w in (rows.event_weight(), rows.background))
    rate = np.nan_to_num(ratio(events, background))[rows.stratum]
    if not isinstance(past_rate, str):
        expected = rows.background * past_rate
        with_events = np.unique(rows.fold[rows.event >= 0])
        if any(expected[rows.fold == fold].sum() <= 0 for fold in with_events):
            past_rate = "past_rate is 0 in all background windows of a fold: no earthquake is expected anywhere."
    return {"uniform": uniform, "station": rate, "clustering": past_rate}


def evaluate_reference(rows: mo.AlarmRows, measure: FloatArray, config: EvaluateConfig, draws: int) -> Reference:
    """Area skill, scores at fixed alarm fractions, and the curve, against one reference measure."""
    events = np.flatnonzero(rows.event >= 0)
    weight = rows.event_weight()[events]
    background = measure * rows.background
    fractions = mo.alarm_fractions(rows.score, background, rows.fold)
    of_events = mo.AlarmFractions(fractions.low[events], fractions.high[events])
    fixed = sorted({*ALARM_FRACTIONS, config.alarm_fraction})
    tau = np.union1d(_CURVE_TAU, fixed)
    area_null, nu_null = mo.randomise_events(rows, measure, tau, draws, np.random.default_rng(config.seed))
    area, chance = mo.area_skill(of_events, weight), Null(area_null, mo.TAU_TOLERANCE)
    curve = {
        "tau": tau,
        "nu": mo.miss_rate(of_events, weight, tau),
        **dict(zip(_BAND, np.quantile(nu_null, list(_BAND.values()), axis=0), strict=True)),
    }
    return Reference(
        AreaSkill(area, chance.interval(), chance.p_value(area)),
        at=[_evaluate_at(rows, fractions, background, nu_null[:, np.searchsorted(tau, t)], float(t)) for t in fixed],
        tied_share=float(weight @ (of_events.high - of_events.low)),
        curve={name: [finite(value) for value in values] for name, values in curve.items()},
    )


def _evaluate_at(
    rows: mo.AlarmRows, fractions: mo.AlarmFractions, measure: FloatArray, nu_null: FloatArray, most: float
) -> FixedAlarms:
    """Scores of the strictest set of alarms that spends at most the alarm fraction ``most``."""
    event_weight = rows.event_weight()
    alarmed = fractions.high <= most + mo.TAU_TOLERANCE
    nu = 1.0 - float(event_weight[alarmed].sum())
    # alarmed fraction of the measure, the folds weighted by their events: the hit rate of chance
    total, spent, events = (np.bincount(rows.fold, weights=w) for w in (measure, measure * alarmed, event_weight))
    tau = float(np.clip(events @ np.nan_to_num(ratio(spent, total)), 0.0, 1.0))
    return FixedAlarms(
        tau_asked=most,
        tau=tau,
        nu=nu,
        hits=(1.0 - nu) * rows.n_events,
        gain=(1.0 - nu) / tau if tau > 0 else None,
        d=1.0 - nu - tau,
        information_gain_nat=mo.information_gain_nat(tau, nu),
        p_moved=Null(-nu_null, mo.TAU_TOLERANCE).p_value(-nu),
    )
