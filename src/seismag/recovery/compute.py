"""The injection-recovery test: emissions of known SNR, injected into control windows that a model has not seen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from seismag.arrays import FloatArray
from seismag.config import EmissionConfig
from seismag.domain import DataError, UsageError, magnitude_classes
from seismag.files import atomic_path, shown_path, write_checked_json
from seismag.folder_lock import one_writer
from seismag.parallel import Progress, silent
from seismag.recordings.additions import WRITABLE
from seismag.recovery.bound import WITHOUT, summarise_bound
from seismag.recovery.efficiency import false_alarm_threshold
from seismag.recovery.figure import draw_recovery
from seismag.recovery.matched import DETECTORS, KnownBand, fit_known_band
from seismag.recovery.network import (
    NetworkRecovery,
    NoNetworkRecovery,
    days_of_several_stations,
    most_days,
    summarise_network,
)
from seismag.recovery.result import nearest_snr, summarise_recovery
from seismag.runs import read_run
from seismag.simulate.injected_windows import (
    Target,
    Twins,
    emission_over,
    events_at_stations,
    find_targets,
    make_twins,
    measure_backgrounds,
    reference_of,
    require_same_inputs,
    sample_earthquake,
    spread_over_days,
    window_stream,
)
from seismag.simulate.survey import mean_between
from seismag.table_files import write_csv
from seismag.training.checkpoint import LoadedModel, check_preprocessing, load_checkpoint
from seismag.training.inference import predict_power, predict_store, scaling_of
from seismag.training.run import unseen_windows
from seismag.windows.inputs import Inputs
from seismag.windows.schema import prepared_with
from seismag.windows.store import Store, open_store, read_samples

_EVALUATED = ["sample_id", "run_id", "station", "start_utc", "split_group", "p_event", "threshold", "alarm"]
_Site = tuple[pd.DataFrame, float]  # of a station: earthquakes in range, and the background that snr refers to
SAME_DB = 0.1  # a window prepared again may differ from the store by this


@dataclass(frozen=True)
class RecoveryPlan:
    """Settings of an injection-recovery test.

    Attributes:
        snr: signal-to-noise ratios at M 5 and 100 km, ascending; ``emission`` scales them to other earthquakes.
        windows: control windows that get emissions, of all models together.
        false_alarm_fraction: fraction of the control windows that may exceed the threshold.
        emission: section ``simulate.emission``; its own ``snr`` is not used.
        seed: of the choice of windows and earthquakes, and of the waveforms.

    Raises:
        UsageError: an SNR is not above 0.
    """

    snr: tuple[float, ...]
    windows: int
    false_alarm_fraction: float
    emission: EmissionConfig
    seed: int

    def __post_init__(self) -> None:
        if not self.snr or not all(0 < value < math.inf for value in self.snr):
            raise UsageError(f"recover.snr {list(self.snr)}: each is a ratio of powers above 0, e.g. [0.3, 1, 3, 10].")


@dataclass(frozen=True)
class Recovery:
    """Predictions with and without emissions.

    Attributes:
        injections: a row for each emission: sample_id, run_id, station, start_utc, event_id, magnitude,
            magnitude_class, distance_km, azimuth_deg, snr_at_m5_100km, snr (of this earthquake), emission_nt2,
            p_event_without, p_event, reason (why ``prepare`` rejects the window with the emission, then it is not
            recovered; else ""), background_nt2 (of the window), threshold, recovered; and of each detector that knows
            the band the statistic, and the same without emission (``within_window``, ``within_window_without`` ...).
        normal: the control windows, which define the thresholds: columns ``_EVALUATED``, and the statistics.
        earthquakes: one event window of each earthquake cluster, the same columns.
        reference_nt2: background of each station, to which snr refers.
        skipped: control windows without an injection, by reason.
        days: control windows of all days with several stations, one a station; by day.
        at_all_stations: injections into all windows of some of these days, like ``injections``.
        dataset_id: of the store. models_sha256: by run_id.
    """

    injections: pd.DataFrame
    normal: pd.DataFrame
    earthquakes: pd.DataFrame
    reference_nt2: dict[str, float]
    skipped: dict[str, int]
    days: list[list[Target]]
    at_all_stations: pd.DataFrame | None
    dataset_id: str
    models_sha256: dict[str, str]


@dataclass(frozen=True)
class _Chosen:
    """Windows that get emissions, each with its background in nT²; their stations; skipped windows by reason.

    ``reachable`` are all windows of these stations that could get one.
    """

    windows: list[tuple[Target, float]]
    sites: dict[str, _Site]
    skipped: dict[str, int]
    reachable: list[Target]


def recover(
    models: Sequence[Path], store_path: Path, inputs: Inputs, plan: RecoveryPlan, progress: Progress = silent
) -> Recovery:
    """Inject emissions into control windows that the models have not seen, and predict them with and without.

    Args:
        models: checkpoints or run folders; several: the folds of one cross-validation, each with its own threshold.
        store_path: the store of the windows, made of ``inputs``.
        inputs: archive, stations, catalogue.
        plan: settings.
        progress: called with stage, done, total.

    Raises:
        UsageError: a window tested by two models, or models of different studies.
        DataError: store and inputs do not belong together, or no window can get an emission.
        SeismagError: a model of other preprocessing.
    """
    store = open_store(store_path)
    loaded = [load_checkpoint(read_run(path).best_model if path.is_dir() else path) for path in models]
    _require_one_study(loaded)
    for model in loaded:
        check_preprocessing(model.card, store.attributes["preprocessing"])
    require_same_inputs(store, inputs)
    tables = [_evaluate(model, store, plan.false_alarm_fraction, progress) for model in loaded]
    evaluated = pd.concat(tables, ignore_index=True)
    twice = evaluated[evaluated["sample_id"].duplicated(keep=False)]
    if len(twice):
        first = twice[twice["sample_id"] == twice["sample_id"].iloc[0]]
        raise UsageError(
            f"--model: {first['sample_id'].iloc[0]} is tested by {' and '.join(first['run_id'])}. Several models must "
            "be the folds of one cross-validation."
        )
    normal = evaluated[evaluated["y_magnitude"] == "Normal"].set_index("sample_id", drop=False)
    cross = all(model.model.config.input == "power_cross" for model in loaded)
    positions = pd.Index(store.samples["sample_id"]).get_indexer(pd.Index(normal["sample_id"]))
    progress("known band", 0, 1)
    known_band, statistics = fit_known_band(store, positions, plan.emission, cross)
    progress("known band", 1, 1)
    normal = normal.assign(**statistics)
    chosen = _choose(store, inputs, normal["sample_id"], plan, progress)
    study = _Study(store, {model.card.run_id: model for model in loaded}, known_band, chosen.sites, normal, plan)
    background = {target.sample_id: value for target, value in chosen.windows}
    injections = study.inject([target for target, _ in chosen.windows], "injections", progress)
    injections["background_nt2"] = injections["sample_id"].map(background)
    days = days_of_several_stations(chosen.reachable, plan.seed)
    at_all = study.inject(most_days(days, plan.windows), "injections by day", progress) if days else None
    earthquakes = one_window_a_cluster(evaluated[evaluated["y_magnitude"] != "Normal"], store.samples)
    reference = {code: reference_nt2 for code, (_, reference_nt2) in chosen.sites.items()}
    controls = normal.reset_index(drop=True)[[*_EVALUATED, *DETECTORS]]
    store.require_same()
    made_of = (str(store.attributes["dataset_id"]), {model.card.run_id: model.card.sha256 for model in loaded})
    return Recovery(injections, controls, earthquakes[_EVALUATED], reference, chosen.skipped, days, at_all, *made_of)


def _require_one_study(models: Sequence[LoadedModel]) -> None:
    """Refuse models that are not the folds of one cross-validation (UsageError)."""
    first, *others = (model.card for model in models)
    for card in others:
        keys = ("dataset_id", "split_certificate_sha256", "model", "augment", "normalisation", "scope")
        differing = [key for key in keys if card.document.get(key) != first.document.get(key)]
        if differing:
            raise UsageError(
                f"--model: {first.run_id} and {card.run_id} differ in {', '.join(differing)}. Several models must be "
                "the folds of one cross-validation."
            )


def _choose(store: Store, inputs: Inputs, sample_ids: pd.Series, plan: RecoveryPlan, progress: Progress) -> _Chosen:
    """Choose the windows that get emissions."""
    targets, skipped = find_targets(store, inputs, sample_ids)
    events = events_at_stations(inputs, plan.emission, targets)
    reachable = [target for target in targets if len(events[target.station.code])]
    if len(reachable) < len(targets):
        skipped["no_event_in_range"] = len(targets) - len(reachable)
    chosen = spread_over_days(reachable, plan.windows, plan.seed)
    backgrounds = measure_backgrounds(chosen, plan.emission, progress)
    power = {code: reference_of(chosen, backgrounds, code) for code in events}
    sites = {code: (events[code], power[code]) for code in events if np.isfinite(power[code])}
    usable = [
        (target, mean_between(background, target.start_utc, target.end_utc))
        for target, background in zip(chosen, backgrounds, strict=True)
        if target.station.code in sites
    ]
    if len(usable) < len(chosen):
        skipped["no_background"] = len(chosen) - len(usable)
    if not usable:
        reasons = ", ".join(f"{count} {word}" for word, count in skipped.items())
        raise DataError(
            f"{inputs.archive}: no Normal window can get an emission ({reasons}). Files must be "
            f"{' or '.join(WRITABLE)}, and the catalogue must contain earthquakes within the Dobrovolsky radius of "
            "the stations."
        )
    return _Chosen(usable, sites, skipped, [target for target in reachable if target.station.code in sites])


def recovery_study(
    models: Sequence[Path], store_path: Path, inputs: Inputs, plan: RecoveryPlan, progress: Progress = silent
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Run an injection-recovery test; gives the content of recovery.json and of recovery.csv."""
    found = recover(models, store_path, inputs, plan, progress)
    progress("curve", 0, 1)
    result = summarise_recovery(found.injections, found.normal, found.earthquakes, plan.seed)
    fraction, injections = plan.false_alarm_fraction, found.injections.assign(nearest_snr=nearest_snr(found.injections))
    bound = summarise_bound(injections, found.normal, result.curve, fraction, plan.seed)
    network: NetworkRecovery | NoNetworkRecovery = NoNetworkRecovery("no UTC day has control windows at two stations")
    if found.at_all_stations is not None:
        network = summarise_network(found.at_all_stations, found.normal, found.days, fraction, plan.seed)
    progress("curve", 1, 1)
    thresholds = found.normal.groupby("run_id", sort=False)["threshold"]
    facts = {
        "sentence": result.sentence,
        "models": [
            {"run_id": run, "sha256": found.models_sha256[run], "threshold": float(rows.iloc[0]), "n": len(rows)}
            for run, rows in thresholds
        ],
        "archive": shown_path(inputs.archive),
        "data": shown_path(store_path),
        "dataset_id": found.dataset_id,
        "snr": list(plan.snr),
        "false_alarms_asked": plan.false_alarm_fraction,
        "seed": plan.seed,
        "emission": plan.emission.model_dump(mode="json", exclude={"snr"}),
        "windows": int(found.injections["sample_id"].nunique()),
        "skipped": found.skipped,
        "background_nt2": found.reference_nt2,
        "warnings": _warnings(plan, found.skipped),
    }
    further = {"matched": bound.to_json(), "network": network.to_json()}
    return facts | result.to_json() | further, found.injections


@one_writer()
def write_recovery(document: dict[str, object], injections: pd.DataFrame, out: Path) -> None:
    """Write recovery.json, recovery.csv and recovery.png."""
    out.mkdir(parents=True, exist_ok=True)
    with atomic_path(out / "recovery.csv") as temporary:
        write_csv(injections, temporary)
    draw_recovery(document, out / "recovery.png")
    write_checked_json(out / "recovery.json", document)


def _warnings(plan: RecoveryPlan, skipped: dict[str, int]) -> list[str]:
    warnings = [f"{count} Normal windows cannot get an emission: {reason}" for reason, count in skipped.items()]
    if plan.emission.magnitude_exponent == 0 and plan.emission.distance_exponent == 0:
        warnings.append(
            "the emission has the same power at every magnitude and distance (simulate.emission.magnitude_exponent "
            "and distance_exponent are 0), so efficiency by magnitude and distance differs by chance only"
        )
    return warnings


def one_window_a_cluster(evaluated: pd.DataFrame, samples: pd.DataFrame) -> pd.DataFrame:
    """Select the event window of each cluster with the largest Es, then the shortest lead time; no aftershocks."""
    columns = [name for name in ("es", "lead_hours", "is_mainshock") if name in samples]
    table = evaluated.merge(samples[["sample_id", *columns]], on="sample_id", validate="one_to_one")
    if "is_mainshock" in table:
        table = table[table["is_mainshock"].astype(bool)]
    if {"es", "lead_hours"} <= set(table):
        table = table.sort_values(["es", "lead_hours", "sample_id"], ascending=[False, True, True])
    return table.drop_duplicates("split_group").reset_index(drop=True)


def _evaluate(loaded: LoadedModel, store: Store, fraction: float, progress: Progress) -> pd.DataFrame:
    """Predict the windows that a model has not seen; adds p_event, threshold, alarm."""
    indices, _ = unseen_windows(loaded, store)
    normal = store.samples["magnitude_class"].to_numpy()[indices] == "Normal"
    if not normal.any():
        raise DataError(
            f"{store.path}: contains no Normal window that {loaded.path} has not seen, so no emission can be injected "
            "and no threshold set. Prepare a store with data.controls=all, or take the model of another fold."
        )
    table = predict_store(loaded, store, indices, progress=progress)
    p_event = 1.0 - table["p_magnitude_Normal"].to_numpy()
    threshold = false_alarm_threshold(p_event[(table["y_magnitude"] == "Normal").to_numpy()], fraction)
    return table.assign(p_event=p_event, threshold=threshold, alarm=p_event > threshold)


@dataclass(frozen=True)
class _Study:
    """What an injection needs: store, models by run, detectors, stations, control windows by sample_id, settings."""

    store: Store
    models: dict[str, LoadedModel]
    known_band: KnownBand
    sites: dict[str, _Site]
    normal: pd.DataFrame
    plan: RecoveryPlan

    def inject(self, targets: Sequence[Target], stage: str, progress: Progress) -> pd.DataFrame:
        """Inject an emission at each SNR into windows and predict them; a row for each window and SNR."""
        rows = []
        for done, target in enumerate(targets):
            progress(stage, done, len(targets))
            rows.append(self._inject_into(target))
        progress(stage, len(targets), len(targets))
        table = pd.concat(rows, ignore_index=True)
        return table.assign(recovered=(table["p_event"] > table["threshold"]) & (table["reason"] == ""))

    def _inject_into(self, target: Target) -> pd.DataFrame:
        store, plan, evaluation = self.store, self.plan, self.normal.loc[target.sample_id]
        loaded = self.models[evaluation["run_id"]]
        events, reference_nt2 = self.sites[target.station.code]
        rng = window_stream(plan.seed, target.sample_id)
        strongest = plan.emission.model_copy(update={"snr": plan.snr[-1]})
        emission = emission_over(target, sample_earthquake(events, rng), reference_nt2, strongest, rng)
        relative = [snr / plan.snr[-1] for snr in plan.snr]
        twins = make_twins(
            target, emission, relative, prepared_with(store.attributes, store.path), (strongest, plan.seed)
        )
        index = int(np.flatnonzero(store.samples["sample_id"] == target.sample_id)[0])
        _require_same_spectrogram(store, index, twins)
        p_event = _predict_twins(loaded, store, index, twins)
        statistics = self.known_band.score(twins.power_db, twins.phasors, target.station.code, target.day)
        scale = emission.power_nt2 / reference_nt2 / plan.snr[-1]  # of this magnitude at this distance
        table = pd.DataFrame(
            {
                "sample_id": target.sample_id, "run_id": loaded.card.run_id, "station": target.station.code,
                "start_utc": target.start_utc, "event_id": emission.event_id, "magnitude": emission.magnitude,
                "magnitude_class": str(magnitude_classes(emission.magnitude)[0]), "distance_km": emission.distance_km,
                "azimuth_deg": emission.azimuth_deg, "snr_at_m5_100km": plan.snr, "snr": np.array(plan.snr) * scale,
                "emission_nt2": np.array(plan.snr) * scale * reference_nt2, "p_event_without": p_event[0],
                "p_event": p_event[1:], "reason": twins.reasons[1:],
            }
        )  # fmt: skip
        for name, values in statistics.items():
            table = table.assign(**{f"{name}{WITHOUT}": values[0], name: values[1:]})
        return table.assign(threshold=evaluation["threshold"])


def _predict_twins(loaded: LoadedModel, store: Store, index: int, twins: Twins) -> FloatArray:
    """P(Event) (1 + S,) of a window without and with the emission."""
    _, scaling = scaling_of(loaded, store, np.array([index]), None)
    copies = scaling.of(np.zeros(len(twins.power_db), dtype=np.int64))
    phasors = twins.phasors if loaded.model.config.input == "power_cross" else None
    return np.asarray(1.0 - predict_power(loaded, twins.power_db, phasors=phasors, scaling=copies)[0][:, 0])


def _require_same_spectrogram(store: Store, index: int, twins: Twins) -> None:
    stored = read_samples(store.power, index, index + 1)[0].astype(np.float32)
    again = twins.power_db[0].astype(np.float32)
    if np.array_equal(np.isnan(stored), np.isnan(again)):
        worst = float(np.nanmax(np.abs(stored - again), initial=0.0))
        if worst <= SAME_DB:
            return
    raise DataError(
        f"{store.samples['sample_id'].iat[index]}: its day file gives another spectrogram than the store. The "
        "store was made by another version of seismag; prepare it again."
    )
