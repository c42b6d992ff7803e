"""``seismag models`` and ``seismag legacy`` as a user meets them: one JSON document, exit codes, no traceback."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fixtures.commands import run_script
from fixtures.commands import run_seismag as run

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_list_prints_one_json_document_and_nothing_else():
    result = run("models", "list", "--json")
    assert (json.loads(result.stdout), result.stderr, result.returncode) == ({"models": []}, "", 0)
    assert "make demo" in run("models", "list").stdout


def test_a_failed_verification_is_printed_and_ends_with_status_1(tmp_path):
    (tmp_path / "m.pth").write_bytes(b"no model")
    result = run("models", "verify", "m.pth", "--json")
    assert result.returncode == 1
    (entry,) = json.loads(result.stdout)["models"]
    assert not entry["ok"]
    assert json.loads(result.stderr)["error"]["message"] == "1 of 1 models failed the check: m.pth."


def test_the_script_of_earlier_systems_says_where_models_come_from():
    script = ROOT / "scripts" / "download_models.py"
    assert len(script.read_text().splitlines()) <= 10
    result = run_script(script)
    assert result.returncode == 2
    assert all(way in result.stderr for way in ("make demo", "seismag train", "models fetch"))
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["models", "fetch", "nowhere.pth"], 1, "nowhere.pth: no such file"),
        (["models", "promote", "nowhere.pth"], 1, "nowhere.pth: no such model"),
        (["legacy", "weights", "a.pth", "--out", "b.bin"], 2, "end it in .pth"),
        (["prepare"], 2, "Missing option '--archive'"),
        (["prepare", "--archive", "x"], 2, "Missing option '--catalog'"),
        (["legacy", "pictures", "x"], 2, "Missing option '--out'"),
        (["legacy", "pictures", "x", "--out", "y"], 1, "x: no such folder"),
    ],
)
def test_a_mistake_is_one_sentence_and_a_status(arguments, code, message):
    result = run(*arguments)
    assert result.returncode == code
    assert message in result.stderr
    assert result.stderr.splitlines()[-1].startswith("seismag: ")
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
