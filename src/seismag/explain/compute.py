"""The explanation of a model: attribution maps, permutation importance of bands, and sanity tests of the maps."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd

from seismag import __version__
from seismag.arrays import Float32Array, FloatArray
from seismag.config import EvaluateConfig
from seismag.domain import DataError, SeismagError
from seismag.explain.embedding import MAX_ROWS, EmbeddingView, view_embeddings
from seismag.explain.gradcam import CLASS_TASKS, Attribution, Method, interpolate_maps
from seismag.explain.importance import LossInterval, measure_importance, skill_of_study
from seismag.explain.perturbation import attribute_in_batches
from seismag.explain.replacement import CLASSES, choose_replacements, list_occlusions, occlude, predict_windows
from seismag.explain.sanity import SanityInputs, check_attribution
from seismag.explain.subject import ExplanationPlan, StudyWindows, Subject, sample_windows
from seismag.files import shown_path
from seismag.parallel import Progress, silent
from seismag.scoring.clusters import find_clusters
from seismag.scoring.predictions import read_run_predictions
from seismag.scoring.study import read_metrics, read_own_embeddings
from seismag.spectrograms.bands import BANDS_MHZ
from seismag.training.inference import predict_with_embeddings
from seismag.training.run import UNKNOWN_TRAINING

STUDY_FACTOR = 4  # windows of the permutation importance per picture, at least ``plan.study_least``
NO_COMPONENTS = (
    "Grad-CAM gives one map for all channels and does not separate H, D and Z; the permutation importance does."
)
REPLACEMENT = (
    "Bins are replaced by those of another window of the same station, sampled from another event cluster or control "
    "block: measured values of the same sensor, not a constant. Information on the station itself is not removed."
)


@dataclass(frozen=True)
class ExplainedWindow:
    """A window with attribution maps."""

    facts: dict[str, Any]  # its entry of explanation.json
    maps: dict[str, Float32Array]  # by task (F, T) attribution, in units of the class score
    power_db: Float32Array  # (3, F, T), dB re 1 nT^2/Hz, NaN masked


@dataclass(frozen=True)
class Explanation:
    """Results of an explanation."""

    document: dict[str, Any]  # content of explanation.json
    windows: list[ExplainedWindow]  # the windows with maps
    frequency_hz: FloatArray  # (F,)
    time_s: FloatArray  # (T,) from the start of a window
    log_frequency: bool  # the frequency bins have logarithmic spacing
    view: EmbeddingView | None  # of the embeddings; None for too few windows


def explain_model(
    subject: Subject, plan: ExplanationPlan, spec: EvaluateConfig, progress: Progress = silent
) -> Explanation:
    """Explain a model on windows that were not used in its training.

    Raises:
        DataError: no station has two windows, or the label control does not fit the model.
    """
    rng = np.random.default_rng([spec.seed, 61])
    study = sample_windows(subject, plan.samples, max(STUDY_FACTOR * plan.samples, plan.study_least), rng)
    progress("attribution", 0, 1)
    x = study.windows.of(np.arange(study.n_pictures)).channels(subject.loaded)
    found = attribute_in_batches(subject.loaded.model, x, plan.method)
    progress("attribution", 1, 1)
    parts, features, skill = _band_importance(subject, study, spec, rng, progress)
    inputs = SanityInputs(subject, study, found, features, plan.method)
    sanity = check_attribution(inputs, plan.label_control, spec, progress)
    view, embeddings = _view_embeddings(subject, spec, progress)
    windows = _explained_windows(subject, study, found)
    n_groups = int(study.rows["split_group"].nunique())
    document: dict[str, Any] = {
        **_provenance(subject, plan.method, spec),
        "n_windows": len(windows), "n_study_windows": len(study.rows), "n_unseen_windows": study.n_unseen,
        "feature_map": list(found[CLASS_TASKS[0]].coarse.shape[1:]),
        "attribution_limits": {  # of the colour scale of all windows
            task: float(np.quantile(np.stack([window.maps[task] for window in windows]), 0.99)) for task in CLASS_TASKS
        },
        "skill": skill,
        "sanity": [result.to_json() for result in sanity],
        "band_importance": {
            "n_windows": len(study.rows), "n_groups": n_groups, "repeats": 1,
            "confidence": spec.confidence, "replaced_by": REPLACEMENT,
            "units": {"log_score": "nat", "balanced_accuracy": "1"}, "parts": parts,
        },
        "windows": [window.facts for window in windows],
        "embeddings": embeddings,
        "notes": [NO_COMPONENTS, REPLACEMENT],
    }  # fmt: skip
    document["warnings"] = [
        *_warnings_of_model(subject, document), *_warnings_of_run(subject), *_warnings_of_study(study, document, plan),
    ]  # fmt: skip
    log_frequency = subject.store.attributes["preprocessing"].get("frequency_rows") == "log"
    return Explanation(document, windows, subject.store.frequency_hz, subject.store.time_s, log_frequency, view)


def _band_importance(
    subject: Subject, study: StudyWindows, spec: EvaluateConfig, rng: np.random.Generator, progress: Progress
) -> tuple[list[dict[str, object]], Float32Array, dict[str, LossInterval]]:
    """Permutation importance, pooled features, and skill of the model in the windows of the study."""
    plain, features = predict_windows(subject.loaded, study.windows)
    replacement = choose_replacements(study.rows["station"].to_numpy(), study.rows["split_group"].to_numpy(), rng)
    parts = list_occlusions(subject.store.frequency_hz)
    occluded = occlude(subject.loaded, study.windows, parts, replacement, progress)
    described: list[dict[str, object]] = []
    for part, losses in zip(parts, measure_importance(study.rows, plain, occluded, spec), strict=True):
        low_mhz, high_mhz = BANDS_MHZ.get(part.band, (None, None))
        described.append({
            "band": part.band, "component": part.component, "low_mhz": low_mhz,
            "high_mhz": None if high_mhz == np.inf else high_mhz, "rows": int(part.rows.sum()), **losses,
        })  # fmt: skip
    return described, features, skill_of_study(study.rows, plain, spec)


def _view_embeddings(
    subject: Subject, spec: EvaluateConfig, progress: Progress
) -> tuple[EmbeddingView | None, dict[str, object]]:
    progress("embeddings", 0, 1)
    source = "embeddings.npy of the run, test set"
    kept = _kept_embeddings(subject)
    if kept is None:
        rng = np.random.default_rng([spec.seed, 62])
        some = np.sort(rng.permutation(subject.indices)[:MAX_ROWS])
        table, embeddings = predict_with_embeddings(subject.loaded, subject.store, some)
        kept, source = (table["sample_id"], embeddings), "predicted now"
    sample_ids, features = kept
    rows = subject.store.samples.set_index("sample_id").loc[list(sample_ids)].reset_index()
    try:
        view = view_embeddings(features, rows, spec.seed)
    except DataError as error:
        return None, {"undefined": str(error), "source": source}
    progress("embeddings", 1, 1)
    return view, {**view.document, "source": source, "n_unseen_windows": len(subject.indices)}


def _kept_embeddings(subject: Subject) -> tuple[pd.Series, Float32Array] | None:
    """Stored embeddings of the unseen windows; None if the run has none."""
    if subject.run is None:
        return None
    table_path, array_path = subject.run / "predictions.parquet", subject.run / "embeddings.npy"
    same_data = subject.loaded.card.dataset_id == subject.store.attributes["dataset_id"]
    if not (same_data and table_path.is_file() and array_path.is_file()):
        return None
    table = read_run_predictions(table_path)
    if set(table["run_id"].astype(str)) != {subject.loaded.card.run_id}:
        return None  # of another model
    features = read_own_embeddings(table_path, len(table))
    unseen = set(subject.store.samples["sample_id"].iloc[subject.indices])
    chosen = ((table["role"] == "test") & table["sample_id"].isin(unseen)).to_numpy()
    if not chosen.any():
        return None
    return table.loc[chosen, "sample_id"], features[chosen]


def _explained_windows(subject: Subject, study: StudyWindows, found: dict[str, Attribution]) -> list[ExplainedWindow]:
    probs, _ = predict_windows(subject.loaded, study.windows.of(np.arange(study.n_pictures)))
    size = study.windows.power_db.shape[2:]
    maps = {task: interpolate_maps(attribution.coarse, size) for task, attribution in found.items()}
    result = []
    for index in range(study.n_pictures):
        row = study.rows.iloc[index]
        name = re.sub(r"[^\w.-]", "_", row["sample_id"])
        facts = {
            "sample_id": row["sample_id"], "station": row["station"],
            "start_utc": f"{row['start_utc']:%Y-%m-%dT%H:%M:%SZ}", "split_group": row["split_group"],
            "origin": row.get("origin", "observed"), "file": f"windows/{name}.png",
            "p_event": float(1 - probs["magnitude"][index, 0]),
        }  # fmt: skip
        for task, attribution in found.items():
            facts |= {
                f"y_{task}": row[f"y_{task}"], f"predicted_{task}": CLASSES[task][attribution.target[index]],
                f"p_{task}": float(attribution.probability[index]),
                f"largest_attribution_{task}": float(maps[task][index].max()),
            }  # fmt: skip
        of_window = {task: maps[task][index] for task in found}
        result.append(ExplainedWindow(facts, of_window, study.windows.power_db[index].astype(np.float32)))
    return result


def _provenance(subject: Subject, method: Method, spec: EvaluateConfig) -> dict[str, object]:
    card, attributes = subject.loaded.card, subject.store.attributes
    return {
        "model_run_id": card.run_id, "model_path": shown_path(subject.loaded.path), "model_sha256": card.sha256,
        "backbone": card.backbone, "fold": card.fold, "split_name": card.split_name,
        "dataset_id": attributes["dataset_id"], "store": shown_path(subject.store.path),
        "data_origin": sorted({str(origin) for origin in subject.store.samples.get("origin", [])}),
        "method": method, "seed": spec.seed, "confidence": spec.confidence,
        "seismag_version": __version__, "created_utc": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
    }  # fmt: skip


def _warnings_of_model(subject: Subject, document: Mapping[str, Any]) -> list[str]:
    warnings = [UNKNOWN_TRAINING] if subject.loaded.card.has_unknown_training else []
    if document["data_origin"] == ["simulated"]:
        warnings.append("the data are simulated: signals in them were injected, or omitted, deliberately")
    if blind := [task for task, entry in document["skill"].items() if not entry["shown"]]:
        warnings.append(
            f"no skill in {', '.join(blind)} on these windows (balanced accuracy against a constant prediction): "
            "these maps explain noise"
        )
    return warnings


def _warnings_of_study(study: StudyWindows, document: Mapping[str, Any], plan: ExplanationPlan) -> list[str]:
    warnings, no_interval = [], find_clusters(study.rows).no_interval
    if failed := [result["name"] for result in document["sanity"] if result["verdict"] == "fail"]:
        warnings.append(f"sanity tests failed ({', '.join(failed)}): the maps must not be interpreted")
    if no_interval is not None:
        warnings.append(no_interval)
    if study.n_pictures < plan.samples:
        warnings.append(f"{plan.samples} windows requested, {study.n_pictures} can be explained")
    if study.n_alone:
        warnings.append(f"{study.n_alone} sampled windows are excluded: their station has no other window")
    return warnings


def _warnings_of_run(subject: Subject) -> list[str]:
    """Warning where metrics.json of the run shows no skill over the non-magnetic baselines."""
    path = None if subject.run is None else subject.run / "metrics.json"
    if path is None or not path.is_file():
        return []
    try:
        metrics = read_metrics(path, "")
        entries = {task: metrics[task]["skill_above_best_baseline"]["log_score"]["low"] for task in CLASSES}
    except (SeismagError, KeyError):
        return [f"{path}: contains no skill over the best baseline"]
    blind = [task for task, low in entries.items() if low is None or low <= 0]
    if not blind:
        return []
    return [f"metrics.json of the run shows no skill over the non-magnetic baselines in {', '.join(blind)} (log score)"]
