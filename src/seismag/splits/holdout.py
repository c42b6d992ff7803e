"""The locked hold-out set of a store: its days, which every model of a study records, and its access log.

The log (``sealed_ledger.jsonl`` in the store) contains unblindings (kind ``look``), written before anything is
computed, and their p-values (kind ``result``). Every report contains its last checksum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from seismag.access_log import AccessLog
from seismag.arrays import BoolArray
from seismag.documents import Document
from seismag.domain import DataError

_RULE = "Bonferroni: each p-value is multiplied by the number of all unblindings so far, at most 1"
REMEDY = "'seismag evaluate' can unblind it, and records each unblinding in the access log"


def locked_days(samples: pd.DataFrame, split: pd.DataFrame) -> list[str] | None:
    """Return the first and last locked day (UTC, ISO) of a split; None where there is no locked hold-out set."""
    locked = samples["sample_id"].isin(split.loc[split["role"] == "sealed", "sample_id"])
    if not locked.any():
        return None
    starts = samples.loc[locked, "start_utc"]
    return [f"{starts.min():%Y-%m-%d}", f"{starts.max():%Y-%m-%d}"]


def on_locked_days(days: Sequence[str] | None, samples: pd.DataFrame) -> BoolArray:
    """Return (n,) whether each window starts on a locked day.

    The days count, not the store: the same recordings prepared again are the same windows.

    Args:
        days: first and last locked day (``sealed_days_utc`` of a model card); None: no day is locked.
        samples: start_utc.
    """
    if days is None:
        return np.zeros(len(samples), dtype=bool)
    day = samples["start_utc"].to_numpy().astype("datetime64[D]")
    return np.asarray((day >= np.datetime64(days[0])) & (day <= np.datetime64(days[1])))


class _Result(Document):
    look: int
    p_values: dict[str, float | None]


@dataclass(frozen=True)
class HoldoutState:
    """How often the locked hold-out set of a store was unblinded; part of every report.

    Attributes:
        ledger_sha256: checksum of the last entry; None where there is none.
        history: of each unblinding its number (look), utc, purpose, run_id, model_sha256 and p_values (of each p and
            adjusted; None: it broke off, and counts).
    """

    looks: int
    rule: str
    ledger_sha256: str | None
    history: list[dict[str, object]]

    def to_json(self) -> dict[str, object]:
        """The key ``sealed`` of metrics.json."""
        return asdict(self)


def holdout_log(store: Path) -> AccessLog:
    """Return the access log of the locked hold-out set of a store."""
    return AccessLog(
        store,
        "sealed_ledger",
        "The hold-out set stays locked. Restore both files of the log from the copy that was made with the data, and "
        "make the store's folder writable.",
        {"result": _Result},
    )


def holdout_state(store: Path, dataset_id: str | None = None) -> HoldoutState:
    """Summarise the access log of a store.

    Args:
        store: its folder. dataset_id: of the store, with which the log is compared.

    Raises:
        DataError: the log is damaged, or that of another store.
    """
    book = holdout_log(store)
    entries = book.read()
    looks = [entry for entry in entries if entry["kind"] == "look"]
    others = [entry for entry in looks if entry.get("dataset_id") not in (None, dataset_id)]
    if others and dataset_id is not None:
        raise DataError(
            f"{book.path}: entry {others[0]['entry']} is an unblinding of data set {others[0]['dataset_id']}, but the "
            f"store is data set {dataset_id}: the access log of another store. {book.remedy}"
        )
    results = {entry["look"]: entry["p_values"] for entry in entries if entry["kind"] == "result"}
    history: list[dict[str, object]] = []
    for number, entry in enumerate(looks, start=1):
        facts = {key: entry.get(key) for key in ("utc", "purpose", "run_id", "model_sha256")}
        p_values = None
        if number in results:
            p_values = {
                name: {"p": p, "adjusted": None if p is None else min(1.0, p * len(looks))}
                for name, p in sorted(results[number].items())
            }
        history.append({"look": number, **facts, "p_values": p_values})
    return HoldoutState(len(looks), _RULE, entries[-1]["hash"] if entries else None, history)
