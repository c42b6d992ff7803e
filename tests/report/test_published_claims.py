"""Published accuracies and the REFORMS items: recomputed from the counts, and complete."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from typing import Any

import numpy as np
import pytest

from seismag.scoring import metrics as m

REPORT = files("seismag.report")


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return json.loads(REPORT.joinpath("published_claims.json").read_text("utf-8"))


def test_rules_follow_from_the_counts_of_the_classes(document: dict[str, Any]) -> None:
    counts = document["class_counts"]["magnitude"]
    matrix = np.zeros((4, 4))
    for place, n in enumerate(counts.values()):
        matrix[place, 0 if place == 0 else 2] = n  # Normal for Normal, Medium for every event
    claims = [claim for claim in document["claims"] if claim["what"].startswith("magnitude")]
    assert len(claims) == 2
    for claim in claims:
        assert claim["rule_windows"] == matrix.sum() == 1972
        assert claim["rule_errors"] == counts["Moderate"] + counts["Large"]
        assert claim["rule_accuracy"] == pytest.approx(float(m.accuracy(matrix)))
        assert claim["rule_balanced_accuracy"] == pytest.approx(float(m.balanced_accuracy(matrix)))
        assert claim["rule_mcc"] == pytest.approx(float(m.mcc(matrix)))
    azimuth = document["class_counts"]["azimuth"]
    assert sum(azimuth.values()) == 1972
    for claim in document["claims"]:
        if claim["what"].startswith("azimuth"):
            assert claim["rule_errors"] == azimuth["other directions"]
            assert claim["rule_accuracy"] == pytest.approx((azimuth["Normal"] + azimuth["N"]) / 1972)
            assert claim["rule_balanced_accuracy"] == pytest.approx(2 / 9)


def test_every_claim_is_near_its_rule_and_says_where_it_was_reported(document: dict[str, Any]) -> None:
    for claim in document["claims"]:
        assert claim["accuracy"] == pytest.approx(claim["rule_accuracy"], abs=0.0015), claim["what"]
        assert claim["rule_accuracy"] == pytest.approx(1 - claim["rule_errors"] / claim["rule_windows"])
        assert "commit" in claim["reported_in"] or "not found in public" in claim["reported_in"]


def test_reforms_has_its_32_items_in_8_modules() -> None:
    text = REPORT.joinpath("templates/REFORMS.md.j2").read_text("utf-8")
    items = re.findall(r"^- `(\d)([a-z])` \*\*", text, re.MULTILINE)
    last = {"1": "c", "2": "e", "3": "g", "4": "c", "5": "f", "6": "c", "7": "c", "8": "b"}
    expected = [(module, chr(code)) for module, end in last.items() for code in range(ord("a"), ord(end) + 1)]
    assert items == expected
    assert len(items) == 32
    assert re.findall(r"^## (\d)\. ", text, re.MULTILINE) == list(last)
