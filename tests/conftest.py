"""What all tests share: where the real files lie, and a generator."""

from __future__ import annotations

import os
import signal
from pathlib import Path

if hasattr(signal, "SIGHUP"):  # which nohup ignores, and a command then leaves ignored
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Two test processes on two cores: torch with two threads in each would be many times slower than with one.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
from hypothesis import settings

settings.register_profile("no clock", deadline=None)  # a busy machine is no failure
settings.load_profile("no clock")

pytest_plugins = ("fixtures.bmkg_labels",)

REAL_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of published files for development; tests that need it skip where it is absent."""
    if not (REAL_DATA / "MANIFEST.md").is_file():
        pytest.skip("real data files are not on this machine (see CONTRIBUTING.md)")
    return REAL_DATA


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20260205)


LONGEST_FILES = ("test_quickstart", "test_options", "test_train_options", "test_benchmarks")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files, so that none of them runs alone at the end."""
    place = {f"{name}.py": number for number, name in enumerate(LONGEST_FILES)}
    items.sort(key=lambda item: place.get(item.path.name, len(place)))
