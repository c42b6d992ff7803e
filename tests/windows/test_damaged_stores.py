"""A store with other attributes, arrays or columns is refused, whatever they are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from fixtures.damage import damaged_documents, damaged_tables, faults
from fixtures.study_store import make_store
from seismag.config import SplitConfig
from seismag.domain import DataError
from seismag.splits import assign_split
from seismag.windows.inspect import inspect_store
from seismag.windows.store import SAMPLES_FILE, open_store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A store whose checksums are not compared, as if they had been made anew after each change."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("seismag.windows.store.require_unchanged", lambda *_: None)
        yield make_store(tmp_path_factory.mktemp("damaged") / "store")


def replace_samples(path: Path, samples: pd.DataFrame) -> None:
    samples.to_parquet(path / SAMPLES_FILE, index=False)


def use(path: Path) -> None:
    store = open_store(path)
    inspect_store(store).describe()
    assign_split(store.samples, SplitConfig(n_folds=2), store.attributes["config"]["window_h"])


def test_damaged_attributes_are_refused(store: Path):
    file = store / "zarr.json"
    whole = file.read_bytes()
    group = json.loads(whole)

    def write(attributes: Any) -> None:
        file.write_text(json.dumps({**group, "attributes": attributes}))

    cases = damaged_documents(group["attributes"], 2, 120)
    assert faults(cases, write, lambda: use(store)) == []
    for attributes in ([], [1], "text", None, 3):
        write(attributes)
        with pytest.raises(DataError):
            open_store(store)
    write({key: value for key, value in group["attributes"].items() if key != "dataset_id"})
    with pytest.raises(DataError, match=r"attributes of the store: dataset_id is missing\. Restore it"):
        open_store(store)
    file.write_bytes(whole)


def test_a_table_of_other_columns_is_refused(store: Path):
    samples = pd.read_parquet(store / "samples.parquet")
    cases = damaged_tables(samples)
    assert faults(cases, lambda table: replace_samples(store, table), lambda: use(store)) == []
    replace_samples(store, samples)


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("start_utc", "2021-01-01", r"start_utc in row 0 is '2021-01-01', expected is a time \(UTC, without a zone\)"),
        ("cluster_ids", "e1", r"cluster_ids in row 0 is 'e1', expected is a list of texts"),
        ("magnitude_class", "Huge", r"magnitude_class in row 0 is 'Huge', expected is one of Normal\|Moderate"),
        ("kp_max", "much", r"kp_max in row 0 is 'much', expected is a number"),
        ("sample_id", "GTO-1", r"sample_id GTO-1 occurs twice"),
    ],
)
def test_the_message_names_column_row_and_type(store: Path, column: str, value: str, words: str):
    samples = pd.read_parquet(store / "samples.parquet")
    replace_samples(store, samples.assign(**{column: value}))
    with pytest.raises(DataError, match=words):
        open_store(store)
    replace_samples(store, samples)


def test_attributes_of_a_later_version_are_kept(store: Path):
    file = store / "zarr.json"
    whole = file.read_bytes()
    group = json.loads(whole)
    config = {**group["attributes"]["config"], "invented": 1}
    file.write_text(json.dumps({**group, "attributes": {**group["attributes"], "invented": 1, "config": config}}))
    assert open_store(store).attributes["invented"] == 1
    file.write_bytes(whole)
