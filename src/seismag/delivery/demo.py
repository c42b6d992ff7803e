"""The whole line on a simulated archive: what ``make demo`` runs."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from seismag.config import Config
from seismag.data.archive import SIMULATION_FILE
from seismag.data.inputs import read_inputs
from seismag.data.parallel import Progress
from seismag.data.prepare import prepare_store
from seismag.data.simulate import simulate_archive
from seismag.data.store import SAMPLES_FILE, open_store
from seismag.delivery.prediction import describe_predictions, predict_inputs, write_predictions
from seismag.domain import UsageError
from seismag.evaluation.summary import format_summary
from seismag.learning.checkpoint import copy_checkpoint
from seismag.runs import short_path
from seismag.validation.training_run import SPLITS_DIR, judge_model, run_training

ARCHIVE = Path("demo/archive")
RESULTS = Path("demo")
MODEL = Path("models/convnext_loeo_best.pth")


def run_demo(config: Config, workers: int, progress: Progress) -> Iterator[str]:
    """Simulate, prepare, train, evaluate and predict; gives lines to print, and ends by naming the files.

    What an earlier demonstration left in ``demo/``, in its store and as its split is replaced.

    Args:
        config: ``configs/demo.yaml``; the store goes to ``data.store``.
        workers: processes for simulation and preparation.
        progress: called with stage, done, total.
    """
    clock = time.perf_counter()
    store = Path(config.data.store)
    if store.exists() and not ((store / SAMPLES_FILE).is_file() or (store / ".work").is_dir()):
        raise UsageError(f"data.store {store}: exists and is not a store; the demonstration will not replace it.")
    if RESULTS.exists() and not (ARCHIVE / SIMULATION_FILE).is_file():
        raise UsageError(f"{RESULTS}: exists and is not from a demonstration. Move it, or work in another folder.")
    if (store / SAMPLES_FILE).is_file() and set(open_store(store).samples["origin"]) != {"simulated"}:
        raise UsageError(f"data.store {store}: holds real data; the demonstration will not replace it.")
    for leftover in (RESULTS, store):
        shutil.rmtree(leftover, ignore_errors=True)
    for leftover in SPLITS_DIR.glob(f"{config.split.name}.*"):
        leftover.unlink()
    yield f"1 of 5  simulate {len(config.simulate.stations)} stations, {config.simulate.days} days"
    simulate_archive(config.simulate, ARCHIVE, workers, progress)
    yield "2 of 5  prepare: day files to labelled spectrograms"
    inputs = read_inputs(
        ARCHIVE, ARCHIVE / "stations.csv", [ARCHIVE / "catalogue.csv"], ARCHIVE / "kp.csv", ARCHIVE / "dst.csv"
    )
    yield _indent(prepare_store(inputs, store, config.data, workers, None, progress).describe())
    yield f"3 of 5  train {config.model.backbone}, {config.train.epochs} epochs"
    run = run_training(config, store)
    copy_checkpoint(run.best_model, MODEL)
    yield "4 of 5  evaluate on the test windows (simulated data: a planted emission, so skill is expected)"
    metrics, _ = judge_model(MODEL, store, config.evaluate, RESULTS / "evaluation")
    yield _indent(format_summary(metrics))
    yield "5 of 5  predict one day file"
    day_file = sorted(ARCHIVE.glob("*/*.gz"))[-1]
    predictions = predict_inputs(MODEL, [day_file], ARCHIVE / "stations.csv")
    write_predictions(predictions, RESULTS / "predictions.csv")
    yield _indent(describe_predictions(predictions))
    yield f"done in {time.perf_counter() - clock:.0f} s. Written:"
    for path, what in (
        (ARCHIVE, "day files, stations.csv, catalogue.csv, kp.csv, dst.csv, truth.parquet"),
        (store, "the store: spectrograms, samples.parquet, rejected.csv"),
        (short_path(run.path), "the run: history, predictions, metrics, figures"),
        (MODEL, "the model, with its card beside it"),
        (RESULTS / "evaluation", "metrics.json and figures"),
        (RESULTS / "predictions.csv", f"predictions for {day_file.name}"),
    ):
        yield f"  {path}  {what}"


def _indent(text: str) -> str:
    return "\n".join(f"        {line}" if line else "" for line in text.splitlines())
