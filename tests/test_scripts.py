"""The scripts of earlier systems in a Python that has no seismag."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted(path for folder in ("scripts", "training") for path in (ROOT / folder).glob("*.py"))
SCRIPTS = [path.relative_to(ROOT) for path in FILES if "__all__" not in path.read_text()]  # not modules to import


@pytest.mark.parametrize("script", SCRIPTS, ids=str)
def test_a_script_outside_the_environment_names_the_command_that_makes_it(script: Path, tmp_path: Path) -> None:
    bare = [sys.executable, "-I", "-S"]  # no site-packages
    done = subprocess.run([*bare, ROOT / script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == (
        "seismag is not installed in this Python. Run 'make setup', then 'source .venv/bin/activate'.\n"
    )
