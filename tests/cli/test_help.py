"""What every command has in common: help, options, errors under --json, quiet, width."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
from typer.main import get_command

from fixtures.commands import run_seismag
from seismag.cli import app, terminal
from seismag.cli.terminal import make_progress
from seismag.config import Config

COMMON = {"config", "overrides", "as_json", "help"}


def commands(group=None, name: str = "") -> Iterator[tuple[str, object]]:
    group = group or get_command(app)
    for word, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{name}{word} ")
        else:
            yield f"{name}{word}", command


ALL = dict(commands())


@pytest.fixture(autouse=True)
def _not_quiet() -> None:
    terminal.set_quiet(False)


@pytest.mark.parametrize("name", ALL)
def test_help_shows_an_example_within_80_columns(name):
    shown = run_seismag(*name.split(), "-h")
    assert shown.returncode == 0
    assert "Example:\n" in shown.stdout
    assert f"    seismag {name}" in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 80


@pytest.mark.parametrize("name", ALL)
def test_a_command_has_at_most_seven_options_beside_the_common_ones(name):
    options = [p for p in ALL[name].params if p.param_type_name == "option" and p.name not in COMMON]
    assert len(options) <= 7


@pytest.mark.parametrize("group", [[], ["models"], ["fetch"], ["legacy"]])
def test_no_summary_is_clipped(group):
    listed = run_seismag(*group, "--help").stdout.partition("Commands:")[2]
    assert "..." not in listed


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["inspect", "none"], 1), (["frobnicate"], 2), (["audit"], 2), (["prepare"], 2), (["train", "--set", "a=1"], 2)],
)
def test_errors_under_json_are_one_document_on_standard_error(arguments, code):
    result = run_seismag(*arguments, "--json")
    error = json.loads(result.stderr)["error"]
    assert (result.returncode, error["exit_code"], result.stdout) == (code, code, "")
    assert error["message"]


def test_version_is_one_line():
    assert run_seismag("--version").stdout.startswith("seismag 0.")


def test_config_prints_every_key_with_its_default_unit_and_meaning():
    keys = {entry["key"]: entry for entry in json.loads(run_seismag("config", "--json").stdout)["keys"]}
    assert set(Config.model_fields["data"].annotation.model_fields) == {
        key.removeprefix("data.") for key in keys if key.startswith("data.")
    }
    assert keys["data.window_h"]["default"] == 6
    assert keys["data.window_h"]["unit"] == "h"
    text = run_seismag("config").stdout
    assert all(key in text for key in keys)
    assert max(map(len, text.splitlines())) <= 80


def test_quiet_says_nothing_but_the_result(tmp_path):
    settings = ["--set", "simulate.days=1", "--set", "simulate.stations=[GTO]"]
    result = run_seismag("simulate", "--out", tmp_path / "a", *settings, "--quiet", "--json")
    assert result.stderr == ""
    assert json.loads(result.stdout)["files"] == 1


def test_progress_is_counted_lines_where_there_is_no_terminal(capsys):
    progress = make_progress()
    for done in range(21):
        progress("windows", done, 20)
    assert capsys.readouterr().err.splitlines()[:2] == ["windows: 0 of 20", "windows: 2 of 20"]


def test_log_lines_do_not_break_the_bar(monkeypatch):
    """On a terminal a message stands on a line of its own above the bar, which is drawn again."""
    import io
    import sys

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    progress = make_progress()
    progress("windows", 1, 4)
    handler = terminal._LogHandler()
    handler.emit(logging.LogRecord("x", logging.INFO, "", 0, "left out: 3 windows", None, None))
    progress("windows", 4, 4)
    lines = screen.getvalue().replace("\r", "\n").split("\n")
    assert any(line.endswith("left out: 3 windows") for line in lines)
    assert "4/4" in screen.getvalue()
