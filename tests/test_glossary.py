# ruff: noqa: E501 (a pattern and its words stand in one line)
"""The words of the product: no file that a user or a reader meets uses a word that the glossary replaces."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PLACES = ("src", "configs", "scripts", "training")  # docs/ and benchmarks/ follow: docs/known-gaps.md
ENDINGS = {".py", ".md", ".j2", ".yaml", ".json", ".toml"}
PAGES = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/python.md", "docs/where-is.md")

# Pattern (case is ignored) and what to write in its place.
REPLACED = {
    r"without (?:using )?the field|never sees? the field|needs? no field|\brivals?\b|no[- ]signal": "non-magnetic baselines",
    r"best rule": "best baseline",
    r"judg": "evaluate, assess, score",
    r"\bthe field\b(?! of)|\bfield tells\b": "geomagnetic data, recordings",
    r"\bordinary\b|\bquiet windows?\b": "control windows, background windows",
    r"groups of either kind|too few groups|cannot be decided|\bundecided\b": "inconclusive (n event clusters ...)",
    r"\bverdicts\b|\b(?:the|a|its|each|no|this|open|first) verdict\b|verdict[- ]page|reading-the-verdict": "audit report, conclusion",
    r"\bgates\b|\bthe gate\b|\ba gate\b|\bgating\b|\bis a note\b|\ba note[,.)]": "integrity checks, informational",
    r"\bfault(?:s|y)?\b(?![- ](?:injection|scenario))|\bmend(?:s|ed|ing)?\b": "error, defect; correct",
    r"\btraps?\b|\btrap_": "fault-injection scenario",
    r"\b_?plant(?:s|ed|ing|ings)?\b|\bplanted_|_planted\b": "inject, injected, injections",
    r"silence excludes|whose truth is known": "upper limit from a null result; known ground truth",
    r"\bdirt(?:y)?\b": "instrument artefacts, outages, cultural noise",
    r"\b(?:noise|spectral|by|the|this|a) laws?\b|\bLAWS?\b": "spectral model",
    r"\bseal(?:s|ed|ing)?\b|\b(?:a|each|given|every|the|one) looks?\b|\blooks (?:at the|of)\b": "locked hold-out set, unblinding",
    r"certif": "split report",
    r"\broles\b|\b(?:the|of|training|test|validation) role\b": "set, subset",
    r"\bpurg(?:e|es|ed|ing)\b|purging": "excluded",
    r"\bdealt\b|\bby lot\b|\bdeals?\b": "assigned, at random",
    r"\bshares? (?:of|that|in|by|for|at|on)\b|\b(?:the|a|its|this|each|what) shares?\b|\w_shares?\b|\bshare\b\s*[=:*/)]": "fraction",
    r"log-scores": "logits, log-probabilities",
    r"\bsums? compared|\bsum (?:that it|it) must|(?:file's|its|the) sums?\b(?! of (?:the )?(?:ranks?|squares|scores|power|weights))": "checksum",
    r"AUC (?:of P\(Event\) )?within (?:a )?stations?|auc_within": "station-stratified ROC AUC",
    r"hold the truth|share that happened": "conformal prediction sets; observed frequency",
    r"\brange rules?\b": "magnitude-distance criterion",
    r"\bguards?\b|\bguard times?\b": "exclusion interval",
    r"\beras?\b": "instrument epoch",
    r"\bslid(?:e|es|ing)?\b|\bturn(?:s|ed)? round\b": "circular time shift",
    r"\bexchang(?:e|es|ed|ing|eable)\b|\bdonors?\b": "permutation, replacement window; swapped",
    r"\bis worth\b|moved (?:events?|earthquakes?)": "importance; randomised events",
    r"\bways? out\b|\bstranger": "remedy; third-party predictions",
    r"\bwhole line\b": "the complete pipeline",
    r"\bkept features?\b|frozen part says|\bheld back\b|\bholds? back\b": "cached features; shrunk towards",
    r"\bmaterial\b(?! scien)": "above the minimum effect size",
    r"trailing baseline": "trailing normalisation",
    r"\b(?:its|the|a|their|no|each|this|that|on|with|whose) cards?\b|^cards?\b": "model card",
    r"\bspeaks? of\b|\btold\b|\basked\b|\basks\b": "encodes, covers, tested, given",
    r"\btired\b|\bin words that\b|\bholds (?:zero|chance)\b": "delete; the interval includes zero",
}  # fmt: skip

# Names that stay: keys of JSON documents, columns of tables, keys of configurations that stores and model cards record.
STAY = (
    r"guard_(?:ahead|behind)_d", r"sealed_fraction", r"range_rule", r"time_slide", r"split_certificate(?:_sha256)?",
    r"class_by_era", r"sliding_window_view", r"""["'`](?:purged|sealed|gates?|material|era|guard|verdict|role)["'`]""",
    r"purged_share", r"undefined_share", r"tied_share", r"pca_explained_variance_share", r"skill_above_no_signal",
    r"no_signal", r"auc_within_station", r"\bcertificate_sha256", r"git/dirty", r"\"dirty\"",
)  # fmt: skip


def files() -> list[Path]:
    found = [path for place in PLACES for path in sorted((ROOT / place).rglob("*")) if path.suffix in ENDINGS]
    return [path for path in [*found, *(ROOT / name for name in PAGES)] if "coastlines" not in path.name]


def hits(text: str) -> list[str]:
    kept = re.sub("|".join(STAY), "", text)
    return [
        f"{number}: {match.group(0)!r} (write {words})"
        for number, line in enumerate(kept.split("\n"), start=1)
        for pattern, words in REPLACED.items()
        for match in re.finditer(pattern, line, re.IGNORECASE)
    ]


@pytest.mark.parametrize("path", files(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_word_that_the_glossary_replaces(path: Path) -> None:
    assert not hits(path.read_text(encoding="utf-8"))


def test_a_replaced_word_is_found_and_a_key_that_stays_is_not() -> None:
    assert hits("The model was judged by lot.") == [
        "1: 'judg' (write evaluate, assess, score)",
        "1: 'by lot' (write assigned, at random)",
    ]
    assert not hits('split["role"] == "purged" and data.guard_ahead_d')
