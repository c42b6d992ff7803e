"""The demonstration: the complete pipeline on a synthetic archive, what ``make demo`` runs."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from seismag.archive.survey import SIMULATION_FILE
from seismag.audit.compute import audit_predictions, write_audit
from seismag.audit.page import PAGE, audit_conclusion, write_audit_page
from seismag.audit.text import format_headline
from seismag.config import Config
from seismag.domain import UsageError
from seismag.files import short_path
from seismag.models.predict import predict_inputs, write_predictions
from seismag.models.predict_text import describe_predictions
from seismag.parallel import Progress
from seismag.runs import Run
from seismag.scoring.text import format_summary
from seismag.simulate import simulate_archive
from seismag.training.crossval import DEFAULT_MODEL, update_default_model
from seismag.training.run import SPLITS_DIR, evaluate_model, headline, run_training
from seismag.windows.inputs import read_inputs
from seismag.windows.prepare import prepare_store
from seismag.windows.store import SAMPLES_FILE, open_store

ARCHIVE = Path("demo/archive")
RESULTS = Path("demo")
AUDIT = RESULTS / "audit"


def run_demo(config: Config, workers: int, progress: Progress, say: Callable[[str], None]) -> dict[str, Any]:
    """Simulate, prepare, train, evaluate, audit and predict.

    What an earlier demonstration left in ``demo/``, in its store and as its split is replaced.

    Args:
        config: ``configs/demo.yaml``; the store goes to ``data.store``.
        workers: processes for simulation and preparation.
        progress: called with stage, done, total.
        say: called with lines for people.

    Returns:
        Plain values for JSON: seconds, dataset_id, samples, metrics (the headline scores), files.

    Raises:
        UsageError: a folder that it would replace is not from a demonstration.
    """
    clock = time.perf_counter()
    store = Path(config.data.store)
    _clear(config, store)
    say(f"1 of 6  simulate {len(config.simulate.stations)} stations, {config.simulate.days} days")
    simulate_archive(config.simulate, ARCHIVE, workers, progress)
    say("2 of 6  prepare: day files to labelled spectrograms")
    inputs = read_inputs(
        ARCHIVE, ARCHIVE / "stations.csv", [ARCHIVE / "catalogue.csv"], ARCHIVE / "kp.csv", ARCHIVE / "dst.csv"
    )
    prepared = prepare_store(inputs, store, config.data, workers, None, progress)
    say(_indent(prepared.describe()))
    say(f"3 of 6  train {config.model.backbone}, {config.train.epochs} epochs")
    run = run_training(config, store)
    if (replaced := update_default_model(run.best_model)) is not None:
        say(f"        {DEFAULT_MODEL} replaces that of {replaced}")
    say("4 of 6  evaluate on the test windows (synthetic data with injected emissions: skill is expected)")
    metrics, _ = evaluate_model(DEFAULT_MODEL, store, config.evaluate, RESULTS / "evaluation", progress)
    say(_indent(format_summary(metrics)))
    say("5 of 6  audit: what else could explain the scores")
    say(_indent(_audit(run, store, config)))
    say("6 of 6  predict one day file")
    day_file = sorted(ARCHIVE.glob("*/*.gz"))[-1]
    predictions = predict_inputs(DEFAULT_MODEL, [day_file], ARCHIVE / "stations.csv")
    write_predictions(predictions, RESULTS / "predictions.csv")
    say(_indent(describe_predictions(predictions)))
    seconds = time.perf_counter() - clock
    say(f"done in {seconds:.0f} s. Written:")
    files = _files(store, run, day_file)
    for path, what in files.values():
        say(f"  {path}  {what}")
    return {
        "seconds": round(seconds, 1),
        "dataset_id": prepared.dataset_id,
        "samples": prepared.n_samples,
        "metrics": headline(metrics),
        "files": {name: str(path) for name, (path, _) in files.items()},
    }


def _clear(config: Config, store: Path) -> None:
    """Remove what an earlier demonstration left."""
    require_replaceable(store)
    for leftover in (RESULTS, store):
        shutil.rmtree(leftover, ignore_errors=True)
    for leftover in SPLITS_DIR.glob(f"{config.split.name}.*"):
        leftover.unlink()


def _files(store: Path, run: Run, day_file: Path) -> dict[str, tuple[Path, str]]:
    return {
        "archive": (ARCHIVE, "day files, stations.csv, catalogue.csv, kp.csv, dst.csv, truth.parquet"),
        "store": (store, "the store: spectrograms, samples.parquet, rejected.csv"),
        "run": (short_path(run.path), "the run: history, predictions, metrics, figures"),
        "model": (DEFAULT_MODEL, "the model, with its model card beside it"),
        "evaluation": (RESULTS / "evaluation", "metrics.json and figures"),
        "predictions": (RESULTS / "predictions.csv", f"predictions for {day_file.name}"),
        "audit": (AUDIT / PAGE, "the audit report, beside audit.json"),
    }


def _audit(run: Run, store: Path, config: Config) -> str:
    """Audit the predictions of the run and write the report; its conclusion in a few lines."""
    audit = audit_predictions(run.predictions, store, None, config)
    write_audit(audit, AUDIT)
    page = write_audit_page(audit, AUDIT)
    return f"{format_headline(audit)}\n{audit_conclusion(audit)}\npage        {page}"


def require_replaceable(store: Path) -> None:
    """Refuse to remove what no demonstration made, in ``demo/`` or at the store's place.

    Raises:
        UsageError: something else, real data, or data of unknown origin lie there.
    """
    if RESULTS.exists() and not (ARCHIVE / SIMULATION_FILE).is_file():
        raise UsageError(f"{RESULTS}: exists and is not from a demonstration. Move it, or work in another folder.")
    if not store.exists():
        return
    remedy = "the demonstration will not replace it. Move it, or choose another data.store."
    if (store / SAMPLES_FILE).is_file():
        found = open_store(store)
        origins = {found.attributes["origin"]} if "origin" in found.attributes else set(found.samples["origin"])
        if not origins:
            raise UsageError(f"data.store {store}: contains no sample that states whether its data are real; {remedy}")
        if origins != {"simulated"}:
            raise UsageError(f"data.store {store}: holds real data; {remedy}")
    elif not (store / ".work").is_dir():
        raise UsageError(f"data.store {store}: exists and is not a store; {remedy}")
    elif not any(store.glob(f".work/*/{SIMULATION_FILE}")):
        raise UsageError(f"data.store {store}: holds unfinished work that is not from simulated data; {remedy}")


def _indent(text: str) -> str:
    return "\n".join(f"        {line}" if line else "" for line in text.splitlines())
