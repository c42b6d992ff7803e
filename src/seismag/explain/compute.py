"""The explanation of a model: attribution maps, permutation importance of bands, and sanity tests of the maps."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seismag import __version__
from seismag.config import EvaluateConfig
from seismag.domain import AZIMUTH_CLASSES, MAGNITUDE_CLASSES, DataError
from seismag.estimate import CheckResult
from seismag.explain.embedding import MAX_ROWS, EmbeddingView, view_embeddings
from seismag.explain.gradcam import CLASS_TASKS, Attribution, Method
from seismag.explain.importance import Losses, StudySkill, measure_importance, skill_of_study
from seismag.explain.occlusion import Occlusion, list_occlusions, occlude
from seismag.explain.perturbation import attribute_windows
from seismag.explain.replacement import choose_replacements, predict_windows
from seismag.explain.sanity import MIN_CLUSTERS
from seismag.explain.sanity_compute import SanityInputs, check_attribution
from seismag.explain.subject import ExplanationPlan, StudyWindows, Subject, sample_windows
from seismag.files import shown_path
from seismag.parallel import Progress, silent
from seismag.spectrograms.bands import BANDS_MHZ
from seismag.training.inference import predict_with_embeddings
from seismag.training.run import UNKNOWN_TRAINING

CLASSES = {"magnitude": MAGNITUDE_CLASSES, "azimuth": AZIMUTH_CLASSES}
STUDY_FACTOR = 4  # windows of the permutation importance per picture, at least ``plan.study_least``
REPEATS = 1  # replacement windows for each window; more windows lower the error faster than more repeats
NO_COMPONENTS = (
    "Grad-CAM gives one map for all channels and does not separate H, D and Z; the permutation importance does."
)
REPLACEMENT = (
    "Bins are replaced by those of another window of the same station, sampled from another event cluster or control "
    "block: measured values of the same sensor, not a constant. Information on the station itself is not removed."
)


@dataclass(frozen=True)
class TaskAnswer:
    """True and predicted class of a window, and its attribution map.

    Attributes:
        y, predicted: classes.
        p: probability of the predicted class.
        map: (F, T) attribution, in units of the class score.
    """

    y: str
    predicted: str
    p: float
    map: NDArray[np.float32]


@dataclass(frozen=True)
class ExplainedWindow:
    """A window with attribution maps.

    Attributes:
        sample_id, station, start_utc, split_group, origin: as in the store.
        file: of its picture.
        tasks: answers by task.
        power_db: (3, F, T), dB re 1 nT^2/Hz, NaN masked.
    """

    sample_id: str
    station: str
    start_utc: str
    split_group: str
    origin: str
    file: str
    tasks: dict[str, TaskAnswer]
    power_db: NDArray[np.float32]

    def to_json(self) -> dict[str, str | float]:
        """Give the entry of explanation.json."""
        facts: dict[str, str | float] = {
            "sample_id": self.sample_id, "station": self.station, "start_utc": self.start_utc,
            "split_group": self.split_group, "origin": self.origin, "file": self.file,
        }  # fmt: skip
        for task, answer in self.tasks.items():
            facts |= {
                f"y_{task}": answer.y, f"predicted_{task}": answer.predicted, f"p_{task}": answer.p,
                f"largest_attribution_{task}": float(answer.map.max()),
            }  # fmt: skip
        return facts


@dataclass(frozen=True)
class Explanation:
    """Results of an explanation.

    Attributes:
        document: content of explanation.json.
        windows: the windows with maps.
        frequency_hz: (F,).
        time_s: (T,) from the start of a window.
        log_frequency: the frequency bins have logarithmic spacing.
        view: of the embeddings; None for too few windows.
    """

    document: dict[str, Any]
    windows: list[ExplainedWindow]
    frequency_hz: NDArray[np.float64]
    time_s: NDArray[np.float64]
    log_frequency: bool
    view: EmbeddingView | None


def explain_model(
    subject: Subject, plan: ExplanationPlan, spec: EvaluateConfig, progress: Progress = silent
) -> Explanation:
    """Explain a model on windows that were not used in its training.

    Args:
        subject: model and store, of ``open_subject``.
        plan: number of windows, and the method.
        spec: bootstrap, confidence and seed.
        progress: called with stage, done, total.

    Raises:
        DataError: no station has two windows, or the label control does not fit the model.
    """
    rng = np.random.default_rng([spec.seed, 61])
    study = sample_windows(subject, plan.samples, max(STUDY_FACTOR * plan.samples, plan.study_least), rng)
    pictures = np.arange(study.n_pictures)
    progress("attribution", 0, 1)
    found = attribute_windows(subject.loaded, study.windows.of(pictures), plan.method)
    progress("attribution", 1, 1)
    parts, features, skill = _band_importance(subject, study, spec, rng, progress)
    sanity = check_attribution(SanityInputs(subject, study, found, features), plan, spec, progress)
    view, embeddings = _view_embeddings(subject, spec, progress)
    windows = _explained_windows(study, found)
    n_groups = int(study.rows["split_group"].nunique())
    document: dict[str, Any] = {
        **_provenance(subject, plan.method, spec),
        "n_windows": len(windows), "n_study_windows": len(study.rows), "n_unseen_windows": study.n_unseen,
        "feature_map": list(found[CLASS_TASKS[0]].coarse.shape[1:]),
        "attribution_limits": {task: _colour_limit([w.tasks[task].map for w in windows]) for task in CLASS_TASKS},
        "skill": {task: asdict(entry) for task, entry in skill.items()},
        "sanity": [result.to_json() for result in sanity],
        "band_importance": {
            "n_windows": len(study.rows), "n_groups": n_groups, "repeats": REPEATS,
            "confidence": spec.confidence, "replaced_by": REPLACEMENT,
            "units": {"log_score": "nat", "balanced_accuracy": "1"}, "parts": parts,
        },
        "windows": [window.to_json() for window in windows],
        "embeddings": embeddings,
        "notes": [NO_COMPONENTS, REPLACEMENT],
    }  # fmt: skip
    warnings = [UNKNOWN_TRAINING] if subject.loaded.card.has_unknown_training else []
    if document["data_origin"] == ["simulated"]:
        warnings.append("the data are simulated: signals in them were injected, or omitted, deliberately")
    document["warnings"] = [
        *warnings, *_warnings_of_skill(skill), *_warnings_of_run(subject), *_warnings_of_maps(sanity),
        *_warnings_of_windows(study, n_groups, plan),
    ]  # fmt: skip
    log_frequency = subject.store.attributes["preprocessing"].get("frequency_rows") == "log"
    return Explanation(document, windows, subject.store.frequency_hz, subject.store.time_s, log_frequency, view)


def _band_importance(
    subject: Subject, study: StudyWindows, spec: EvaluateConfig, rng: np.random.Generator, progress: Progress
) -> tuple[list[dict[str, object]], NDArray[np.float32], dict[str, StudySkill]]:
    """Permutation importance, pooled features, and skill of the model in the windows of the study."""
    magnitude, azimuth, features = predict_windows(subject.loaded, study.windows)
    plain = {"magnitude": magnitude, "azimuth": azimuth}
    station, group = study.rows["station"].to_numpy(), study.rows["split_group"].to_numpy()
    replacements = np.stack([choose_replacements(station, group, rng) for _ in range(REPEATS)])
    parts = list_occlusions(subject.store.frequency_hz)
    occluded = occlude(subject.loaded, study.windows, parts, replacements, progress)
    probabilities = [{"magnitude": entry.magnitude, "azimuth": entry.azimuth} for entry in occluded]
    losses = measure_importance(study.rows, plain, probabilities, spec)
    described = [_describe_part(part, loss) for part, loss in zip(parts, losses, strict=True)]
    return described, features, skill_of_study(study.rows, plain, spec)


def _describe_part(part: Occlusion, losses: Losses) -> dict[str, object]:
    low_mhz, high_mhz = BANDS_MHZ.get(part.band, (None, None))
    by_task = {task: {score: asdict(loss) for score, loss in scores.items()} for task, scores in losses.items()}
    return {
        "band": part.band, "component": part.component, "low_mhz": low_mhz,
        "high_mhz": None if high_mhz == np.inf else high_mhz, "rows": int(part.rows.sum()), **by_task,
    }  # fmt: skip


def _view_embeddings(
    subject: Subject, spec: EvaluateConfig, progress: Progress
) -> tuple[EmbeddingView | None, dict[str, object]]:
    progress("embeddings", 0, 1)
    kept = _kept_embeddings(subject)
    if kept is None:
        rng = np.random.default_rng([spec.seed, 62])
        some = np.sort(rng.permutation(subject.indices)[:MAX_ROWS])
        table, features = predict_with_embeddings(subject.loaded, subject.store, some)
        kept, source = (table["sample_id"], features), "predicted now"
    else:
        source = "embeddings.npy of the run, test set"
    sample_ids, features = kept
    rows = subject.store.samples.set_index("sample_id").loc[list(sample_ids)].reset_index()
    try:
        view = view_embeddings(features, rows, spec.seed)
    except DataError as error:
        return None, {"undefined": str(error), "source": source}
    progress("embeddings", 1, 1)
    return view, {**view.to_json(), "source": source, "n_unseen_windows": len(subject.indices)}


def _kept_embeddings(subject: Subject) -> tuple[pd.Series, NDArray[np.float32]] | None:
    """Stored embeddings of the unseen windows; None if the run has none."""
    if subject.run is None:
        return None
    table_path, array_path = subject.run / "predictions.parquet", subject.run / "embeddings.npy"
    same_data = subject.loaded.card.dataset_id == subject.store.attributes["dataset_id"]
    if not (same_data and table_path.is_file() and array_path.is_file()):
        return None
    table, features = pd.read_parquet(table_path, columns=["sample_id", "role"]), np.load(array_path)
    unseen = set(subject.store.samples["sample_id"].iloc[subject.indices])
    chosen = ((table["role"] == "test") & table["sample_id"].isin(unseen)).to_numpy()
    if len(features) != len(table) or not chosen.any():
        return None
    return table.loc[chosen, "sample_id"], features[chosen]


def _explained_windows(study: StudyWindows, found: dict[str, Attribution]) -> list[ExplainedWindow]:
    size = study.windows.power_db.shape[2:]
    maps = {task: attribution.on_grid(size[0], size[1]) for task, attribution in found.items()}
    result = []
    for index in range(study.n_pictures):
        row = study.rows.iloc[index]
        tasks = {
            task: TaskAnswer(
                row[f"y_{task}"], CLASSES[task][attribution.target[index]], float(attribution.probability[index]),
                maps[task][index],
            )
            for task, attribution in found.items()
        }  # fmt: skip
        result.append(
            ExplainedWindow(
                row["sample_id"], row["station"], f"{row['start_utc']:%Y-%m-%dT%H:%M:%SZ}", row["split_group"],
                row.get("origin", "observed"), f"windows/{_file_name(str(row['sample_id']))}.png", tasks,
                study.windows.power_db[index].astype(np.float32),
            )
        )  # fmt: skip
    return result


def _file_name(sample_id: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in sample_id)


def _colour_limit(maps: list[NDArray[np.float32]]) -> float:
    """Limit of the colour scale of all windows: the 99 % quantile of all bins."""
    return float(np.quantile(np.stack(maps), 0.99))


def _provenance(subject: Subject, method: Method, spec: EvaluateConfig) -> dict[str, object]:
    card, attributes = subject.loaded.card, subject.store.attributes
    return {
        "model_run_id": card.run_id, "model_path": shown_path(subject.loaded.path), "model_sha256": card.sha256,
        "backbone": card.backbone, "fold": card.fold, "split_name": card.split_name,
        "dataset_id": attributes["dataset_id"], "store": shown_path(subject.store.path),
        "data_origin": sorted({str(origin) for origin in subject.store.samples.get("origin", [])}),
        "method": method, "seed": spec.seed, "bootstrap": spec.bootstrap, "confidence": spec.confidence,
        "seismag_version": __version__, "created_utc": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
    }  # fmt: skip


def _warnings_of_skill(skill: dict[str, StudySkill]) -> list[str]:
    blind = [task for task, entry in skill.items() if not entry.shown]
    if not blind:
        return []
    return [
        f"no skill in {', '.join(blind)} on these windows (balanced accuracy against a constant prediction): "
        "these maps explain noise"
    ]


def _warnings_of_maps(sanity: list[CheckResult]) -> list[str]:
    failed = [result.name for result in sanity if result.verdict == "fail"]
    return [f"sanity tests failed ({', '.join(failed)}): the maps must not be interpreted"] if failed else []


def _warnings_of_windows(study: StudyWindows, n_groups: int, plan: ExplanationPlan) -> list[str]:
    warnings = []
    if n_groups < MIN_CLUSTERS:
        warnings.append(
            f"{n_groups} event clusters and control blocks: intervals of fewer than {MIN_CLUSTERS} are too narrow"
        )
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
        metrics = json.loads(path.read_text(encoding="utf-8"))
        entries = {task: metrics[task]["skill_above_best_baseline"]["log_score"]["low"] for task in CLASSES}
    except (OSError, ValueError, KeyError, TypeError):
        return [f"{path}: contains no skill over the best baseline"]
    blind = [task for task, low in entries.items() if low is None or low <= 0]
    if not blind:
        return []
    return [f"metrics.json of the run shows no skill over the non-magnetic baselines in {', '.join(blind)} (log score)"]
