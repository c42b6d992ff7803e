"""A store that is exchanged while a command reads it: nothing is made of parts of both."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import pytest

from fixtures.study_store import make_store
from seismag.domain import DataError
from seismag.windows.store import Store, open_store, read_samples, store_catalog

EXCHANGED = r"store: the store was replaced or removed while this command read it: the checksum of checksums\.json was"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return make_store(tmp_path / "store")


def other_store(path: Path) -> None:
    """Put a whole store with other windows in the place of a store, as its deletion and preparation do."""
    shutil.rmtree(path)
    make_store(path, seed=5)


def test_samples_of_another_store_are_refused(path: Path) -> None:
    store = open_store(path)
    read_samples(store.power, 0, 1)
    other_store(path)
    for read in (lambda: read_samples(store.power, 0, 1), store.samples_sha256, lambda: store_catalog(store)):
        with pytest.raises(DataError, match=EXCHANGED):
            read()
    with pytest.raises(DataError, match=EXCHANGED):  # in a process that loads data
        read_samples(pickle.loads(pickle.dumps(store)).power, 0, 1)
    read_samples(open_store(path).power, 0, 1)


def test_a_store_that_is_deleted_is_not_read_as_missing_values(path: Path) -> None:
    store = open_store(path)
    shutil.rmtree(path)
    with pytest.raises(DataError, match=EXCHANGED + r" [0-9a-f]{12} at the beginning and is missing now\. .*--out"):
        read_samples(store.power, 0, 1)


def test_the_same_store_written_again_is_the_same(path: Path, tmp_path: Path) -> None:
    store: Store = open_store(path)
    before = read_samples(store.power, 0, 1).tobytes()
    shutil.copytree(path, tmp_path / "copy")
    shutil.rmtree(path)
    shutil.copytree(tmp_path / "copy", path, copy_function=shutil.copyfile)  # other times and numbers of files
    assert read_samples(store.power, 0, 1).tobytes() == before
    assert len(store.samples_sha256()) == 64
