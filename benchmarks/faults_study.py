"""A study of some seconds, its commands in processes that can be killed, and what their results contain.

A command runs in a fork of this process, which has imported everything: an interpreter of its own would import for
seconds, and a thousand of them for hours.
"""

from __future__ import annotations

import hashlib
import importlib
import multiprocessing
import os
import re
import runpy
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pandas as pd

IMPORTED = ("seismag.cli", "seismag.training.crossval", "seismag.report.page", "lightning", "timm", "torchvision")
SETTINGS = """
simulate:
  days: {days}
  stations: [GTO, ALR]
  seed: 3
  collected: {collected}
  earthquakes: {{per_station_year: 20, spacing_d: 4, min_magnitude: 5.0, max_magnitude: 6.8, branching_ratio: 0.1}}
  emission: {{snr: 30}}
data: {{n_bins: 36, segment_s: 600, step_s: 600, controls: all}}
split: {{n_folds: 2, name: loeo}}
model: {{backbone: convnext_atto, depths: [1, 1, 1, 1], widths: [8, 8, 16, 16], head_width: 16}}
train: {{epochs: 2, batch_size: 32, warmup_epochs: 0, run_name: small, runs_dir: runs}}
evaluate: {{bootstrap: 100}}
recover: {{snr: [3, 300], windows: 4}}
audit: {{permutations: 999, placebos: 20, partitions: 1, folds: 2}}
"""
LONGEST_S = 300.0
FORK = multiprocessing.get_context("fork")
_RUN_TIME = re.compile(r"_\d{8}_\d{6}")
_CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.symlink", "os.utime"}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC
_TEXTS = {".json", ".jsonl", ".yaml", ".csv", ".md", ".txt", ".html", ".tex", ".bib", ".svg", ".xml", ".cff", ".log"}
_NO_RESULT = ("events.out.tfevents", ".lock", "access_log", "tried_configurations", "checkpoint_latest", ".output-")
_MEASURED = ("COMPARISON_WITH_OTHER_MODELS.md", "manuscript.pdf", "report.html", "cost.tex", "cost.csv")  # latency
_OF_THIS_RUN = (  # what two undisturbed runs of one command do not have in common
    (re.compile(r"20(2[6-9]|[3-9]\d)-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?( ?UTC|Z)?)?"), "TIME"),
    (re.compile(r"\b[0-9a-f]{16,64}\b"), "SUM"),
    (re.compile(r"D:\d{14}[^)]*"), "TIME"),
    (re.compile(r'("?[a-z_]*(seconds|minutes|per_s|_ms|_mb|memory)[a-z_]*"?: )[-+.\de]+'), r"\1NUMBER"),
)


@dataclass(frozen=True)
class Command:
    """A command of the small study.

    Attributes:
        words: its arguments; {study} is the study, {here} the folder of a trial, {out} that of the results.
        result: file or folder below {out} that is compared.
        copies: folders of the study that it changes: each trial has its own.
        pooled: it takes --workers.
    """

    words: str
    result: str
    copies: tuple[str, ...] = ()
    pooled: bool = False


TABLES = "--stations {0}/stations.csv --catalog {0}/catalogue.csv --kp {0}/kp.csv --dst {0}/dst.csv"
OF_DAYS = TABLES.format("{study}/days")
MODEL, SET = "{study}/results/best_model.pth", "--config {study}/study.yaml"
COMMANDS = {
    "simulate": Command("simulate --config {study}/days.yaml --out {out}/archive", "archive", pooled=True),
    "prepare": Command(f"prepare --archive {{study}}/days {OF_DAYS} {SET} --out {{out}}/store", "store", pooled=True),
    "train": Command(f"train {SET} --data {{here}}/store --set train.runs_dir={{out}}/runs", "runs", ("store",)),
    "crossval": Command(
        f"crossval {SET} --data {{here}}/store --set train.runs_dir={{out}}/runs --out {{out}}/results", "results",
        ("store",), pooled=True,
    ),
    "evaluate": Command(
        f"evaluate --model {MODEL} --data {{here}}/store {SET} --out {{out}}/evaluation", "evaluation", ("store",)
    ),
    "report": Command(
        "report {here}/results --data {here}/store --out {out}/publication", "publication", ("store", "results", "runs")
    ),
    "models fetch": Command("models fetch {served}/results/best_model.pth --out {out}/model.pth", "model.pth"),
    "fetch catalog": Command(
        "fetch catalog --service {service} --start 2021-01-01 --end 2021-02-01 --out {out}/events.xml", "events.xml"
    ),
    "predict": Command(f"predict --model {MODEL} {{here}}/store --out {{out}}/table.csv", "table.csv", ("store",)),
    "inject": Command(
        f"inject {{study}}/real --catalog {{study}}/archive/catalogue.csv {SET} --out {{out}}/injected",
        "injected",
    ),
    "export": Command("export {here}/store --out {out}/pictures", "pictures", ("store",)),
    "alarms": Command(
        f"alarms --predictions {{study}}/results/predictions.parquet {SET} --out {{out}}/alarms", "alarms"
    ),
    "audit": Command(
        f"audit --predictions {{study}}/results/predictions.parquet {SET} --out {{out}}/audit", "audit"
    ),
    "explain": Command(
        f"explain --model {MODEL} --data {{here}}/store {SET} --samples 2 --out {{out}}/explanation", "explanation",
        ("store",),
    ),
    "recover": Command(
        f"recover --model {MODEL} --archive {{study}}/archive --data {{here}}/store --catalog "
        f"{{study}}/archive/catalogue.csv --stations {{study}}/archive/stations.csv {SET} --out {{out}}/recovery",
        "recovery", ("store",),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Ended:
    """How a command ended; ``code`` is None where it was killed."""

    code: int | None
    text: str
    seconds: float
    changes: int
    hung: bool = False


class Running:
    """A command in a fork of this process.

    Args:
        words: arguments of ``seismag``.
        folder: where it runs; its output goes to a file there.
        stop_at: number of the change of a file before which it kills itself; 0: none.
    """

    def __init__(self, words: list[str], folder: Path, stop_at: int = 0) -> None:
        self.log = folder / f".output-{time.monotonic_ns()}"
        self.began = time.monotonic()
        self.process = FORK.Process(target=be_seismag, args=(words, folder, self.log, stop_at))
        self.process.start()

    def kill(self, group: bool) -> None:
        """End it at once, with its workers or without them."""
        if group and self.process.pid is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()

    def wait(self, longest_s: float = LONGEST_S) -> Ended:
        """Wait until it has ended; after ``longest_s`` it hangs and is killed."""
        self.process.join(longest_s)
        hung = self.process.is_alive()
        if hung:
            self.kill(group=True)
            self.process.join()
        code = self.process.exitcode
        text = self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""
        changes = re.findall(r"^changes (\d+)$", text, re.MULTILINE)
        self.log.unlink(missing_ok=True)
        seconds = time.monotonic() - self.began
        return Ended(None if code is None or code < 0 else code, text, seconds, int([0, *changes][-1]), hung)


def be_seismag(words: list[str], folder: Path, log: Path, stop_at: int) -> NoReturn:
    """Run the command in this process, and end it."""
    os.setsid()
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(out, stream)
    sys.stdout, sys.stderr = (os.fdopen(stream, "w", buffering=1, closefd=False) for stream in (1, 2))
    os.chdir(folder)
    sys.argv = ["seismag", *words]
    counted = _count_changes(stop_at)
    code: object = 0
    try:
        runpy.run_module("seismag", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
        code = 70
    print(f"\nchanges {counted()}")
    sys.exit(code if isinstance(code, int) else int(code is not None))


def _count_changes(stop_at: int) -> Callable[[], int]:
    """Count what this process changes in the file system, and end it before change number ``stop_at``."""
    count = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        if event == "open":
            mode, flags = arguments[1], arguments[2]
            is_change = bool(isinstance(flags, int) and flags & _WRITES) or (
                isinstance(mode, str) and not set(mode).isdisjoint("wax+")
            )
        else:
            is_change = event in _CHANGES
        if is_change:
            count += 1
            if count == stop_at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    return lambda: count


def import_everything() -> None:
    """Import what the commands import, once."""
    for name in IMPORTED:
        importlib.import_module(name)
    import torch

    torch.set_num_threads(1)


def words_of(command: Command, study: Path, here: Path, out: Path, workers: int = 1) -> list[str]:
    """The arguments of a command in the folder of a trial."""
    address = (study / "address").read_text(encoding="utf-8")
    names = {"study": study, "here": here, "out": out, "served": address, "service": address}
    words = [word.format(**names) for word in command.words.split()]
    return [*words, "--workers", str(workers)] if workers > 1 else words


def new_folder(command: Command, study: Path, here: Path) -> None:
    """Make the folder of a trial, with what the command changes."""
    shutil.rmtree(here, ignore_errors=True)
    here.mkdir(parents=True)
    for name in command.copies:
        shutil.copytree(study / name, here / name)


def contents(result: Path, here: Path) -> dict[str, str]:
    """What a result contains: a checksum for each file, without what belongs to one run (times, folders, seconds).

    Of runs of one name the last one counts. Raises where a file is cut.
    """
    if not result.exists():
        return {}
    found = {}
    for path in sorted(_files(result)):
        name = _RUN_TIME.sub("_TIME", str(path.relative_to(result)))
        found[name] = hashlib.sha256(_content(path, here)).hexdigest()[:12]
    return found


def _files(folder: Path) -> Iterator[Path]:
    if folder.is_file():
        yield folder
        return
    last = {_RUN_TIME.sub("", entry.name): entry for entry in sorted(folder.iterdir())}
    for entry in last.values():
        if entry.is_dir() and not entry.is_symlink():
            yield from _files(entry)
        elif entry.name not in _MEASURED and not any(word in entry.name for word in _NO_RESULT):
            yield entry


def _content(path: Path, here: Path) -> bytes:
    if path.name == "history.csv":
        return pd.read_csv(path).drop(columns="seconds").to_csv().encode()
    if path.suffix in _TEXTS:
        return _without_run(path.read_text(encoding="utf-8"), here)
    if path.suffix == ".parquet":
        return _without_run(pd.read_parquet(path).to_csv(), here)
    if path.suffix == ".npy":
        return np.load(path, allow_pickle=False).tobytes()
    if path.suffix == ".pth":
        import torch

        return _plain(torch.load(path, weights_only=True, map_location="cpu"), here)
    if path.suffix in (".pdf", ".png"):
        return _without_run(path.read_bytes().decode("latin-1"), here)
    return path.read_bytes()


def _plain(value: Any, here: Path) -> bytes:
    if isinstance(value, dict):
        return b"".join(_plain(key, here) + _plain(value[key], here) for key in value)
    if isinstance(value, (list, tuple)):
        return b"".join(_plain(entry, here) for entry in value)
    return value.numpy().tobytes() if hasattr(value, "numpy") else _without_run(str(value), here)


def _without_run(text: str, here: Path) -> bytes:
    for folder in (here, here.resolve()):
        text = text.replace(str(folder), "HERE")
    text = _RUN_TIME.sub("_TIME", text)
    for pattern, name in _OF_THIS_RUN:
        text = pattern.sub(name, text)
    return text.encode("utf-8", "surrogateescape")
