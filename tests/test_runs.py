"""Run folders, provenance, atomic files, cards."""

from __future__ import annotations

import json
import os
import re
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from seismag.cards import card_path, read_card, write_card
from seismag.config import Config, build_config, load_config
from seismag.domain import SeismagError, UsageError
from seismag.files import atomic_path, file_sha256, without_folders, write_json_atomic, write_text_atomic
from seismag.runs import (
    config_yaml,
    create_run,
    finish_run,
    git_state,
    read_run,
    shrink_for_trial,
    tracked,
    update_provenance,
)

MOMENT = datetime(2026, 2, 5, 10, 9, 24, tzinfo=UTC)


def test_run_folder_is_named_after_run_and_utc_second(tmp_path: Path) -> None:
    run = create_run(tmp_path, "convnext_tiny", Config(), clock=lambda: MOMENT)
    assert run.run_id == "convnext_tiny_20260205_100924"
    assert run.path == tmp_path / run.run_id


def test_two_runs_in_the_same_second_get_two_folders(tmp_path: Path) -> None:
    moments = iter([MOMENT, MOMENT, MOMENT, MOMENT + timedelta(seconds=1)])
    first, second = (create_run(tmp_path, "a", Config(), clock=lambda: next(moments)) for _ in range(2))
    assert (first.run_id, second.run_id) == ("a_20260205_100924", "a_20260205_100925")


def test_provenance_tells_where_the_run_comes_from(tmp_path: Path) -> None:
    config = build_config({"split": {"name": "loeo", "fold": 3}, "train": {"seed": 11}})
    run = create_run(
        tmp_path, "a", config, dataset_id="d1", split_certificate_sha256="ab", notes=("small",), clock=lambda: MOMENT
    )
    facts = read_run(run.path).provenance()
    assert facts["run_id"] == run.run_id
    assert facts["status"] == "running"
    assert facts["created_utc"] == "2026-02-05T10:09:24Z"
    assert (facts["dataset_id"], facts["split_name"], facts["fold"]) == ("d1", "loeo", 3)
    assert facts["split_certificate_sha256"] == "ab"
    assert facts["seeds"]["train"] == 11
    assert facts["notes"] == ["small"]
    assert {"numpy", "torch", "zarr"} <= set(facts["packages"])
    assert facts["command_line"]


def test_config_of_a_run_reads_back_unchanged(tmp_path: Path) -> None:
    awkward = build_config(
        {
            "train": {"run_name": "1e4", "learning_rate": 1e-5},
            "simulate": {"stations": ["NO", "on", "1e3", "0x1F", "~", "null"]},
            "data": {"max_depth_km": None, "match_kp": None, "store": "a: b # c"},
        }
    )
    assert create_run(tmp_path, "a", awkward).config() == awkward
    (tmp_path / "default.yaml").write_text(config_yaml(Config()))
    assert load_config(tmp_path / "default.yaml") == Config()


def test_end_of_a_run_is_written_down(tmp_path: Path) -> None:
    run = create_run(tmp_path, "a", Config())
    update_provenance(run, warnings=["w"])
    finish_run(run)
    facts = run.provenance()
    assert (facts["status"], facts["error"], facts["warnings"]) == ("complete", None, ["w"])
    assert facts["finished_utc"].endswith("Z")


def test_tracked_run_that_raises_is_marked_failed_with_its_reason(tmp_path: Path) -> None:
    run = create_run(tmp_path, "a", Config())
    with pytest.raises(KeyboardInterrupt), tracked(run):
        raise KeyboardInterrupt("stop")
    assert run.provenance()["status"] == "failed"
    assert run.provenance()["error"] == "KeyboardInterrupt: stop"
    with tracked(run):
        pass
    assert run.provenance()["status"] == "complete"


def test_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SeismagError, match=r"not a run folder \(config.yaml is missing\).*seismag train"):
        read_run(tmp_path)


def test_runs_dir_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SeismagError, match=r"train\.runs_dir"):
        create_run(tmp_path / "file", "a", Config())


def test_git_state_is_that_of_the_checkout_which_tracks_the_file(tmp_path: Path) -> None:
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    (tmp_path / "code.py").write_text("1")
    for command in (["init", "-q"], ["add", "code.py"], [*identity, "commit", "-qm", "x"]):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True, env=environment)
    clean = git_state(tmp_path / "code.py")
    assert clean is not None
    assert re.fullmatch(r"[0-9a-f]{40}", clean["commit"])
    assert clean["dirty"] is False
    (tmp_path / "code.py").write_text("2")
    assert git_state(tmp_path / "code.py") == {**clean, "dirty": True}
    (tmp_path / "installed.py").write_text("")
    assert git_state(tmp_path / "installed.py") is None


def test_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    write_text_atomic(tmp_path / "a.txt", "old")
    with pytest.raises(RuntimeError), atomic_path(tmp_path / "a.txt") as temporary:  # noqa: PT012
        temporary.write_text("half")
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("HERE/data/store", "data/store"),
        ("/srv/alice/data/store", "store"),
        ("--data=/srv/alice/store", "--data=store"),
        ("'/srv/alice/store': no such store; see `HERE/a.json`.", "'store': no such store; see `a.json`."),
        ("runs in HERE/runs, store (/srv/alice/store)", "runs in runs, store (store)"),
        ("/srv/alice/.hidden", ".hidden"),
        ("data/store", "data/store"),
        ("https://example.org/a/b, 3 nT/s, 1 / 2, metrics.json#/detection/mcc", None),
    ],
)
def test_documents_name_paths_without_the_folders_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, shown: str | None
) -> None:
    here = tmp_path / "my folder"
    here.mkdir()
    monkeypatch.chdir(here)
    given = {"a": [text.replace("HERE", str(here)), 3], "b": None}
    assert without_folders(given) == {"a": [shown or text, 3], "b": None}


def test_json_holds_numpy_numbers_and_null_for_nan(tmp_path: Path) -> None:
    write_json_atomic(
        tmp_path / "a.json",
        {"x": np.float32(0.5), "n": np.int64(3), "v": np.array([1.0, np.nan]), 1: (np.float32(np.inf),)},
    )
    assert json.loads((tmp_path / "a.json").read_text()) == {"x": 0.5, "n": 3, "v": [1.0, None], "1": [None]}


def test_card_holds_the_sum_of_its_file(tmp_path: Path) -> None:
    file = tmp_path / "m.pth"
    file.write_bytes(b"abc")
    assert write_card(file, {"backbone": "b"}) == card_path(file) == tmp_path / "m.json"
    card = read_card(file).document
    # sha256 of "abc", FIPS 180-4 example
    assert card["sha256"] == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" == file_sha256(file)
    assert (card["backbone"], card["bytes"], card["file"]) == ("b", 3, "m.pth")


def test_file_that_differs_from_its_card_is_called_corrupted(tmp_path: Path) -> None:
    file = tmp_path / "m.pth"
    file.write_bytes(b"abc")
    write_card(file, {})
    file.write_bytes(b"abd")
    with pytest.raises(SeismagError, match=r"m\.pth: corrupted"):
        read_card(file)


def test_crash_between_card_and_file_leaves_a_valid_pair(tmp_path: Path) -> None:
    file = tmp_path / "m.pth"
    file.write_bytes(b"old")
    write_card(file, {})
    with pytest.raises(RuntimeError), atomic_path(file) as temporary:  # noqa: PT012
        temporary.write_bytes(b"new")
        write_card(file, {}, content=temporary)
        raise RuntimeError("power cut")
    assert file.read_bytes() == b"old"
    read_card(file)


def test_missing_file_and_missing_card_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(SeismagError, match="no such file"):
        read_card(tmp_path / "m.pth")
    (tmp_path / "m.pth").write_bytes(b"abc")
    with pytest.raises(SeismagError, match=r"model card m\.json is missing.*Copy both"):
        read_card(tmp_path / "m.pth")
    (tmp_path / "m.json").write_text("{")
    with pytest.raises(SeismagError, match="not valid JSON"):
        read_card(tmp_path / "m.pth")


def test_small_variable_shrinks_model_and_epochs_and_says_so() -> None:
    config = build_config({"train": {"epochs": 50}, "model": {"pretrained": True}})
    small, sentence = shrink_for_trial(config, {"SEISMAG_SMALL": "1"})
    assert (small.model.backbone, small.model.pretrained, small.train.epochs) == ("convnext_atto", False, 1)
    assert sentence is not None
    assert "1 of 50 epochs" in sentence
    assert small.split == config.split


@pytest.mark.parametrize("environ", [{}, {"SEISMAG_SMALL": ""}, {"SEISMAG_SMALL": "0"}])
def test_without_the_small_variable_the_configuration_stays(environ: dict[str, str]) -> None:
    assert shrink_for_trial(Config(), environ) == (Config(), None)


def test_small_variable_with_another_value_is_refused() -> None:
    with pytest.raises(UsageError, match="SEISMAG_SMALL=yes: write 1"):
        shrink_for_trial(Config(), {"SEISMAG_SMALL": "yes"})
