"""The demonstration, what ``make demo`` runs: two studies, the earlier procedure, and one page that shows them."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from seismag.archive.survey import SIMULATION_FILE
from seismag.config import Config
from seismag.demonstration.figure import WindowView
from seismag.demonstration.page import DEMO_PAGE, FIGURES, draw_explained_window, write_demo_page
from seismag.demonstration.side_by_side import run_side_by_side
from seismag.demonstration.studies import (
    EarlierStudy,
    Say,
    StudyPlace,
    StudyResult,
    run_earlier_study,
    run_study,
)
from seismag.demonstration.text import describe_demo
from seismag.domain import UsageError
from seismag.files import is_left_over
from seismag.folder_lock import LOCK_NAME, folder_lock, one_writer
from seismag.training.crossval import BEST_MODEL, DEFAULT_MODEL, update_default_model
from seismag.training.run import SPLITS_DIR
from seismag.windows.store import SAMPLES_FILE, open_store

RESULTS = Path("demo")
ARCHIVE, NULL_ARCHIVE = RESULTS / "archive", RESULTS / "null_archive"
EARLIER = RESULTS / "earlier"


@dataclass(frozen=True)
class Demonstration:
    """Results of the two studies and of the earlier procedure on the archive without a signal."""

    injected: StudyResult
    null: StudyResult
    earlier: EarlierStudy
    replaced: str | None  # whose model DEFAULT_MODEL was before
    seconds: float

    def to_json(self) -> dict[str, object]:
        """The document of ``demo --json``."""
        files = {
            "page": RESULTS / DEMO_PAGE,
            "archive": self.injected.place.archive,
            "store": self.injected.place.store,
            "model": DEFAULT_MODEL,
            "null_archive": self.null.place.archive,
            "null_store": self.null.place.store,
            "predictions": self.injected.place.results / "predictions.parquet",
            "audit": self.injected.place.results / "audit" / "audit.html",
        }
        return {
            "injected": self.injected.to_json(),
            "null": self.null.to_json(),
            "earlier_procedure": self.earlier.to_json(),
            "seconds": round(self.seconds, 1),
            "dataset_id": self.injected.dataset_id,
            "samples": self.injected.samples,
            "metrics": self.injected.metrics,
            "files": {name: path.as_posix() for name, path in files.items()},
        }


def places(config: Config) -> tuple[StudyPlace, StudyPlace]:
    """Places of the injected and of the null study; the first store is ``data.store``."""
    store = Path(config.data.store)
    injected = StudyPlace(ARCHIVE, store, RESULTS / "injected")
    return injected, StudyPlace(NULL_ARCHIVE, store.with_name(f"{store.name}_null"), RESULTS / "null")


def null_config(config: Config) -> Config:
    """The same configuration without the emission; its split and its runs have names of their own."""
    emission = config.simulate.emission.model_copy(update={"snr": 0.0})
    changes = {
        "simulate": config.simulate.model_copy(update={"emission": emission}),
        "split": config.split.model_copy(update={"name": f"{config.split.name}_null"}),
        "train": config.train.model_copy(update={"run_name": f"{config.train.run_name}_null"}),
    }
    return config.model_copy(update=changes)


@one_writer(lambda _: RESULTS, "Wait until it ends, or work in another folder.", file=True)
def run_demo(
    config: Config, workers: int, say: Callable[[str], None], step: Callable[[int, int], None] | None = None
) -> Demonstration:
    """Run both studies and the earlier procedure, and write the page.

    What an earlier demonstration left in ``demo/``, in its stores and as its splits is replaced.

    Args:
        config: ``configs/demo.yaml``; the stores go to ``data.store`` and beside it.
        workers: with two or more the studies run side by side, each in a process.
        say: called with lines for people. step: called with the steps done, and all.

    Raises:
        UsageError: a folder that it would replace is not from a demonstration.
    """
    clock = time.perf_counter()
    clear(config)
    finished = 0

    def line(name: str, text: str) -> None:
        nonlocal finished
        finished += 1
        say(f"{time.perf_counter() - clock:5.0f} s  {name:8}  {text}")
        if step is not None:
            step(finished, STEPS)

    injected_place, null_place = places(config)
    found = run_side_by_side(
        {
            "injected": (_run_injected, (config, injected_place)),
            "null": (_run_null, (null_config(config), null_place)),
        },
        workers,
        line,
    )
    (injected, view), (null, earlier) = found["injected"], found["null"]
    replaced = update_default_model(injected.place.results / BEST_MODEL)
    write_demo_page(injected, null, earlier, view, config, RESULTS / DEMO_PAGE)
    line("both", f"one page with all results: {RESULTS / DEMO_PAGE}")
    demonstration = Demonstration(injected, null, earlier, replaced, time.perf_counter() - clock)
    for text in describe_demo(injected, null, earlier):
        say(text)
    if replaced is not None:
        say(f"{DEFAULT_MODEL} replaces that of {replaced}")
    say(f"{demonstration.seconds:.0f} s. Left: {DEFAULT_MODEL}, {injected.place.store}, {ARCHIVE}")
    return demonstration


STEPS = 10  # lines of both studies, of the earlier procedure and of the page


def _run_injected(config: Config, place: StudyPlace, say: Say) -> tuple[StudyResult, WindowView]:
    result = run_study(config, place, say)
    return result, draw_explained_window(result, config, RESULTS / FIGURES)


def _run_null(config: Config, place: StudyPlace, say: Say) -> tuple[StudyResult, EarlierStudy]:
    result = run_study(config, place, say)
    return result, run_earlier_study(config, place, EARLIER, say)


def clear(config: Config) -> None:
    """Remove what an earlier demonstration left.

    Raises:
        UsageError: as ``require_replaceable``; nothing is removed.
    """
    stores = [place.store for place in places(config)]
    for store in stores:
        require_replaceable(store)
    for leftover in (RESULTS, *stores):
        removed = leftover.with_name(f".{leftover.name}.removed")  # killed meanwhile, it leaves all or none of the name
        shutil.rmtree(removed, ignore_errors=True)
        if leftover.is_dir():
            with folder_lock(leftover, "Wait until it ends, or work in another folder."):
                leftover.rename(removed)
        shutil.rmtree(removed, ignore_errors=True)
    name = config.split.name
    for split in (name, f"{name}_null", f"{name}_null_earlier"):
        for leftover in SPLITS_DIR.glob(f"{split}.*"):
            leftover.unlink()


def _is_blank(folder: Path) -> bool:
    """Whether a folder contains no file, as that of a demonstration that was killed as it began."""
    entries = [path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()]
    return all(path.name == LOCK_NAME or is_left_over(path.name) for path in entries)


def require_replaceable(store: Path) -> None:
    """Refuse to remove what no demonstration made, in ``demo/`` or at the store's place.

    Raises:
        UsageError: something else, real data, or data of unknown origin lie there.
    """
    marked = any((path / SIMULATION_FILE).is_file() for path in (ARCHIVE, NULL_ARCHIVE))
    if RESULTS.exists() and not marked and not (RESULTS.is_dir() and _is_blank(RESULTS)):
        raise UsageError(f"{RESULTS}: exists and is not from a demonstration. Move it, or work in another folder.")
    if not store.exists() or (store.is_dir() and _is_blank(store)):
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
