"""A damaged model card or checkpoint is refused with its file and reason, and hides no other model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from fixtures.damage import damaged_documents, faults, outcome
from fixtures.stored_model import write_model
from seismag.cards import ModelCard, write_card
from seismag.domain import DataError
from seismag.files import write_checked_json
from seismag.models.registry import describe_models, describe_verification, list_models, verify_models
from seismag.models.use import intended_use
from seismag.scoring.reference import PredictionReference
from seismag.training.checkpoint import load_checkpoint

REFERENCE = {
    "fold": 1, "controls": [0.1, 0.5], "n_control_blocks": 2, "stations": {"GTO": {"n_events": 1, "n": 3}},
    "calibrations": {"detection": {"temperature": 1.0, "shift": {"Normal": 0.1, "Event": -0.1}}}, "n_calibration": 3,
    "n_calibration_groups": 3, "not_calibrated": None,
}  # fmt: skip


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(
        tmp_path_factory.mktemp("cards") / "m.pth", rows=8, frequency_hz=[1.0] * 8, time_s=[1.0], reference=REFERENCE,
        sealed_days_utc=["2020-01-01", "2020-02-01"], normalisation={"method": "training"}, split={"method": "loeo"},
        promoted={"from": "x", "at_utc": "y", "replaces": None},
    )  # fmt: skip


def list_and_describe(folder: Path) -> None:
    describe_models(list_models([folder]))


def use_card(card: ModelCard) -> None:
    intended_use(card)
    assert card.is_naive in (True, False)
    if card.reference is not None:
        PredictionReference.from_json(card.reference).base_rate("GTO")


def test_damaged_cards_are_rows_of_the_list(model: Path):
    card = model.with_suffix(".json")
    whole = card.read_bytes()
    cases = damaged_documents(json.loads(whole), 4, 150)
    assert (
        faults(cases, lambda changed: write_checked_json(card, changed), lambda: list_and_describe(model.parent)) == []
    )
    card.write_bytes(whole)


def test_one_bad_card_does_not_hide_the_others(model: Path, tmp_path: Path):
    for name in ("bad", "good"):
        (tmp_path / f"{name}.pth").write_bytes(model.read_bytes())
        (tmp_path / f"{name}.json").write_bytes(model.with_suffix(".json").read_bytes())
    write_checked_json(tmp_path / "bad.json", {**json.loads((tmp_path / "bad.json").read_bytes()), "fold": [3]})
    bad, good = list_models([tmp_path])
    assert good.status == "ok"
    assert bad.status == (
        "damaged or changed model card (bad.json: fold is [3], expected is a valid integer. Copy both files again from "
        "where they were made.)"
    )
    assert "bad.pth" in describe_models([bad, good])


def test_damaged_documents_of_a_card_are_refused_where_they_are_used(model: Path):
    document = json.loads(model.with_suffix(".json").read_bytes())
    cards: list[Any] = []
    cases = damaged_documents(document, 5, 300)
    assert faults(cases, cards.append, lambda: use_card(ModelCard.from_json(cards[-1], "m.json"))) == []


def test_the_message_names_file_key_value_and_remedy():
    with pytest.raises(DataError) as caught:
        ModelCard.from_json({"run_id": 3, "time_s": ["a"], "preprocessing": "x" * 10**6}, "m.json")
    assert str(caught.value) == (
        "m.json: run_id is 3, expected is a valid string; preprocessing is "
        "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', expected is a valid "
        "dictionary; time_s/0 is 'a', expected is a valid number. Copy both files again from where they were made."
    )


def test_keys_of_a_later_version_are_kept():
    card = ModelCard.from_json({"run_id": "r", "invented": [1]})
    assert card.document["invented"] == [1]


ENTRIES = {
    "none": None, "a list": [], "a text": "x", "whole numbers": torch.zeros((3, 8), dtype=torch.int8),
    "sparse": torch.zeros((3, 8)).to_sparse(), "complex": torch.zeros((3, 8), dtype=torch.complex64),
    "half": torch.zeros((3, 8), dtype=torch.float16), "without data": torch.zeros((3, 8), device="meta"),
    "of no length": torch.zeros(0), "not finite": torch.full((3, 8), float("nan")),
}  # fmt: skip


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("part", ["model", "scaling"])
def test_another_entry_among_the_weights_is_refused(model: Path, tmp_path: Path, part: str, entry: str):
    content = torch.load(model, weights_only=True)
    first = next(iter(content[part]))
    path = tmp_path / "m.pth"
    for key in (first, 3):
        torch.save({**content, part: {**content[part], key: ENTRIES[entry]}}, path)
        write_card(path, content["card"])
        assert outcome(lambda: load_checkpoint(path)) == "refused"
        assert describe_verification(verify_models([path])).startswith("FAILED")


@pytest.mark.parametrize(
    "facts",
    [
        {"model": []}, {"model": {"backbone": 3}}, {"model": {"backbone": "convnext_atto", "head_width": 10**12}},
        {"model": {"backbone": "convnext_atto", "depths": [10**9] * 4}}, {"magnitude_classes": "Normal"},
        {"azimuth_classes": [["N"]]}, {"preprocessing": [1]}, {"format_version": "2"}, {"frequency_hz": [1.0]},
        {"sealed_days_utc": ["2020-01-01"]}, {"sealed_days_utc": ["2020-99-01", "2020-01-01"]},
    ],
)  # fmt: skip
def test_a_card_within_the_weights_is_checked_too(model: Path, tmp_path: Path, facts: dict[str, Any]):
    content = torch.load(model, weights_only=True)
    card = {**content["card"], **facts}
    path = tmp_path / "m.pth"
    torch.save({**content, "card": card}, path)
    write_card(path, card)
    assert outcome(lambda: load_checkpoint(path)) == "refused"
