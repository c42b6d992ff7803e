"""Injection and recovery: emissions of known strength in windows that a model has not seen, and how many it finds.

The same Normal windows are predicted without and with an emission, prepared from the same day files in the same way.
So what is found is the emission, and nothing else about the window.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from seismag.config import DataConfig
from seismag.domain import DataError, UsageError, magnitude_classes
from seismag.files import atomic_path, write_json_atomic
from seismag.parallel import Progress, silent
from seismag.recordings.additions import WRITABLE
from seismag.recovery.efficiency import false_alarm_threshold
from seismag.recovery.figure import draw_recovery
from seismag.recovery.plan import RecoveryPlan
from seismag.recovery.result import recovery_report
from seismag.runs import read_run
from seismag.simulate.injected_windows import Target, Twins, emission_over, make_twins, window_stream
from seismag.simulate.survey import mean_between
from seismag.simulate.targets import (
    events_at_stations,
    find_targets,
    measure_backgrounds,
    reference_of,
    require_same_inputs,
    sample_earthquake,
    spread_over_days,
)
from seismag.training.checkpoint import LoadedModel, check_preprocessing, load_checkpoint
from seismag.training.inference import predict_power, predict_store, scaling_of
from seismag.training.run import unseen_windows
from seismag.windows.inputs import Inputs
from seismag.windows.store import Store, open_store, read_samples

_JUDGED = ["sample_id", "run_id", "station", "start_utc", "split_group", "p_event", "threshold", "alarm"]
SAME_DB = 0.1  # a window prepared again may differ from the store by this


@dataclass(frozen=True)
class Recovery:
    """What was found.

    Attributes:
        plantings: a row for each emission: sample_id, run_id, station, start_utc, event_id, magnitude,
            magnitude_class, distance_km, azimuth_deg, snr_at_m5_100km, snr (by the law), background_nt2 (of the
            window), emission_nt2, p_event_without, p_event, threshold, recovered, reason ("", or why ``prepare``
            rejects the window with the emission in it: not recovered then).
        normal: the windows that thresholds come from: sample_id, run_id, station, start_utc, p_event, threshold, alarm.
        earthquakes: one event window of each earthquake cluster, the same columns and split_group.
        reference_nt2: background of each station, to which snr refers.
        skipped: Normal windows in which nothing could be planted, by reason.
    """

    plantings: pd.DataFrame
    normal: pd.DataFrame
    earthquakes: pd.DataFrame
    reference_nt2: dict[str, float]
    skipped: dict[str, int]


@dataclass(frozen=True)
class _Site:
    """What planting at a station needs: earthquakes in range, and the background that snr refers to."""

    events: pd.DataFrame
    reference_nt2: float


def recover(
    models: Sequence[Path], store_path: Path, inputs: Inputs, plan: RecoveryPlan, progress: Progress = silent
) -> Recovery:
    """Plant emissions in Normal windows that the models have not seen, and count how many are found.

    Args:
        models: checkpoints or run folders; several: the folds of one cross-validation, each with its own threshold.
        store_path: the store of the windows, made of ``inputs``.
        inputs: archive, stations, catalogue.
        plan: what is planted.
        progress: called with stage, done, total.

    Raises:
        UsageError: a window tested by two models.
        DataError: store and inputs do not belong together, or hold nothing to plant in.
        SeismagError: a model of other preprocessing.
    """
    store = open_store(store_path)
    loaded = [load_checkpoint(_checkpoint(path)) for path in models]
    for model in loaded:
        check_preprocessing(model.card, store.attributes["preprocessing"])
    require_same_inputs(store, inputs)
    judged = pd.concat([_evaluate(model, store, plan.false_alarms, progress) for model in loaded], ignore_index=True)
    _require_once(judged)
    normal = judged[judged["y_magnitude"] == "Normal"].set_index("sample_id", drop=False)
    chosen, sites, skipped = _choose(store, inputs, normal["sample_id"], plan, progress)
    by_run = {model.card.run_id: model for model in loaded}
    rows = []
    for done, (target, background_nt2) in enumerate(chosen):
        progress("plant", done, len(chosen))
        judgement = normal.loc[target.sample_id]
        found = _plant(by_run[judgement["run_id"]], target, sites[target.station.code], store, plan)
        rows.append(found.assign(background_nt2=background_nt2, threshold=judgement["threshold"]))
    progress("plant", len(chosen), len(chosen))
    plantings = pd.concat(rows, ignore_index=True)
    plantings["recovered"] = (plantings["p_event"] > plantings["threshold"]) & (plantings["reason"] == "")
    earthquakes = one_window_a_cluster(judged[judged["y_magnitude"] != "Normal"], store.samples)
    reference = {code: site.reference_nt2 for code, site in sites.items()}
    return Recovery(plantings, normal.reset_index(drop=True)[_JUDGED], earthquakes[_JUDGED], reference, skipped)


def _choose(
    store: Store, inputs: Inputs, sample_ids: pd.Series, plan: RecoveryPlan, progress: Progress
) -> tuple[list[tuple[Target, float]], dict[str, _Site], dict[str, int]]:
    """Windows to plant in, each with its background in nT², their stations, and what is left out by reason."""
    targets, skipped = find_targets(store, inputs, sample_ids)
    events = events_at_stations(inputs, plan.emission, targets)
    reachable = [target for target in targets if len(events[target.station.code])]
    if len(reachable) < len(targets):
        skipped["no_event_in_range"] = len(targets) - len(reachable)
    chosen = spread_over_days(reachable, plan.windows, plan.seed)
    backgrounds = measure_backgrounds(chosen, plan.emission, progress)
    levels = {code: reference_of(chosen, backgrounds, code) for code in events}
    sites = {code: _Site(events[code], level) for code, level in levels.items() if np.isfinite(level)}
    usable = [
        (target, mean_between(background, target.start_utc, target.end_utc))
        for target, background in zip(chosen, backgrounds, strict=True)
        if target.station.code in sites
    ]
    if len(usable) < len(chosen):
        skipped["no_background"] = len(chosen) - len(usable)
    if not usable:
        raise DataError(_nothing_to_plant(inputs.archive, skipped))
    return usable, sites, skipped


def recovery_study(
    models: Sequence[Path], store_path: Path, inputs: Inputs, plan: RecoveryPlan, progress: Progress = silent
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Run ``recover`` and summarise it; gives the content of recovery.json and recovery.csv."""
    found = recover(models, store_path, inputs, plan, progress)
    progress("curve", 0, 1)
    report = recovery_report(found.plantings, found.normal, found.earthquakes, plan.confidence, plan.seed)
    progress("curve", 1, 1)
    thresholds = found.normal.groupby("run_id", sort=False)["threshold"]
    facts = {
        "sentence": report.pop("sentence"),
        "models": [{"run_id": run, "threshold": float(rows.iloc[0]), "n": len(rows)} for run, rows in thresholds],
        "archive": str(inputs.archive),
        "data": str(store_path),
        "dataset_id": open_store(store_path).attributes["dataset_id"],
        "snr": list(plan.snr),
        "false_alarms_asked": plan.false_alarms,
        "seed": plan.seed,
        "emission": plan.emission.model_dump(mode="json", exclude={"snr"}),
        "windows": int(found.plantings["sample_id"].nunique()),
        "skipped": found.skipped,
        "background_nt2": found.reference_nt2,
        "warnings": _warnings(plan, found.skipped),
    }
    return facts | report, found.plantings


def write_recovery(report: dict[str, Any], plantings: pd.DataFrame, out: Path) -> None:
    """Write recovery.json, recovery.csv and recovery.png."""
    out.mkdir(parents=True, exist_ok=True)
    with atomic_path(out / "recovery.csv") as temporary:
        plantings.to_csv(temporary, index=False, date_format="%Y-%m-%dT%H:%M:%SZ")
    draw_recovery(report, out / "recovery.png")
    write_json_atomic(out / "recovery.json", report)


def _warnings(plan: RecoveryPlan, skipped: dict[str, int]) -> list[str]:
    warnings = [f"{count} Normal windows cannot be planted in: {reason}" for reason, count in skipped.items()]
    if plan.emission.magnitude_exponent == 0 and plan.emission.distance_exponent == 0:
        warnings.append(
            "the emission is as strong at every magnitude and distance (simulate.emission.magnitude_exponent and "
            "distance_exponent are 0), so efficiency by magnitude and distance differs by chance alone"
        )
    return warnings


def one_window_a_cluster(judged: pd.DataFrame, samples: pd.DataFrame) -> pd.DataFrame:
    """Take one event window of each cluster, whatever its prediction: that with the largest Es, the last before it.

    Windows of aftershocks are left out where the store tells them from mainshocks.
    """
    columns = [name for name in ("es", "lead_hours", "is_mainshock") if name in samples]
    table = judged.merge(samples[["sample_id", *columns]], on="sample_id", validate="one_to_one")
    if "is_mainshock" in table:
        table = table[table["is_mainshock"].astype(bool)]
    if {"es", "lead_hours"} <= set(table):
        table = table.sort_values(["es", "lead_hours", "sample_id"], ascending=[False, True, True])
    return table.drop_duplicates("split_group").reset_index(drop=True)


def _checkpoint(path: Path) -> Path:
    return read_run(path).best_model if path.is_dir() else path


def _evaluate(loaded: LoadedModel, store: Store, false_alarms: float, progress: Progress) -> pd.DataFrame:
    """Predict the windows that a model has not seen; adds p_event, threshold, alarm."""
    indices, _ = unseen_windows(loaded, store)
    normal = store.samples["magnitude_class"].to_numpy()[indices] == "Normal"
    if not normal.any():
        raise DataError(
            f"{store.path}: holds no Normal window that {loaded.path} has not seen: nothing to plant in, and "
            "no false-alarm share. Prepare a store with data.controls=all, or take the model of another fold."
        )
    table = predict_store(loaded, store, indices, progress=progress)
    p_event = 1.0 - table["p_magnitude_Normal"].to_numpy()
    threshold = false_alarm_threshold(p_event[(table["y_magnitude"] == "Normal").to_numpy()], false_alarms)
    return table.assign(p_event=p_event, threshold=threshold, alarm=p_event > threshold)


def _require_once(judged: pd.DataFrame) -> None:
    twice = judged[judged["sample_id"].duplicated(keep=False)]
    if len(twice):
        first = twice[twice["sample_id"] == twice["sample_id"].iloc[0]]
        raise UsageError(
            f"--model: {first['sample_id'].iloc[0]} is tested by {' and '.join(first['run_id'])}. Several models must "
            "be the folds of one cross-validation."
        )


def _nothing_to_plant(archive: Path, skipped: dict[str, int]) -> str:
    reasons = ", ".join(f"{count} {word}" for word, count in skipped.items())
    return (
        f"{archive}: nothing can be planted in the Normal windows ({reasons}). Files must be {' or '.join(WRITABLE)}, "
        "and the catalogue must hold earthquakes within the Dobrovolsky radius of the stations."
    )


def _plant(loaded: LoadedModel, target: Target, site: _Site, store: Store, plan: RecoveryPlan) -> pd.DataFrame:
    """Plant each strength in one window and predict it; gives a row for each."""
    rng = window_stream(plan.seed, target.sample_id)
    strongest = plan.emission.model_copy(update={"snr": plan.snr[-1]})
    emission = emission_over(target, sample_earthquake(site.events, rng), site.reference_nt2, strongest, rng)
    relative = [snr / plan.snr[-1] for snr in plan.snr]
    twins = make_twins(target, emission, relative, DataConfig(**store.attributes["config"]), (strongest, plan.seed))
    place = int(np.flatnonzero(store.samples["sample_id"] == target.sample_id)[0])
    _require_same_spectrogram(store, place, twins)
    _, scaling = scaling_of(loaded, store, np.array([place]), None)
    copies = scaling.of(np.zeros(len(twins.power_db), dtype=np.int64))
    phasors = twins.phasors if loaded.model.config.input == "power_cross" else None
    p_event = 1.0 - predict_power(loaded, twins.power_db, phasors=phasors, scaling=copies)[0][:, 0]
    law = emission.power_nt2 / site.reference_nt2 / plan.snr[-1]  # of this magnitude at this distance
    return pd.DataFrame(
        {
            "sample_id": target.sample_id, "run_id": loaded.card.run_id, "station": target.station.code,
            "start_utc": target.start_utc, "event_id": emission.event_id, "magnitude": emission.magnitude,
            "magnitude_class": str(magnitude_classes(emission.magnitude)[0]), "distance_km": emission.distance_km,
            "azimuth_deg": emission.azimuth_deg, "snr_at_m5_100km": plan.snr, "snr": np.array(plan.snr) * law,
            "emission_nt2": np.array(plan.snr) * law * site.reference_nt2, "p_event_without": p_event[0],
            "p_event": p_event[1:], "reason": twins.reasons[1:],
        }
    )  # fmt: skip


def _require_same_spectrogram(store: Store, place: int, twins: Twins) -> None:
    stored = read_samples(store.power, place, place + 1)[0].astype(np.float32)
    again = twins.power_db[0].astype(np.float32)
    if np.array_equal(np.isnan(stored), np.isnan(again)):
        worst = float(np.nanmax(np.abs(stored - again), initial=0.0))
        if worst <= SAME_DB:
            return
    raise DataError(
        f"{store.samples['sample_id'].iat[place]}: its day file gives another spectrogram than the store holds. The "
        "store was made by another version of seismag; prepare it again."
    )
