# ruff: noqa: E501 (a pattern and its words stand in one line)
"""The words of the product: no file that a user or a reader meets uses a word that the glossary replaces."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from seismag.text import words_of_key

ROOT = Path(__file__).resolve().parents[1]
PLACES = ("src", "configs", "scripts", "training", "benchmarks", "docs")
ENDINGS = {".py", ".md", ".j2", ".yaml", ".json", ".toml"}
PAGES = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")
PAGE_COLUMNS = 100

# Pattern (case is ignored) and what to write in its place.
# Not found by a pattern: "Normal" for control windows; "recover", "drawn", "sum", "place", "rows", "beside" out of context.
REPLACED = {
    r"without (?:using )?the field|never sees? the field|needs? no field|\brivals?\b|no[- ]signal": "non-magnetic baselines",
    r"best rule|\bskill above\b": "skill over the best non-magnetic baseline",
    r"judg": "evaluate, assess, score",
    r"\bthe field\b(?! of)|\bfield tells\b": "geomagnetic data, recordings",
    r"\bordinary\b|\bquiet windows?\b": "control windows, background windows",
    r"groups of either kind|too few groups|cannot be decided|\bundecided\b|decides? nothing|nothing is decided": "inconclusive (n event clusters ...)",
    r"\bverdicts\b|\b(?:the|a|its|each|no|this|open|first) verdict\b|verdict[- ]page|reading-the-verdict|\bverdict  ": "audit report, conclusion",
    r"\bgates\b|\bthe gate\b|\ba gate\b|\bgating\b|\bgate (?:fail|pass|is)|\bfailed gate|\bis a note\b|\ba note[,.)]": "integrity checks, informational",
    r"\bfault(?:s|y)?\b(?![- ](?:injection|scenario))|\bmend(?:s|ed|ing)?\b": "error, defect; correct",
    r"\btraps?\b|\btrap_": "fault-injection scenario",
    r"\b_?plant(?:s|ed|ing|ings)?\b|\bplanted_|_planted\b": "inject, injected, injections",
    r"silence excludes|whose truth is known": "upper limit from a null result; known ground truth",
    r"\bdirt(?:y)?\b": "instrument artefacts, outages, cultural noise",
    r"(?<!power )(?<!power-)\blaws?\b": "spectral model",
    r"\bseal(?:s|ed|ing)?\b|\b(?:a|each|given|every|the|one) looks?\b|\blooks (?:at the|of)\b": "locked hold-out set, unblinding",
    r"(?<!_)\bledgers?\b": "access log",
    r"certif": "split report",
    r"\broles\b|\b(?:the|of|a|each|every|empty|training|test|validation) role\b": "set, subset",
    r"\bpurg(?:e|es|ed|ing)\b|purging": "excluded",
    r"\bdealt\b|\bby lot\b|\bdeals?\b|\bdrawn (?:anew|again|apart|by|first|at random|class)\b": "assigned, at random",
    r"\bshares? (?:of|that|in|by|for|at|on)\b|\b(?:the|a|its|this|each|what) shares?\b|\w_shares?\b|\bshared out\b|\bshare\b\s*[=:*/)]": "fraction",
    r"log-scores": "logits, log-probabilities",
    r"\bsums? compared|\bsum (?:that it|it) must|\b(?:another|wrong|right|input) sums?\b|\bno sum of\b|(?:file's|its|the) sums?\b(?! of (?:the )?(?:ranks?|squares|scores|power|weights))": "checksum",
    r"AUC (?:of P\(Event\) )?(?:with)?in (?:a )?stations?|auc_within": "station-stratified ROC AUC",
    r"hold the truth|share that happened|\bsaid (?:so|is|where|-)": "conformal prediction sets; observed frequency",
    r"\brange rules?\b": "magnitude-distance criterion",
    r"\bguards?\b|\bguard times?\b": "exclusion interval",
    r"\beras?\b": "instrument epoch",
    r"\bslid(?:e|es|ing)?\b|\bturn(?:s|ed)? (?:round|back)\b": "circular time shift",
    r"\bexchang(?:e|es|ed|ing|eable)\b|\bdonors?\b": "permutation, replacement window; swapped",
    r"\bworth\b|moved (?:events?|earthquakes?)|\bevents? moved\b": "importance; randomised events",
    r"\bways? out\b|\bstranger": "remedy; third-party predictions",
    r"\bwhole line\b": "the complete pipeline",
    r"\bkept features?\b|\bfeatures kept\b|frozen part says|\bheld back\b|\bholds? back\b": "cached features; shrunk towards",
    r"\balarm levels?\b|\blevels? of (?:the |an )?alarms?\b|\bwindow's level\b|\*level\*|\bwidth of a level\b": "alarm fraction",
    r"\bmaterial\b(?! scien)": "above the minimum effect size",
    r"\b(?:rows|columns|cells) of (?:a|an|the|its|each|one|that|this) (?:spectrogram|window|power|grid|band|feature map)\b": "frequency bins, time frames, bins",
    r"\b(?:masked|spectrogram|frequency|time) (?:rows?|columns?)\b": "frequency bins, time frames, bins",
    r"\b(?:masked|valid|single|coarse|independent|neighbouring|spectrogram) cells?\b|\d x \d+ cells": "frequency bins, time frames, bins",
    r"trailing baseline|has no baseline and": "trailing normalisation",
    r"\b(?:its|the|a|their|no|each|this|that|on|with|whose) cards?\b|^cards?\b": "model card",
    r"(?<!model )\bcards\b(?! import|\.py)|\b(?:older|best) card\b": "model card",
    r"\bnumber(?:ed|s) (?:the|each|every|all)\b|\bplaces? of (?:every|each) (?:sample|class|label)\b": "index, encode",
    r"\bspeaks? of\b|\bspeaks\b|\btold\b|\basked\b|\basks\b": "encodes, covers, tested, given",
    r"\b(?:table|file|name|message|report|card|store|catalogue|header|column|sentence|log|page|document|recording|configuration|warning|data|archive|row|audit|field|test)s? (?:says?|said|tells?|knows?)\b": "states, contains, prints",
    r"\bsa(?:ys|id) (?:so|why|which|where|how|what|whether)\b|\bha(?:s|ve) a say\b": "states, gives the reason",
    r"\bbeside (?:those|that|what|them|the best|a published|planted)\b": "compared with",
    r"\btired\b|\bin words that\b|\bwhat helps\b|\bholds (?:zero|chance)\b": "delete; the interval includes zero",
}  # fmt: skip

# Names that stay: keys of JSON documents, columns of tables, keys of configurations that stores and model cards record.
STAY = (
    r"guard_(?:ahead|behind)_d", r"sealed_fraction", r"range_rule", r"time_slide", r"split_certificate(?:_sha256)?",
    r"class_by_era", r"sliding_window_view", r"""["'`](?:purged|sealed|gates?|material|era|guard|verdict|role)["'`]""",
    r"purged_share", r"undefined_share", r"tied_share", r"pca_explained_variance_share", r"skill_above_no_signal",
    r"no_signal", r"auc_within_station", r"\bcertificate_sha256", r"git/dirty", r"\"dirty\"",
    r"\"(?:rock )?slide\"",  # types of QuakeML
    r"benchmarks/faults\.py",
)  # fmt: skip


def files() -> list[Path]:
    found = [path for place in PLACES for path in sorted((ROOT / place).rglob("*")) if path.suffix in ENDINGS]
    return [path for path in [*found, *(ROOT / name for name in PAGES)] if "coastlines" not in path.name]


def pages() -> list[Path]:
    return [*(ROOT / name for name in PAGES), *sorted((ROOT / "docs").rglob("*.md"))]


PATTERNS = [(re.compile(pattern, re.IGNORECASE | re.MULTILINE), words) for pattern, words in REPLACED.items()]


def hits(text: str) -> list[str]:
    kept = re.sub("|".join(STAY), "", text)
    found = [
        (kept.count("\n", 0, match.start()) + 1, match.group(0), words)
        for pattern, words in PATTERNS
        for match in pattern.finditer(kept)
    ]
    return [f"{line}: {word!r} (write {words})" for line, word, words in sorted(found, key=lambda entry: entry[0])]


PLAIN_USES = (  # one for each replaced word that a pattern can find
    "rules without the field", "rules that never see the field", "a rival", "no-signal rules", "skill above the rule",
    "a judgement", "the field was quiet", "ordinary windows", "quiet windows", "groups of either kind",
    "too few groups", "this cannot be decided", "the verdict", "the gate", "gate failed", "the others are a note.",
    "a faulty file", "mended", "every trap", "planted emissions", "what its silence excludes", "whose truth is known",
    "dirt", "the law of the noise", "sealed windows", "a look", "the ledger", "its certificate", "the training role",
    "purged windows", "dealt by lot", "drawn anew", "the share of rows", "log-scores", "the file's sum", "a wrong sum",
    "AUC within stations", "sets hold the truth", "the share that happened", "range rules", "guard times", "an era",
    "labels slide", "turned back", "exchanged cells", "a donor", "what a band is worth", "moved events", "a way out",
    "a stranger's table", "the whole line", "kept features", "held back towards", "alarm levels", "a material effect",
    "masked columns", "rows of the spectrogram", "34 x 36 cells", "trailing baseline", "its card", "older cards",
    "numbered the classes", "the place of every sample", "speaks of it", "the reader is told", "was asked",
    "a tired reader", "in words that help", "what helps", "holds zero", "the table knows", "beside those",
)  # fmt: skip


@pytest.mark.parametrize("words", PLAIN_USES)
def test_a_plain_use_of_a_replaced_word_is_found(words: str) -> None:
    assert hits(words)


@pytest.mark.parametrize("path", files(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_word_that_the_glossary_replaces(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not hits(text)
    assert not hits(re.sub(r"\n[ #]*", " ", text))  # a phrase over two lines


def test_a_replaced_word_is_found_and_a_key_that_stays_is_not() -> None:
    assert hits("The model was judged by lot.") == [
        "1: 'judg' (write evaluate, assess, score)",
        "1: 'by lot' (write assigned, at random)",
    ]
    assert not hits('split["role"] == "purged" and data.guard_ahead_d')


@pytest.mark.parametrize("path", pages(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_prose_lines_are_wrapped(path: Path) -> None:
    text = re.sub(
        r"^```.*?^```",
        lambda code: "\n" * code.group(0).count("\n"),
        path.read_text(encoding="utf-8"),
        flags=re.M | re.S,
    )
    lines = enumerate(text.split("\n"), start=1)
    prose = [(number, line) for number, line in lines if not line.startswith(("|", "    "))]  # no table, no code
    assert [number for number, line in prose if len(line) > PAGE_COLUMNS and " " in line.strip()] == []


def test_names_of_checks_and_baselines_are_shown_in_the_words_of_the_glossary() -> None:
    keys = (
        "skill_above_no_signal", "skill_above_no_signal_magnitude", "skill_above_no_signal_azimuth", "time_slide",
        "class_by_era", "label_shuffle_refit", "skill_above_station", "station_season", "era", "era_balanced",
        "all_no_signal", "all_no_signal_balanced", "catalogue_rate",
    )  # fmt: skip
    assert [hits(words_of_key(key)) for key in keys] == [[]] * len(keys)
    assert words_of_key("catalogue_rate") == "catalogue rate"
