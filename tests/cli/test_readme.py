"""What README.md shows exists: pictures that are small and described, and pages that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


def test_pictures_of_the_readme_are_small_and_described() -> None:
    shown = re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", (ROOT / "README.md").read_text())
    assert len(shown) >= 3
    for words, file in shown:
        assert len(words) > 20, file
        assert (ROOT / file).stat().st_size < 200_000, file
        with Image.open(ROOT / file) as picture:
            assert len(picture.convert("RGB").getcolors(1 << 24) or []) > 10


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(), flags=re.DOTALL)
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if not link.startswith(("http", "mailto"))]
    gone = [link for link in links if link.split("#")[0] and not (page.parent / link.split("#")[0]).exists()]
    assert gone == []
