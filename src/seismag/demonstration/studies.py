"""One study of the demonstration: from an archive that is simulated to the conclusion of its audit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from seismag.archive.survey import list_files
from seismag.audit.checks.skill import HEADLINE
from seismag.audit.compute import audit_predictions, write_audit
from seismag.audit.page import Conclusion, conclusion_of, write_audit_page
from seismag.audit.result import Audit
from seismag.config import Config
from seismag.domain import DataError
from seismag.estimate import Estimate
from seismag.legacy.earlier_procedure import run_earlier_procedure
from seismag.parallel import silent
from seismag.simulate import simulate_archive
from seismag.training.crossval import Crossval, run_crossval
from seismag.training.run import headline
from seismag.windows.inputs import read_inputs
from seismag.windows.prepare import Prepared, prepare_store

Say = Callable[[str], None]


@dataclass(frozen=True)
class StudyPlace:
    """Where a study leaves its files."""

    archive: Path
    store: Path
    results: Path  # predictions.parquet, metrics.json, audit/, best_model.pth


@dataclass(frozen=True)
class Direction:
    """Angle between the predicted azimuth and that of the epicentre, degrees; by chance 90 on average."""

    mean_error_deg: float | None
    low: float | None
    high: float | None

    @property
    def is_recovered(self) -> bool:
        """Whether the interval lies below the mean error of chance."""
        return self.high is not None and self.high < CHANCE_ERROR_DEG

    def to_json(self) -> dict[str, object]:
        """The entry ``direction`` of ``demo --json``."""
        return {**asdict(self), "chance_deg": CHANCE_ERROR_DEG, "recovered": self.is_recovered}


CHANCE_ERROR_DEG = 90.0


@dataclass(frozen=True)
class StudyResult:
    """What a study found.

    Attributes:
        conclusion: of the audit.
        skill: station-stratified ROC AUC of detection over the best non-magnetic baseline.
        p_value: of the audit's test of this skill; None where it is inconclusive.
        n_events, n_controls: event clusters and control blocks of the test windows.
        metrics: headline scores, as in a model card.
    """

    place: StudyPlace
    conclusion: Conclusion
    skill: Estimate
    baseline: str
    p_value: float | None
    direction: Direction
    n_events: int
    n_controls: int
    n_files: int
    samples: int
    dataset_id: str
    failed_checks: tuple[str, ...]
    metrics: Mapping[str, object]

    def to_json(self) -> dict[str, object]:
        """An entry of ``demo --json``; ``upper_limit`` is the upper end of the interval of the skill."""
        skill = {"value": self.skill.value, "low": self.skill.low, "high": self.skill.high}
        return {
            "conclusion": self.conclusion,
            "skill": skill,
            "p_value": self.p_value,
            "upper_limit": self.skill.high,
            "direction": self.direction.to_json(),
            "baseline": self.baseline,
            "event_clusters": self.n_events,
            "control_blocks": self.n_controls,
            "failed_checks": list(self.failed_checks),
            "dataset_id": self.dataset_id,
            "samples": self.samples,
        }


@dataclass(frozen=True)
class EarlierStudy:
    """What the earlier procedure reports of an archive, and the blocking checks that its table fails."""

    accuracy: float
    n_test: int
    failed_checks: tuple[str, ...]

    def to_json(self) -> dict[str, object]:
        """The entry ``earlier_procedure`` of ``demo --json``."""
        return {**asdict(self), "failed_checks": list(self.failed_checks)}


def run_study(config: Config, place: StudyPlace, say: Say) -> StudyResult:
    """Simulate an archive, prepare, cross-validate and audit it; all in this process.

    Raises:
        DataError: a fold failed.
    """
    simulate_archive(config.simulate, place.archive, 1, silent)
    n_files = len([path for path in list_files(place.archive) if path.suffix == ".gz"])
    say(f"simulated {n_files} day files of {len(config.simulate.stations)} stations")
    prepared = _prepare(config, place)
    n_normal = prepared.classes.get("Normal", 0)
    say(f"prepared {prepared.n_samples} windows, {prepared.n_samples - n_normal} before earthquakes")
    state = run_crossval(config, place.store, None, place.results, 1)
    require_complete(state)
    say(f"trained {state.n_folds} networks, each tested on earthquakes new to it")
    audit = audit_predictions(place.results / "predictions.parquet", place.store, None, config)
    write_audit(audit, place.results / "audit")
    write_audit_page(audit, place.results / "audit")
    n_blocking = sum(test.blocking for test in audit.tests)
    say(f"audited: {len(audit.failed)} of {n_blocking} integrity checks failed")
    return summarise(place, prepared, audit, n_files)


def run_earlier_study(config: Config, place: StudyPlace, out: Path, say: Say) -> EarlierStudy:
    """Run the earlier procedure on the store of a study, and audit its table.

    Args:
        out: folder, created: the store of copies and the audit.
    """
    found = run_earlier_procedure(config, place.store, out / "store")
    audit = audit_predictions(found.predictions, found.store, None, config)
    write_audit(audit, out / "audit")
    claim = f"Accuracy {100 * found.accuracy:.1f} % in {found.n_test} test windows."
    write_audit_page(audit, out / "audit", claim)
    failed = tuple(test.name for test in audit.failed)
    say(f"the earlier procedure on these files: accuracy {100 * found.accuracy:.1f} %")
    return EarlierStudy(found.accuracy, found.n_test, failed)


def summarise(place: StudyPlace, prepared: Prepared, audit: Audit, n_files: int) -> StudyResult:
    """Take from an audit what the demonstration shows."""
    metrics = audit.metrics or {}
    skill = metrics["detection"]["skill_above_best_baseline"]["auc_within_station"]
    error = metrics["azimuth"]["mean_error_deg"]
    test = audit.test(HEADLINE)
    return StudyResult(
        place=place,
        conclusion=conclusion_of(audit),
        skill=Estimate(skill["value"], skill["low"], skill["high"], skill["n"]),
        baseline=skill["baseline"],
        p_value=None if test is None else test.p_value,
        direction=Direction(error["value"], error["low"], error["high"]),
        n_events=metrics["n_event_groups"],
        n_controls=metrics["n_normal_groups"],
        n_files=n_files,
        samples=prepared.n_samples,
        dataset_id=prepared.dataset_id,
        failed_checks=tuple(failed.name for failed in audit.failed),
        metrics=headline(metrics),
    )


def require_complete(state: Crossval) -> None:
    """Refuse a cross-validation without a joint table (DataError)."""
    if state.metrics is None:
        reasons = "; ".join(f"fold {fold}: {reason}" for fold, reason in sorted(state.failed.items()))
        raise DataError(f"{state.results}: not every fold could be trained ({reasons}). Correct this and run it again.")


def _prepare(config: Config, place: StudyPlace) -> Prepared:
    archive = place.archive
    tables = [archive / name for name in ("stations.csv", "catalogue.csv", "kp.csv", "dst.csv")]
    inputs = read_inputs(archive, tables[0], [tables[1]], tables[2], tables[3])
    return prepare_store(inputs, place.store, config.data, 1, None)
