"""The registry: what lies where, whether it is whole, what may become the production model."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from fixtures.stored_model import METRICS, write_model
from seismag.domain import SeismagError, UsageError
from seismag.files import file_sha256, write_checked_json
from seismag.legacy.weights import import_weights
from seismag.models.registry import (
    describe_models,
    describe_promotion,
    describe_verification,
    list_models,
    promote_model,
    require_verified,
    verify_models,
)
from seismag.training.checkpoint import load_checkpoint

PRODUCTION = Path("convnext_production_model/best_convnext_model.pth")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_models_are_listed_by_their_cards(here: Path) -> None:
    write_model(here / "models" / "a.pth")
    write_model(here / "experiments_convnext" / "run_1" / "best_model.pth", data_origin=["simulated"], metrics={})
    shutil.copy(here / "models" / "a.pth", here / "experiments_convnext" / "run_1" / "checkpoint_latest.pth")
    rows = list_models()
    assert [row.file for row in rows] == ["models/a.pth", "experiments_convnext/run_1/best_model.pth"]
    assert [row.status for row in rows] == ["ok", "ok"]
    assert rows[0].detection == METRICS["detection"]["skill_above_best_baseline"]["balanced_accuracy"]
    lines = describe_models(rows).splitlines()
    assert "+0.120 [+0.030, +0.210]" in lines[1]
    assert "simulated" in lines[2]
    assert "not evaluated" in lines[2]
    assert len({line.index("convnext_atto") for line in lines[1:-1]}) == 1


def test_a_model_without_a_usable_card_is_listed_with_what_is_wrong(here: Path) -> None:
    for name in ("a", "b", "c", "d"):
        write_model(here / "models" / f"{name}.pth")
    (here / "models" / "a.json").unlink()
    (here / "models" / "b.json").write_text("{")
    (here / "models" / "c.json").write_text("[]")
    with (here / "models" / "d.pth").open("ab") as file:
        file.write(b"x")
    statuses = [row.status for row in list_models([here / "models"])]
    assert statuses[0] == "no model card (a.json)"
    assert statuses[1].startswith("damaged or changed model card (b.json: not valid JSON")
    assert statuses[2].startswith("damaged or changed model card (c.json: has no checksum of its own")
    assert statuses[3].endswith("by its model card")


def test_where_no_model_is_the_way_to_one_is_told(here: Path) -> None:
    assert list_models() == []
    assert "make demo" in describe_models([])
    with pytest.raises(UsageError, match=r"nowhere: no such folder.*seismag train"):
        list_models([here / "nowhere"])


def test_a_whole_model_is_verified_and_a_damaged_one_named(here: Path) -> None:
    good = write_model(here / "good.pth")
    bad = write_model(here / "bad.pth")
    bad.write_bytes(bad.read_bytes()[:-7])
    (here / "page.pth").write_text("<html></html>")
    results = verify_models([good, bad, here / "page.pth", here / "absent.pth"])
    assert [entry.ok for entry in results] == [True, False, False, False]
    assert results[0].sha256 == file_sha256(good)
    assert "bad.pth: corrupted" in results[1].reason
    assert "model card page.json is missing" in results[2].reason
    assert "no such model" in results[3].reason
    assert describe_verification(results).splitlines()[0].startswith("ok ")
    with pytest.raises(SeismagError, match=r"3 of 4 models failed the check: .*bad\.pth"):
        require_verified(results)
    require_verified(results[:1])


@pytest.mark.parametrize("card", [{}, {"format_version": "x"}, {"model": None}])
def test_a_card_that_lacks_what_was_written_is_damaged_not_a_traceback(card: dict[str, Any], here: Path) -> None:
    path = write_model(here / "m.pth", **card) if card else write_model(here / "m.pth")
    if not card:
        write_checked_json(here / "m.json", {"sha256": 3})
    (result,) = verify_models([path])
    assert not result.ok
    assert "m.pth" in result.reason


def test_a_judged_model_becomes_the_production_model(here: Path) -> None:
    run = write_model(here / "experiments_convnext" / "run_1" / "best_model.pth").parent
    result = promote_model(run)
    assert result.file == str(PRODUCTION)
    assert result.promoted["replaces"] is None
    card = load_checkpoint(PRODUCTION).card
    assert card.run_id == "trial_20210101_000000"
    beside = json.loads(PRODUCTION.with_suffix(".json").read_text())
    assert beside["promoted"]["from"] == "experiments_convnext/run_1"
    assert beside["file"] == "best_convnext_model.pth"
    assert "replaces    nothing" in describe_promotion(result)


def test_what_is_replaced_is_recorded(here: Path) -> None:
    promote_model(write_model(here / "first.pth", run_id="first"))
    before = file_sha256(PRODUCTION)
    result = promote_model(write_model(here / "second.pth", run_id="second"))
    replaces = json.loads(PRODUCTION.with_suffix(".json").read_text())["promoted"]["replaces"]
    assert (replaces["run_id"], replaces["sha256"], replaces["metrics"]) == ("first", before, METRICS)
    assert "replaces    first, +0.120 [+0.030, +0.210]" in describe_promotion(result)
    assert load_checkpoint(PRODUCTION).card.run_id == "second"
    assert [row.promoted["replaces"]["run_id"] for row in list_models() if row.promoted] == ["first"]


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"metrics": {}}, "no metrics in its model card"),
        ({"metrics": {"balanced_accuracy": 0.9}}, "no metrics in its model card"),
        ({"data_origin": ["simulated"]}, r"simulated data.*--allow-simulated"),
        ({"data_origin": ["observed", "simulated"]}, r"simulated data.*--allow-simulated"),
        ({"data_origin": ["legacy_image"]}, "of the origin legacy_image"),
        ({"data_origin": []}, r"\(not stated\)"),
    ],
)
def test_a_model_that_nobody_can_answer_for_is_not_promoted(facts: Any, message: str, here: Path) -> None:
    path = write_model(here / "m.pth", **facts)
    with pytest.raises(SeismagError, match=message):
        promote_model(path)
    assert not PRODUCTION.exists()


def test_a_simulated_model_is_promoted_on_request_with_a_warning(here: Path) -> None:
    result = promote_model(write_model(here / "m.pth", data_origin=["simulated"]), allow_simulated=True)
    assert "SIMULATED" in describe_promotion(result)


def test_the_production_model_is_not_promoted_onto_itself(here: Path) -> None:
    promote_model(write_model(here / "m.pth"))
    with pytest.raises(UsageError, match="is the production model already"):
        promote_model(PRODUCTION)


def test_a_place_that_cannot_be_written_is_named(here: Path) -> None:
    PRODUCTION.parent.write_text("")
    with pytest.raises(SeismagError, match=r"best_convnext_model\.pth: cannot be written"):
        promote_model(write_model(here / "m.pth"))


@pytest.mark.parametrize(
    ("source", "out", "message"),
    [
        ("absent.pth", "new.pth", r"absent\.pth: no such file"),
        ("m.pth", "new.bin", r"new\.bin: end it in \.pth"),
        ("m.pth", "m.pth", r"m\.pth: exists, or its model card does"),
        ("m.pth", "new.pth", "is a seismag checkpoint already"),
    ],
)
def test_an_import_that_cannot_be_is_refused(source: str, out: str, message: str, here: Path) -> None:
    write_model(here / "m.pth")
    with pytest.raises(SeismagError, match=message):
        import_weights(Path(source), Path(out), {"magnitude": "a, b", "azimuth": None}, "imagenet")
    assert not os.path.exists("new.pth")
