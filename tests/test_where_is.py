"""docs/where-is.md: every file that the project's first list names is found by its old name, and is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SEED = ROOT.parent / "shared" / "docs" / "seed.txt"
PAGE = (ROOT / "docs" / "where-is.md").read_text(encoding="utf-8")


def test_files_that_keep_their_name_are_there():
    kept = re.findall(r"^\| `([^`*]+\.\w+)` \| the same name", PAGE, re.MULTILINE)
    committed = [name for name in kept if not name.startswith("publication_convnext/")]
    assert len(committed) > 15
    assert [name for name in committed if not (ROOT / name).is_file()] == []


def test_modules_of_the_package_that_the_page_names_are_there():
    named = re.findall(r"`(src/seismag/[^`]+)`", PAGE)
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.skipif(not SEED.is_file(), reason="the document that the project was created from is not here")
def test_every_file_of_the_first_list_is_found_by_its_name():
    names = set(re.findall(r"`([\w/]+\.(?:py|md|json|yaml|txt|pth))`", SEED.read_text(encoding="utf-8")))
    short = {re.sub(r"_\d{8}_\d{6}/", "_*/", name) for name in names}
    missing = [name for name in short if name not in PAGE and Path(name).name not in PAGE]
    assert missing == []
