"""The verdict page holds what the JSON holds, escaped, in one file that asks for nothing."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest

from seismag.audit.figure import bar_chart, interval_plot
from seismag.audit.integrity import close_verdicts, gate
from seismag.audit.page import conclusion, render_audit_page, write_audit_page
from seismag.domain import DataError
from seismag.estimate import CheckResult
from seismag.text import number

HOSTILE = "<script>alert('x')</script> & \"quoted\" <img src=http://a.example/p.png>"
CONSTANTS = {"95", "0.05", "0"}  # of the texts of the page: width of the band, level of placebos, zero of the plots


def audit_of(*results, **facts):
    tests = close_verdicts(results, 0.01)
    return {"gate": gate(tests), "tests": [test.as_dict() for test in tests],
            "baselines": {"station": {"accuracy": 0.963, "balanced_accuracy": 0.714},
                          "era": {"accuracy": None, "balanced_accuracy": None}},
            "family_wise_error": 0.01, "configurations_tried": 14, "subject": "table.csv"} | facts  # fmt: skip


FAULT = CheckResult(
    "class_by_station", "The station alone gives 0.9631.", 0.9631, "accuracy",
    {"mean": 0.65, "low": 0.62, "high": 0.68}, p_value=0.0001, placebo_rate=0.048, gates=True,
)  # fmt: skip
FINE = CheckResult(
    "clock", "Phases agree within 7.5 minutes.", 7.5, "minutes", {"mean": 6.1, "low": 2.2, "high": 13.4}, p_value=0.44,
    gates=True,
)  # fmt: skip
COPIES = CheckResult("duplicates", "431 of 1972 rows are copies.", 431.0, "copies", gates=True, verdict="fail")


def score(value, low, high):
    return {"value": value, "low": low, "high": high, "n": 1450, "n_clusters": 77}


def metrics_of(low=0.331):
    skill = score(0.381, low, 0.421) | {"baseline": "station_balanced"}
    entry = {"accuracy": score(0.901, 0.85, 0.94), "balanced_accuracy": score(0.881, 0.842, 0.917), "baselines": {},
             "skill_above_best_baseline": {"balanced_accuracy": skill}}  # fmt: skip
    return {"detection": entry, "magnitude": entry, "sealed": {"looks": 3}}


ALARMS = {"power": {"n_events": 56, "power": 0.8, "by_error": {"0.05": {"smallest_gain": 1.83, "smallest_auc": 0.592}}}}
RECOVERY = {"sentence": "At most 17 % of the earthquakes are preceded by an emission of SNR 3 or more."}


class Visible(HTMLParser):
    """Text that a reader sees, and every attribute that could ask for something."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.links += [value for name, value in attributes if name in ("src", "href", "srcset", "action", "xlink:href")]

    def handle_data(self, data):
        if self.tags[-1:] != ["style"] or not self.texts:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def read(page: str) -> Visible:
    parser = Visible()
    parser.feed(re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL))
    return parser


def numbers_in(document) -> set[str]:
    """Every number of a JSON document as the page may write it, those within its sentences as they stand."""
    found: set[str] = set()
    if isinstance(document, dict):
        found |= set().union(*(numbers_in(value) for value in (*document.keys(), *document.values())))
    elif isinstance(document, list):
        found |= set().union(*(numbers_in(value) for value in document)) if document else set()
    elif isinstance(document, str):
        found |= set(re.findall(r"\d+(?:\.\d+)?(?:e-?\d+)?", document))
    elif isinstance(document, (int, float)) and not isinstance(document, bool):
        found.add(number(document).lstrip("-"))
    return found


def test_every_number_on_the_page_is_one_of_the_json():
    audit, metrics = audit_of(FAULT, FINE, COPIES), metrics_of()
    page = render_audit_page(audit, metrics=metrics, alarms=ALARMS, recovery=RECOVERY, claim="97.53 % accuracy")
    written = set(re.findall(r"\d+(?:\.\d+)?(?:e-?\d+)?", read(page).text))
    counts = {str(sum(test["verdict"] == verdict for test in audit["tests"])) for verdict in ("pass", "fail")}
    known = numbers_in([audit, metrics, ALARMS, RECOVERY, "97.53"]) | counts | CONSTANTS
    assert written <= known, written - known
    assert {"0.963", "0.714", "14", "1450", "77", "0.381", "56", "1.83", "17", "3", "97.53"} <= written


def test_the_page_asks_for_nothing_and_runs_nothing(tmp_path):
    page = write_audit_page(audit_of(FAULT), tmp_path / "new" / "folder", metrics=metrics_of()).read_text()
    seen = read(page)
    assert seen.links == []
    assert not {"script", "img", "link", "iframe", "object", "embed", "base", "form"} & set(seen.tags)
    assert not re.search(r"https?:|url\(|@import|//", page)


def test_whatever_a_table_holds_is_text_on_the_page():
    hostile = CheckResult(
        HOSTILE, HOSTILE, 1.0, HOSTILE, {"mean": 0.5, "low": 0.1, "high": 0.9}, p_value=0.5, gates=True
    )
    audit = audit_of(
        hostile, subject={HOSTILE: HOSTILE}, baselines={HOSTILE: {"accuracy": 0.5, "balanced_accuracy": 0.5}}
    )
    page = render_audit_page(audit, metrics=metrics_of(), recovery={"sentence": HOSTILE}, claim=HOSTILE)
    seen = read(page)
    assert not {"script", "img"} & set(seen.tags)
    assert seen.text.count("alert('x')") >= 5


def test_failed_tests_come_first_and_a_failed_gate_forbids_conclusions():
    seen = read(render_audit_page(audit_of(FINE, FAULT, COPIES), metrics=metrics_of())).text
    assert "The gate fails." in seen
    assert "nothing may be concluded from any score" in seen
    assert seen.index("class by station") < seen.index("duplicates") < seen.index("clock")
    assert "Tests: 2 failed, 1 passed." in seen
    assert "0.0002 among all tests" in seen  # Holm: twice 0.0001, the copies had their verdict


@pytest.mark.parametrize(("low", "words"), [(0.331, "skill remains above"), (-0.02, "no skill is shown above")])
def test_a_passed_gate_lets_the_interval_of_skill_speak(low, words):
    seen = read(render_audit_page(audit_of(FINE), metrics=metrics_of(low))).text
    assert "The gate passes." in seen
    assert words in seen


def test_the_verdict_of_the_skill_test_goes_before_the_interval():
    skill = CheckResult("skill_above_no_signal", "None.", verdict="no_skill")
    assert "no skill is shown" in conclusion(audit_of(FINE, skill), metrics_of())


def test_too_few_groups_are_not_called_an_absence_of_skill():
    skill = CheckResult("skill_above_no_signal", "Too few.", verdict="undecided")
    assert conclusion(audit_of(FINE, skill), metrics_of()).endswith("cannot be decided from so few groups.")


def test_parts_that_are_missing_are_said_to_be_missing():
    seen = read(render_audit_page({"gate": "pass", "tests": []})).text
    for words in (
        "No test was made, so nothing can be said", "subject not given", "No claim in words was given",
        "No score was given", "No rule without the field was tried", "no predictions were judged (seismag evaluate)",
        "not computed (seismag alarms)", "no emissions were planted (seismag recover)",
        "the audit does not know how many", "no ledger of a sealed set was given",
    ):  # fmt: skip
        assert words in seen


def test_undefined_numbers_are_words():
    metrics = metrics_of(None)
    seen = read(
        render_audit_page(audit_of(FINE), metrics=metrics, alarms={"power": None, "undefined": "no events"})
    ).text
    assert "0.381 (no interval)" in seen
    assert "Not given: no events." in seen
    assert "undefined" in seen  # the bar of era
    assert "None" not in seen


def test_the_page_takes_a_file_or_a_folder(tmp_path):
    assert write_audit_page(audit_of(FINE), tmp_path / "mine.html") == tmp_path / "mine.html"
    assert write_audit_page(audit_of(FINE), tmp_path) == tmp_path / "audit.html"


def test_the_same_json_gives_the_same_page():
    audit = json.loads(json.dumps(audit_of(FAULT, FINE)))
    assert render_audit_page(audit) == render_audit_page(audit_of(FAULT, FINE))


def test_an_audit_without_gate_or_with_an_open_verdict_is_refused():
    with pytest.raises(DataError, match="audit: has no gate and no tests"):
        render_audit_page({})
    with pytest.raises(DataError, match=r"unknown verdict of clock \(None\)"):
        render_audit_page({"gate": "pass", "tests": [FINE.as_dict()]})


def test_bars_are_as_long_as_their_values():
    row = {"label": "station", "kind": "rule", "balanced_accuracy": 0.5, "accuracy": 1.0}
    half, whole = bar_chart([row])["rows"][0]["bars"]
    assert whole["width"] == pytest.approx(2 * half["width"])


def test_a_statistic_within_chance_lies_on_the_band_and_an_outlier_beside_it():
    null = {"mean": 0.5, "low": 0.4, "high": 0.6}
    inside, outside = (interval_plot(value, null, number) for value in (0.5, 0.9))
    assert inside["x"] == pytest.approx(sum(inside["band"]) / 2)
    assert outside["x"] > outside["band"][1]
    assert interval_plot(0.5, None, number) is None
    assert interval_plot(0.5, {"low": 0.5, "high": 0.5, "mean": 0.5}, number)["x"] == pytest.approx(150)
