"""Every example in a docstring runs and prints what it says."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "src" / "seismag"
NEED_FILES = {"api.py"}  # of a demonstration: tests/cli/test_quickstart.py
MODULES = sorted(
    path.relative_to(PACKAGE).as_posix()
    for path in PACKAGE.rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8") and path.name not in NEED_FILES
)


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_run(module: str) -> None:
    name = "seismag." + module.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
    found = doctest.testmod(importlib.import_module(name), extraglobs={"np": np, "pd": pd})
    assert found.attempted
    assert not found.failed
