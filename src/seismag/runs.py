"""Run folders ``<runs_dir>/<run_name>_<YYYYmmdd_HHMMSS>/`` (UTC) and their provenance; none is overwritten."""

from __future__ import annotations

import importlib.metadata
import logging
import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import yaml
from pydantic import Field

from seismag import __version__
from seismag.config import Config, load_config
from seismag.config.tree import read_config_tree
from seismag.documents import Document, check_columns, check_document, read_document, read_frame
from seismag.domain import DataError, SeismagError, UsageError
from seismag.files import short_path, utc_text, write_json_atomic, write_text_atomic
from seismag.folder_lock import folder_lock, has_writer
from seismag.text import one_line

Status = Literal["running", "complete", "failed"]

SMALL_VARIABLE = "SEISMAG_SMALL"
SMALL_BACKBONE = "convnext_atto"
SMALL_EPOCHS = 1
_PACKAGES = (
    "numpy", "scipy", "pandas", "pyarrow", "xarray", "zarr", "dask", "scikit-learn",
    "torch", "torchvision", "timm", "lightning", "pydantic",
)  # fmt: skip
_FOLDER_ATTEMPTS = 600  # of _FOLDER_WAIT_S: as many as 60 runs of one name may start in the same second
_FOLDER_WAIT_S = 0.1
_SECOND, _SECOND_DIGITS = "%Y%m%d_%H%M%S", 15  # at the end of a folder's name
DIED = "its process ended without a message (killed, a full disk, or the power failed)"
log = logging.getLogger(__name__)


class _Provenance(Document):
    """provenance.json, as far as it is read."""

    run_id: str
    status: str
    created_utc: str | None = None
    dataset_id: str | None = None
    split_name: str | None = None
    split_certificate_sha256: str | None = None
    fold: int | None = None
    precision: Literal["32-true", "16-mixed", "bf16-mixed"] | None = None
    resumed_after_epochs: list[int] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)
    warnings: list[str] = Field(default_factory=list)
    error: str | None = None
    git: Mapping[str, Any] | None = None
    packages: dict[str, str | None] = Field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """A run folder; ``run_id`` is its name."""

    path: Path

    @property
    def run_id(self) -> str:
        """Name of the folder."""
        return self.path.name

    @property
    def best_model(self) -> Path:
        """Weights of the epoch with the best validation loss."""
        return self.path / "best_model.pth"

    @property
    def latest_checkpoint(self) -> Path:
        """Checkpoint from which an interrupted training resumes."""
        return self.path / "checkpoint_latest.pth"

    @property
    def predictions(self) -> Path:
        """Table of predictions for the validation and the test set."""
        return self.path / "predictions.parquet"

    def config(self) -> Config:
        """Read the resolved configuration."""
        return load_config(self.path / "config.yaml")

    def provenance(self) -> dict[str, Any]:
        """Read ``provenance.json``."""
        return read_document(self.path / "provenance.json", _Provenance, "Restore it, or train again.")


def read_settings(path: Path) -> Mapping[str, Any]:
    """Read config.yaml of a run as plain values, without defaults of later versions (SeismagError: it is damaged)."""
    settings = read_config_tree(path, [])
    check_document(dict[str, dict[str, Any] | list[Any]], settings, path, "Restore it.")
    return settings


def read_history(path: Path) -> pd.DataFrame:
    """Read history.csv of a training, one row an epoch.

    Raises:
        DataError: it cannot be read, has no epoch or no validation loss, or a cell that is no number.
    """
    remedy = "Restore it, or train again."
    table = read_frame(path, {"epoch": "number", "val_loss": "number"}, remedy)
    check_columns(table, {str(name): "number?" for name in table.columns}, path, remedy)
    if table.empty:
        raise DataError(f"{path}: has no epoch. {remedy}")
    return table


def make_run_folder(
    runs_dir: str | Path, run_name: str, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> Run:
    """Make a new, empty run folder; for the arguments and errors see ``create_run``."""
    runs_dir = Path(runs_dir)
    for _ in range(_FOLDER_ATTEMPTS):
        path = runs_dir.resolve() / f"{run_name}_{clock().strftime(_SECOND)}"
        try:
            path.mkdir(parents=True)
            return Run(path)
        except FileExistsError:
            if runs_dir.exists() and not runs_dir.is_dir():
                raise SeismagError(f"{runs_dir}: a file, not a folder. Change train.runs_dir.") from None
            time.sleep(_FOLDER_WAIT_S)
        except OSError as error:
            raise SeismagError(f"{path}: cannot be made ({error.strerror}). Change train.runs_dir.") from error
    raise SeismagError(f"{path}: exists, and so did every later name tried. Change train.run_name.")


def create_run(
    runs_dir: str | Path,
    run_name: str,
    config: Config,
    *,
    dataset_id: str | None = None,
    split_certificate_sha256: str | None = None,
    notes: tuple[str, ...] = (),
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Run:
    """Make a new run folder with ``config.yaml`` and ``provenance.json``, status ``running``.

    Args:
        runs_dir: parent folder, made when absent.
        run_name: first part of the folder's name.
        config: the resolved configuration; its split name, fold and seeds go into the provenance.
        dataset_id: identifier of the store.
        split_certificate_sha256: ``file_sha256`` of the split report.
        notes: sentences for the provenance, for example that of ``shrink_for_trial``.
        clock: current time; where another run has this second, the next one is awaited.

    Raises:
        SeismagError: the folder cannot be made.
    """
    run = make_run_folder(runs_dir, run_name, clock)
    begin_run(run, config, dataset_id, split_certificate_sha256, notes)
    return run


def begin_run(
    run: Run, config: Config, dataset_id: str | None, split_certificate_sha256: str | None, notes: tuple[str, ...]
) -> None:
    """Write ``config.yaml`` and ``provenance.json`` of a new run; for the arguments see ``create_run``."""
    created = datetime.strptime(run.run_id[-_SECOND_DIGITS:], _SECOND)
    write_text_atomic(run.path / "config.yaml", config_yaml(config))
    provenance = {
        "run_id": run.run_id,
        "status": "running",
        "created_utc": utc_text(created),
        "command_line": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "dataset_id": dataset_id,
        "split_name": config.split.name,
        "fold": config.split.fold,
        "split_certificate_sha256": split_certificate_sha256,
        "seeds": {name: getattr(config, name).seed for name in ("data", "split", "train", "evaluate")},
        "notes": list(notes),
        "seismag_version": __version__,
        "git": git_state(Path(__file__)),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": _package_versions(),
    }
    write_json_atomic(run.path / "provenance.json", provenance)


@contextmanager
def locked_run(run: Run) -> Iterator[Run]:
    """Be the only one who writes into the folder of a run; a new one in which nothing was recorded is removed."""
    try:
        with folder_lock(run.path, "Wait until it ends, or start a new run."):
            yield run
    finally:
        if not (run.path / "provenance.json").exists():
            (run.path / "config.yaml").unlink(missing_ok=True)
            with suppress(OSError):  # not empty
                run.path.rmdir()


def read_run(path: str | Path) -> Run:
    """Open an existing run folder.

    Raises:
        SeismagError: there is no such folder, or it is not a run.
    """
    run = Run(Path(path).resolve())
    for name in ("config.yaml", "provenance.json"):
        if not (run.path / name).is_file():
            raise SeismagError(f"{path}: not a run folder ({name} is missing). `seismag train` makes one.")
    return run


def update_provenance(run: Run, **facts: Any) -> None:
    """Add facts to ``provenance.json``, or replace those of the same name."""
    write_json_atomic(run.path / "provenance.json", {**run.provenance(), **facts})


def finish_run(run: Run, status: Status = "complete", error: str | None = None) -> None:
    """Record how a run ended and when."""
    update_provenance(run, status=status, error=error, finished_utc=utc_text(datetime.now(UTC)))


@contextmanager
def tracked(run: Run) -> Iterator[Run]:
    """Mark a run complete when the block ends, failed (with the reason) when it raises.

    The error of the block is the one that is raised, also where it cannot be recorded, as on a full disk.
    """
    try:
        yield run
        finish_run(run)
    except BaseException as error:
        try:
            finish_run(run, "failed", f"{type(error).__name__}: {error}")
        except (OSError, SeismagError) as second:
            log.warning("%s: its failure could not be recorded (%s)", run.run_id, one_line(second, 200))
        raise


def present_provenance(run: Run) -> dict[str, Any]:
    """Read ``provenance.json``; a run that is ``running`` there, but that no process has any more, is ``failed``."""
    facts = run.provenance()
    if facts["status"] == "running" and not has_writer(run.path):
        facts |= {"status": "failed", "error": DIED}
    return facts


def mark_dead_runs(runs_dir: str | Path) -> None:
    """Record ``failed`` in each run of a folder whose process has died, with a warning.

    Of one that died before its first record only the temporary files are removed.
    """
    for folder in Path(runs_dir).glob("*_????????_??????"):
        if not ((folder / "provenance.json").exists() or has_writer(folder)):
            with suppress(SeismagError, OSError), folder_lock(folder):
                pass
    for path in sorted(Path(runs_dir).glob("*/provenance.json")):
        run = Run(path.parent)
        with suppress(SeismagError, OSError):  # damaged, or nothing can be written in it
            if run.provenance()["status"] != "running" or has_writer(run.path):
                continue
            with folder_lock(run.path):
                if run.provenance()["status"] == "running":  # still
                    update_provenance(run, status="failed", error=DIED)
                    log.warning("%s: %s; 'seismag train --resume %s' goes on", run.run_id, DIED, short_path(run.path))


def shrink_for_trial(config: Config, environ: Mapping[str, str]) -> tuple[Config, str | None]:
    """Apply ``SEISMAG_SMALL=1``: the smallest backbone and one epoch, for trials and tests.

    Returns:
        The configuration, and a sentence for log and provenance (None where nothing changed).

    Raises:
        UsageError: the variable is neither empty, 0 nor 1.
    """
    value = environ.get(SMALL_VARIABLE, "")
    if value in ("", "0"):
        return config, None
    if value != "1":
        raise UsageError(f"{SMALL_VARIABLE}={value}: write 1 to shrink model and epochs, or leave it out.")
    epochs = min(config.train.epochs, SMALL_EPOCHS)
    needs_weights = config.train.scope != "all" and config.train.init_from is None
    scope = "all" if needs_weights else config.train.scope  # nothing is gained by freezing random weights
    small = config.model_copy(
        update={
            "model": config.model.model_copy(update={"backbone": SMALL_BACKBONE, "pretrained": False}),
            "train": config.train.model_copy(update={"epochs": epochs, "scope": scope}),
        }
    )
    sentence = (
        f"{SMALL_VARIABLE}=1: {SMALL_BACKBONE} without pretrained weights in place of {config.model.backbone}, "
        f"{epochs} of {config.train.epochs} epochs. The scores say nothing about the real configuration."
    )
    return small, sentence


def config_yaml(config: Config) -> str:
    """Write a configuration as YAML that ``load_config`` reads back unchanged."""
    return yaml.dump(config.model_dump(mode="json"), Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def git_state(file: Path) -> dict[str, str | bool] | None:
    """Commit of the checkout that tracks ``file`` and whether files differ from it; None outside a checkout."""
    try:
        _git(file, "ls-files", "--error-unmatch", file.name)
        return {"commit": _git(file, "rev-parse", "HEAD").strip(), "dirty": bool(_git(file, "status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        return None


def _git(file: Path, *arguments: str) -> str:
    command = ["git", "-C", str(file.resolve().parent), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout


def _package_versions() -> dict[str, str]:
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


class _Dumper(yaml.SafeDumper):
    """Quotes text that YAML 1.2 could take for a number (``1e4``); PyYAML itself knows YAML 1.1 only."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    plain = re.match(r"[A-Za-z_]", text) is not None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if plain else '"')


_Dumper.add_representer(str, _represent_text)
