"""``seismag models`` and ``prepare --legacy`` as a user meets them: one JSON document, exit codes, no traceback."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from seismag.cli import main

ROOT = Path(__file__).resolve().parents[2]


class Finished(NamedTuple):
    code: int
    stdout: str
    stderr: str


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Finished]:
    """Run the command line in this process (an interpreter of its own costs a second each)."""

    def run_main(*arguments: object) -> Finished:
        monkeypatch.setattr(sys, "argv", ["seismag", *map(str, arguments)])
        before = signal.getsignal(signal.SIGINT)
        with pytest.raises(SystemExit) as end:
            main()
        signal.signal(signal.SIGINT, before)
        written = capsys.readouterr()
        return Finished(int(end.value.code or 0), written.out, written.err)

    return run_main


def test_list_prints_one_json_document_and_nothing_else(run):
    result = run("models", "list", "--json")
    assert (json.loads(result.stdout), result.stderr, result.code) == ({"models": []}, "", 0)
    assert "make demo" in run("models", "list").stdout


def test_a_failed_verification_is_printed_and_ends_with_status_1(run, tmp_path):
    (tmp_path / "m.pth").write_bytes(b"no model")
    result = run("models", "verify", "m.pth", "--json")
    assert result.code == 1
    (entry,) = json.loads(result.stdout)["models"]
    assert not entry["ok"]
    assert result.stderr == "seismag: 1 of 1 models failed the check: m.pth.\n"


def test_the_script_of_earlier_systems_says_where_models_come_from():
    script = ROOT / "scripts" / "download_models.py"
    assert len(script.read_text().splitlines()) <= 10
    result = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert all(way in result.stderr for way in ("make demo", "seismag train", "models fetch"))
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["models", "fetch", "nowhere.pth"], 1, "nowhere.pth: no such file"),
        (["models", "promote", "nowhere.pth"], 1, "nowhere.pth: no such model"),
        (["models", "import-legacy", "a.pth", "--out", "b.bin"], 2, "end it in .pth"),
        (["prepare"], 2, "Missing option --archive: give --archive DIR and --catalog FILE, or --legacy DIR"),
        (["prepare", "--archive", "x"], 2, "Missing option --catalog"),
        (["prepare", "--legacy", "x"], 2, "Missing option --out"),
        (["prepare", "--legacy", "x", "--out", "y", "--set", "data.n_bins=9"], 2, "--set: mean nothing with --legacy"),
        (["prepare", "--archive", "x", "--catalog", "y", "--allow-augmented"], 2, "belong to --legacy"),
        (["prepare", "--legacy", "x", "--out", "y"], 1, "x: no such folder"),
    ],
)
def test_a_mistake_is_one_sentence_and_a_status(arguments, code, message, run):
    result = run(*arguments)
    assert result.code == code
    assert message in result.stderr
    assert result.stderr.startswith("seismag: ")
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
