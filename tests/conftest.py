"""What all tests share: where the real files lie, and a generator."""

from __future__ import annotations

import os
from pathlib import Path

# Two test processes on two cores: torch with two threads in each would be many times slower than with one.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest

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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest file, so that it does not run alone at the end."""
    items.sort(key=lambda item: "test_quickstart" not in item.nodeid)
