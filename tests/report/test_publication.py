"""The publication of a run: every number has its source, a missing one ends it, and the text follows the result."""

from __future__ import annotations

import csv
import json
import re
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from fixtures.finished_study import make_run
from seismag.cli import app
from seismag.compare.compute import compare_runs, describe_cost
from seismag.domain import DataError, SeismagError, UsageError
from seismag.files import write_checked_json
from seismag.models.architecture import describe_model
from seismag.models.cost import LatencyPlan
from seismag.report import evidence
from seismag.report import publication as module
from seismag.report.evidence import Evidence
from seismag.report.page import write_page
from seismag.report.publication import MARK, TEXTS, check_folder, write_publication
from seismag.report.quotation import without_sources
from seismag.report.typeset import write_pdf
from seismag.runs import Run, update_provenance

pytestmark = pytest.mark.usefixtures("here")
ONCE = LatencyPlan({1: 1, 32: 1}, warm_up=0)


@pytest.fixture(scope="module")
def publication(folder: Path, run: Path) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_publication([run], folder / "publication")
    return folder / "publication"


@pytest.fixture(scope="module")
def descriptions(run: Path) -> dict[str, Any]:
    """By function, what it says about the model of the run."""
    return {"describe_cost": describe_cost(run, ONCE), "describe_model": describe_model(run / "best_model.pth")}


def leave_out_pictures_and_rounds(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(module, "draw_report_figures", lambda *_: {})
    for name in ("write_pdf", "write_page"):
        patch.setattr(module, name, lambda *_: None)
    for name, measured in (("describe_cost", describe_cost), ("compare_runs", compare_runs)):
        patch.setattr(module, name, partial(measured, latency=ONCE))


@pytest.fixture
def believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the comparison with the predictions, for texts of results that no predictions have."""
    for name in ("require_same_sources", "require_same_card", "require_same_audit", "require_equal"):
        monkeypatch.setattr(f"seismag.report.evidence.{name}", lambda *_: None)


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave figures, PDF and page out, and time a pass once, where a test reads nothing but texts."""
    leave_out_pictures_and_rounds(monkeypatch)


@pytest.fixture
def texts_only(descriptions: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The same, with the one model described and its cost measured once."""
    leave_out_pictures_and_rounds(monkeypatch)
    for name, described in descriptions.items():
        monkeypatch.setattr(module, name, lambda _, described=described: described)


def change_metrics(run: Path, change: Any) -> None:
    metrics = json.loads((run / "metrics.json").read_text())
    change(metrics)
    write_checked_json(run / "metrics.json", metrics)


def write_audit(folder: Path, run: Path, **test: Any) -> None:
    gate = "fail" if test["verdict"] == "fail" else "pass"
    plain = {"sentence": "No.", "material": True, "gates": gate == "fail", "details": {}}
    audit = {"gate": gate, "tests": [{**plain, **test}], "family_wise_error": 0.01, "configurations_tried": 1,
             "subject": {"run_ids": [run.name]}, "settings": {"audit": {}, "evaluate": {}}}  # fmt: skip
    write_checked_json(folder / "audit.json", audit)


def text_of(publication: Path, name: str) -> str:
    return without_sources((publication / name).read_text())


def test_everything_that_was_promised_is_there(publication: Path) -> None:
    promised = [*TEXTS, "README.md", "MCC_ANALYSIS.json", "references.bib", "manuscript.pdf", "report.html", MARK]
    assert [name for name in promised if not (publication / name).is_file()] == []
    assert (publication / "manuscript.pdf").read_bytes().startswith(b"%PDF")


def test_all_figures_are_drawn_twice_or_say_why_not(publication: Path) -> None:
    missing = json.loads((publication / MARK).read_text())["not_drawn"]
    assert "the store keeps no catalogue" in missing["map"]
    assert "one fold only; all of them: seismag crossval" in missing["folds"]
    drawn = sorted((publication / "figures").glob("*.png"))
    assert len(drawn) >= 9
    for picture in drawn:
        assert picture.with_suffix(".pdf").read_bytes().startswith(b"%PDF")
        with Image.open(picture) as image:
            assert image.width in (1050, 2130)  # one column or a page at 300 dpi
            assert image.convert("RGB").getcolors(10) is None  # it has more


def test_every_number_has_its_source(publication: Path) -> None:
    assert check_folder(publication) == []
    quoted = sum(path.read_text().count("<!-- src:") for path in publication.glob("*.md"))
    assert quoted > 300


@pytest.mark.usefixtures("undrawn")
def test_no_folder_of_the_machine_is_published(
    publication: Path, copy: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = (str(folder.parent), str(Path(__file__).parents[3]))  # of the tests, of the repository

    def named_in(published: Path) -> list[str]:
        texts = [path for path in published.rglob("*") if path.suffix in (".md", ".json", ".html", ".csv", ".tex")]
        assert len(texts) > 20
        return [path.name for path in texts if any(place in path.read_text() for place in private)]

    assert named_in(publication) == []
    provenance = json.loads((copy / "provenance.json").read_text())
    provenance["command_line"] += ["--data", str(folder / "store"), f"--set=train.runs_dir={folder}/runs"]
    provenance["warnings"] = [f"{folder}/store: one sentence."]
    (copy / "provenance.json").write_text(json.dumps(provenance))
    monkeypatch.chdir(tmp_path)
    shutil.copytree(folder / "splits", tmp_path / "splits")
    write_publication([copy], tmp_path / "out", data=folder / "store")
    assert named_in(tmp_path / "out") == []
    (runs,) = json.loads(next((tmp_path / "out" / "sources").glob("*/runs.json")).read_text())["runs"]
    assert runs["provenance"]["command_line"][-3:] == ["--data", "store", "--set=train.runs_dir=runs"]
    assert runs["provenance"]["warnings"] == ["store: one sentence."]


def test_changed_number_in_a_text_is_found(publication: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(publication, tmp_path / "changed"))
    text = (other / "ABSTRACT.md").read_text()
    (other / "ABSTRACT.md").write_text(text.replace("192<!-- src", "193<!-- src", 1))
    (name, problem), *others = check_folder(other)
    assert (name, problem.shown, others) == ("ABSTRACT.md", "193", [])
    assert problem.reason.endswith("is 192")


def test_changed_record_is_found(publication: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(publication, tmp_path / "changed"))
    record = next((other / "sources").glob("*/data.json"))
    record.write_text(record.read_text().replace('"windows": 192', '"windows": 191', 1))
    assert {problem.shown for _, problem in check_folder(other)} == {"192"}


def test_changed_analysis_of_the_correlation_is_found(publication: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(publication, tmp_path / "changed"))
    document = json.loads((other / "MCC_ANALYSIS.json").read_text())
    document["detection"]["mcc"]["value"] = 0.99
    (other / "MCC_ANALYSIS.json").write_text(json.dumps(document))
    assert [name for name, _ in check_folder(other)] == ["MCC_ANALYSIS.json"]


@pytest.mark.usefixtures("texts_only")
@pytest.mark.parametrize(("section", "name"), [("azimuth", "macro_f1"), ("magnitude", "skill_above_best_baseline")])
def test_removed_metric_ends_the_report_with_its_name(copy: Path, tmp_path: Path, section: str, name: str) -> None:
    change_metrics(copy, lambda metrics: metrics[section].pop(name))
    with pytest.raises(DataError, match=rf"{section}/{name}"):
        write_publication([copy], tmp_path / "out")
    assert not (tmp_path / "out" / "MANUSCRIPT_DRAFT.md").exists()


def set_skill(metrics: dict[str, Any], low: float, value: float, high: float, groups: int = 20) -> None:
    metrics["n_event_groups"] = metrics["n_normal_groups"] = groups
    """Change a skill, and the score that it is the difference of."""
    entry = metrics["detection"]["skill_above_best_baseline"]["auc_within_station"]
    rule = metrics["detection"]["baselines"][entry["baseline"]]["auc_within_station"]
    metrics["detection"]["auc_within_station"]["value"] = rule + value
    entry.update(low=low, value=value, high=high, note=None)
    if groups < 10:
        reason = f"inconclusive ({groups} event clusters, {groups} control blocks; at least 10 of each are needed)"
        entry.update(low=None, high=None, note=reason)


@pytest.mark.usefixtures("texts_only", "believed")
@pytest.mark.parametrize(
    ("numbers", "groups", "words", "absent"),
    [
        ((-0.1, 0.01, 0.08), 20, ["Detection shows no skill", "null result", "+0.080 is excluded"], "shows skill:"),
        (
            (0.05, 0.2, 0.3),
            20,
            ["Detection shows skill", "+0.200 [+0.050, +0.300]", "not a sufficient"],
            "excluded",
        ),
        ((-0.3, -0.2, -0.1), 20, ["worse than the best non-magnetic baseline", "null result"], "shows skill:"),
        (
            (0.05, 0.2, 0.3),
            4,
            ["inconclusive (4 event clusters, 4 control", "More event clusters or control blocks are needed"],
            "excluded",
        ),
    ],
    ids=["null", "skill", "worse", "inconclusive"],
)
def test_text_follows_the_result(
    copy: Path, tmp_path: Path, numbers: tuple[float, float, float], groups: int, words: list[str], absent: str
) -> None:
    low, value, high = numbers
    change_metrics(copy, lambda metrics: set_skill(metrics, low, value, high, groups))
    write_publication([copy], tmp_path / "out")
    abstract = text_of(tmp_path / "out", "ABSTRACT.md")
    assert [word for word in words if word not in abstract] == []
    about_detection = abstract[abstract.index("Detection ") : abstract.index("Magnitude ")]
    assert absent not in about_detection
    title = abstract.splitlines()[0]
    assert ("No skill" in title) == ("null result" in words)
    assert title.endswith("(simulated data)")


@pytest.mark.usefixtures("texts_only", "believed")
def test_stage_sizes_and_the_last_epoch_are_told(copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "require_same_configuration", lambda *_: None)  # the log has that of the training
    path = copy / "config.yaml"
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    config["model"] |= {"depths": [1, 1, 2, 1]}
    config["train"] |= {"keep": "last"}
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    write_publication([copy], tmp_path / "out")
    architecture = text_of(tmp_path / "out", "MODEL_ARCHITECTURE.md")
    assert "| depths | 1, 1, 2, 1 |" in architecture
    assert "| widths | those of the backbone |" in architecture
    assert "The last epoch was kept" in text_of(tmp_path / "out", "MANUSCRIPT_DRAFT.md")


@pytest.mark.usefixtures("texts_only", "believed")
def test_classes_that_are_not_compared_are_named_with_their_groups_and_so_is_the_reason(
    copy: Path, tmp_path: Path
) -> None:
    reason = "inconclusive (groups by class: Normal 40, Large 9; at least two classes in 10 groups or more are needed)"

    def leave_out(metrics: dict[str, Any]) -> None:
        result = metrics["magnitude"]
        result["per_class"]["Large"].update(n=12, n_clusters=7)
        result["skill_above_best_baseline"]["balanced_accuracy"].update(
            classes=[name for name in result["per_class"] if name != "Large"], low=None, high=None, note=reason
        )

    change_metrics(copy, leave_out)
    write_publication([copy], tmp_path / "out")
    manuscript = text_of(tmp_path / "out", "MANUSCRIPT_DRAFT.md")
    assert "In balanced accuracy magnitude is compared over Normal, Moderate, Medium, without classes in" in manuscript
    assert re.search(r"fewer than ten groups: Large \(7", manuscript)
    assert f"Magnitude is {reason}" in text_of(tmp_path / "out", "ABSTRACT.md")


@pytest.mark.usefixtures("texts_only", "believed")
def test_coverage_of_conformal_sets_is_given_by_class_for_all_tasks(copy: Path, tmp_path: Path) -> None:
    write_publication([copy], tmp_path / "out")
    metrics = json.loads((copy / "metrics.json").read_text())
    rows = list(csv.DictReader((next((tmp_path / "out").rglob("sets.csv"))).open()))
    for task in ("detection", "magnitude", "azimuth"):
        sets = metrics[task]["conformal"]
        of_task = [row for row in rows if row["task"] == task]
        if always := sets["always_contained"]:
            assert of_task[-1]["true class"] == ", ".join(always)
        expected = {
            name: str(entry["coverage"]["value"])
            for name, entry in sets["by_class"].items()
            if entry["n"] and name not in always
        }
        assert {row["true class"]: row["coverage"] for row in of_task if row["coverage"] != "in every set"} == expected
    assert "Conformal prediction sets, by true class." in (next((tmp_path / "out").rglob("sets.tex"))).read_text()


@pytest.mark.usefixtures("texts_only", "believed")
def test_interval_above_zero_that_the_audit_does_not_accept_is_no_limit(copy: Path, tmp_path: Path) -> None:
    change_metrics(copy, lambda metrics: set_skill(metrics, 0.1, 0.2, 0.4))
    write_audit(tmp_path, copy, name="skill_above_no_signal", verdict="no_skill", statistic=0.2, p_value=0.04)
    write_publication([copy], tmp_path / "out", extras=[tmp_path])
    abstract = text_of(tmp_path / "out", "ABSTRACT.md")
    assert "the interval lies above zero, but the test of the audit" in abstract
    assert "more than +0.400" not in abstract


@pytest.mark.usefixtures("undrawn", "believed")
def test_naive_run_never_has_skill(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seismag.scoring.baselines.LOGISTIC_BASELINES", ())
    naive = make_run(folder, "naive", run_name="naive").path
    change_metrics(naive, lambda metrics: set_skill(metrics, 0.3, 0.4, 0.5))
    summary = write_publication([naive], tmp_path / "out")
    assert set(summary["outcomes"].values()) == {"naive"}
    abstract = text_of(tmp_path / "out", "ABSTRACT.md")
    assert "For comparison only" in abstract
    assert "shows skill" not in abstract


@pytest.mark.usefixtures("texts_only", "believed")
def test_failed_integrity_check_leaves_no_conclusion(run: Path, tmp_path: Path) -> None:
    write_audit(tmp_path, run, name="duplicates", verdict="fail", sentence="3 copies.", statistic=3.0, p_value=None)
    summary = write_publication([run], tmp_path / "out", extras=[tmp_path])
    assert summary["conclusion"] == "invalid"
    abstract = text_of(tmp_path / "out", "ABSTRACT.md")
    assert "A blocking integrity check failed" in abstract
    assert "No conclusion is drawn" in abstract
    assert "3 copies." in text_of(tmp_path / "out", "MANUSCRIPT_DRAFT.md")


@pytest.mark.usefixtures("texts_only")
def test_explanation_is_quoted_with_its_doubts(run: Path, tmp_path: Path) -> None:
    drop = {"log_score": {"value": 0.2, "low": 0.1, "high": 0.3}}
    part = {"band": "Pc3", "component": "all", **dict.fromkeys(("detection", "magnitude", "azimuth"), drop)}
    explanation = {
        "model_run_id": run.name, "method": "gradcam", "n_windows": 8, "n_study_windows": 80,
        "sanity": [{"name": "random_weights", "verdict": "fail", "sentence": "The maps correlate at 0.93."}],
        "warnings": ["the maps are not to be read as explanations"],
        "band_importance": {"parts": [part]},
        "windows": [{"y_magnitude": "Large", "file": "windows/a.png"}],
    }  # fmt: skip
    write_checked_json(tmp_path / "explanation.json", explanation)
    summary = write_publication([run], tmp_path / "out", extras=[tmp_path])
    manuscript = text_of(tmp_path / "out", "MANUSCRIPT_DRAFT.md")
    assert "`random_weights` (fail): The maps correlate at 0.93." in manuscript
    assert "| Pc3, all | +0.200 [+0.100, +0.300] |" in manuscript
    assert "explanation.json" not in summary["not_recorded"]


def test_tables_name_the_source_of_each_cell(publication: Path, run: Path) -> None:
    with (publication / "tables" / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    record = json.loads((run / "metrics.json").read_text())
    assert [row["task"] for row in rows] == ["detection", "magnitude", "azimuth"]
    for row in rows:
        assert float(row["MCC"]) == record[row["task"]]["mcc"]["value"]
        assert row["MCC source"] == f"{run.name} metrics.json#/{row['task']}/mcc"
    latex = (publication / "tables" / "scores.tex").read_text()
    assert latex.count("% src:") == 3
    assert re.search(r"detection & [-+\d.]+ \[", latex)


def test_manuscript_cites_only_what_is_in_the_bibliography(publication: Path) -> None:
    keys = set(re.findall(r"@\w+\{([\w-]+),", (publication / "references.bib").read_text()))
    cited = set(re.findall(r"@([a-z][\w-]+)", (publication / "MANUSCRIPT_DRAFT.md").read_text()))
    assert cited
    assert cited <= keys


@pytest.mark.usefixtures("undrawn")
def test_crossval_is_reported_with_its_folds(crossval: Evidence, tmp_path: Path) -> None:
    summary = write_publication([crossval.path], tmp_path / "out")
    assert summary["subject"] == "loeo_convnext_results"
    manuscript = text_of(tmp_path / "out", "MANUSCRIPT_DRAFT.md")
    assert "All 2 folds were trained" in manuscript
    assert "| fold `2` |" in manuscript


@pytest.mark.usefixtures("undrawn")
def test_several_runs_are_compared_in_identical_folds(run: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(run, run.parent / "other"))
    update_provenance(Run(other), run_id="other", created_utc="2100-01-01T00:00:00Z")
    settings = yaml.safe_load((run / "config.yaml").read_text())
    settings["train"]["learning_rate"] = 0.003
    (other / "config.yaml").write_text(yaml.safe_dump(settings))
    write_publication([run, other], tmp_path / "out")
    text = text_of(tmp_path / "out", "COMPARISON_WITH_OTHER_MODELS.md")
    assert "Differences are paired" in text
    assert f"| `{other.name}` |" in text
    record = json.loads((tmp_path / "out" / "sources" / run.name / "comparison.json").read_text())
    assert [model["id"] for model in record["models"]] == [run.name, other.name]
    tried = text_of(tmp_path / "out", "CONFIGURATIONS_TRIED.md")
    assert "`train.learning_rate=0.003`" in tried
    assert check_folder(tmp_path / "out") == []


@pytest.mark.usefixtures("texts_only")
def test_second_report_replaces_the_first_but_no_file_of_somebody_else(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_publication([run], out)
    (out / "tables" / "stale.csv").write_text("x")
    write_publication([run], out)
    assert not (out / "tables" / "stale.csv").exists()
    assert check_folder(out) == []
    (out / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"contains notes\.txt, which no report made"):
        write_publication([run], out)
    assert (out / "notes.txt").read_text() == "mine"


@pytest.mark.usefixtures("texts_only")
def test_report_that_fails_leaves_the_earlier_one_as_it_was(run: Path, copy: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_publication([run], out)
    manuscript = out / "MANUSCRIPT_DRAFT.md"
    manuscript.write_text(manuscript.read_text().replace("Authors, affiliations", "J. Doe, affiliations", 1))
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    change_metrics(copy, lambda metrics: metrics["azimuth"].pop("brier"))
    for place in (out, tmp_path / "new"):
        with pytest.raises(DataError, match=r"azimuth/brier"):
            write_publication([copy], place)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    assert not (tmp_path / "new").exists()


@pytest.mark.usefixtures("texts_only")
def test_interrupted_report_leaves_nothing_behind(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "write_tables", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_publication([run], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("texts_only")
def test_tags_in_recorded_words_are_shown_and_not_obeyed(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "write_page", write_page)
    words = '<script>document.title = "changed"</script> <img src=x onerror=alert()> where p < 0.05'
    change_metrics(copy, lambda metrics: metrics["warnings"].append(words))
    write_publication([copy], tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text()
    assert "<script>document.title" not in page
    assert "<img src=x" not in page
    assert "&lt; script>document.title" in page.replace("&gt;", ">")
    assert "where p < 0.05" in text_of(tmp_path / "out", "MANUSCRIPT_DRAFT.md")


def test_foreign_folder_is_not_touched_and_out_that_cannot_be_written_is_named(run: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match="contains files that no report made"):
        write_publication([run], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    with pytest.raises(UsageError, match=r"a file\. Name a folder"):
        write_publication([run], tmp_path / "file")
    with pytest.raises(DataError, match=r"cannot be written \(.*\). Choose another folder"):
        write_publication([run], tmp_path / "file" / "out")


def test_missing_package_is_named_before_the_work(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None if name in ("typst", "plotly") else object())
    with pytest.raises(SeismagError, match=r"needs Plotly and typst: pip install 'seismag\[report\]'"):
        write_publication([run], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_missing_typst_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "typst", None)
    with pytest.raises(SeismagError, match=r"needs typst: pip install 'seismag\[report\]'"):
        write_pdf("# Title", "Title", tmp_path)


@pytest.mark.usefixtures("texts_only")
def test_command_prints_the_outcome_and_what_is_missing_or_json_alone(run: Path, tmp_path: Path) -> None:
    arguments = ["report", str(run), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "outcome     detection:" in result.output
    assert "missing     audit.json; made by: seismag audit --predictions" in result.output
    document = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    assert document["subject"] == run.name
    assert set(document["outcomes"]) == {"detection", "magnitude", "azimuth"}
