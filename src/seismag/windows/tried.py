"""What was tried on recordings: the access log in a store, and the one that all stores of a folder share.

The log in the store moves with it. The one beside it remains where the store is deleted and prepared again, or where
other settings make another data set of the same recordings. Runs may be deleted, and the working folder does not count.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pandas as pd
from pydantic import Field

from seismag.access_log import AccessLog, Entry
from seismag.documents import Document
from seismag.domain import DataError

NAME = "tried_configurations"
_REMEDY = "As long as its two files are not restored, the number of configurations tried is unknown."
Spans = dict[str, list[str]]  # first and last start of a window by station, ISO text
log = logging.getLogger(__name__)


class _Prepared(Document):
    dataset_id: str
    spans: dict[str, Annotated[list[str], Field(min_length=2, max_length=2)]]


class _Training(Document):
    dataset_id: str
    run_id: str
    configuration: str


_KINDS: Mapping[str, type[Document]] = {"prepared": _Prepared, "tried": _Training}


@dataclass(frozen=True)
class Tried:
    """Configurations tried on the recordings of a store.

    Attributes:
        trainings: of each recorded training run_id and checksum of its configuration, and when it began; runs of
            other working folders may have one run_id.
        since_utc: when the first log begins; None: there is none.
        unknown: why the number cannot be known; None: it is known.
    """

    trainings: Mapping[tuple[str, str], str]
    since_utc: str | None
    unknown: str | None

    @property
    def number(self) -> int | None:
        """How many different configurations were tried; None: it cannot be known."""
        return None if self.unknown is not None else len({configuration for _, configuration in self.trainings})

    def number_when_begun(self, run_ids: Iterable[str]) -> int:
        """How many different configurations were recorded when the last of some runs began; 0: none of them is."""
        wanted = set(run_ids)
        last_utc = max((utc for (run_id, _), utc in self.trainings.items() if run_id in wanted), default="")
        return len({configuration for (_, configuration), utc in self.trainings.items() if utc <= last_utc})


UNKNOWN_TRIED = Tried({}, None, "the store of the training is not known; --data names it")


def begin_tried(store: Path, dataset_id: str, samples: pd.DataFrame) -> None:
    """Begin the logs of a store that was just prepared, with what was tried on the same recordings beside it.

    Args:
        store: its folder. dataset_id: of the store. samples: station and start_utc of its windows.
    """
    inside, beside = _logs(store)
    dated = samples.reindex(columns=["station", "start_utc"]).dropna()  # pictures of an earlier system have no times
    spans: Spans = {
        str(station): [str(times.min()), str(times.max())] for station, times in dated.groupby("station")["start_utc"]
    }
    entry: Entry = {"kind": "prepared", "dataset_id": dataset_id, "spans": spans}
    earlier: list[Entry] = []
    try:
        earlier = [old for old in _of_same_recordings(beside.read(), dataset_id, spans) if old["kind"] == "tried"]
        beside.append(entry)
    except DataError as error:
        log.warning("%s", error)
    inherited = ("kind", "run_id", "configuration")
    for facts in (entry, *({"dataset_id": dataset_id, **{key: old[key] for key in inherited}} for old in earlier)):
        inside.append(facts)


def record_tried(store: Path, dataset_id: str, run_id: str, configuration: str) -> None:
    """Record a training in the logs of a store, before it begins; a log that cannot be written is a warning.

    Args:
        store: its folder. dataset_id: of the store. run_id: of the training.
        configuration: checksum of its settings, the same for all folds.
    """
    entry: Entry = {
        "kind": "tried", "dataset_id": dataset_id, "run_id": run_id, "configuration": configuration,
    }  # fmt: skip
    written, refusals = [], []
    for book in _logs(store):
        try:
            if all((old.get("run_id"), old.get("configuration")) != (run_id, configuration) for old in book.read()):
                book.append(entry)
            written.append(str(book.path))
        except DataError as error:
            refusals.append(error)
    for refusal in refusals:
        if written:  # a folder that belongs to others
            log.warning(
                "the training is recorded in %s alone: %s", *written, str(refusal).removesuffix(_REMEDY).strip()
            )
        else:
            log.warning("the training is not recorded: %s", refusal)


def read_tried(store: Path, dataset_id: str, run_ids: Iterable[str] = ()) -> Tried:
    """Read what was tried on the recordings of a store, also as other data sets beside it.

    Args:
        store: its folder. dataset_id: of the store.
        run_ids: runs that must be among the recorded ones, those behind the predictions in question.
    """
    entries: list[Entry] = []
    damage: str | None = None
    for book in _logs(store):
        try:
            read = book.read()
        except DataError as error:
            damage = str(error)
            continue
        named = sorted({entry["dataset_id"] for entry in read if entry["kind"] == "prepared"})
        if named and book.folder == store and dataset_id not in named:
            damage = f"{book.path}: the access log of data set {', '.join(named)}, not of {dataset_id}. {_REMEDY}"
        entries += read
    mine = [entry for entry in entries if entry["kind"] == "prepared" and entry["dataset_id"] == dataset_id]
    same = _of_same_recordings(entries, dataset_id, mine[0]["spans"] if mine else {})
    trainings: dict[tuple[str, str], str] = {}
    for entry in sorted(same, key=lambda entry: str(entry["utc"])):  # a store that is prepared anew takes entries over
        if entry["kind"] == "tried":
            trainings.setdefault((entry["run_id"], entry["configuration"]), entry["utc"])
    unknown = damage
    if unknown is None and not mine:
        unknown = f"{store}: neither in it nor beside it an access log ({NAME}.jsonl) begins with its preparation"
    elsewhere = sorted(set(run_ids) - {run_id for run_id, _ in trainings})
    if unknown is None and elsewhere:
        unknown = f"{elsewhere[0]} is not in the access log of {store}: it was not trained on this store"
    since = min((entry["utc"] for entry in same if entry["kind"] == "prepared"), default=None)
    return Tried(trainings, since, unknown)


def _logs(store: Path) -> tuple[AccessLog, AccessLog]:
    """Return the log in the store, and the one beside it."""
    return AccessLog(store, NAME, _REMEDY, _KINDS), AccessLog(store.resolve().parent, NAME, _REMEDY, _KINDS)


def _of_same_recordings(entries: list[Entry], dataset_id: str, spans: Spans) -> list[Entry]:
    """Select the entries of data sets with a station and a time in common."""
    prepared = [entry for entry in entries if entry["kind"] == "prepared"]
    same = {entry["dataset_id"] for entry in prepared if _overlap(entry["spans"], spans)} | {dataset_id}
    return [entry for entry in entries if entry.get("dataset_id") in same]


def _overlap(first: Spans, second: Spans) -> bool:
    common = set(first) & set(second)
    return any(first[code][0] <= second[code][1] and second[code][0] <= first[code][1] for code in common)
