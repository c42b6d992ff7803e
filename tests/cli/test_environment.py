"""Commands in odd surroundings: closed streams, empty arguments, names that a terminal would obey."""

import errno
import os
import subprocess
import sys

import pytest

from fixtures.commands import run_seismag as run
from seismag import __main__ as entry
from seismag import cli

CLOSED = """
import os, sys
for number in {closed}:
    os.close(number)
sys.{name} = None
from seismag.__main__ import open_closed_streams
open_closed_streams()
file = open({path!r}, "w")
os.write({closed}[0], b"of a library")
print("a message", file=sys.{name})
sys.exit(file.fileno() < 3)
"""


@pytest.mark.parametrize(("closed", "name"), [([0], "stdin"), ([1], "stdout"), ([2], "stderr"), ([1, 2], "stderr")])
def test_no_file_takes_the_number_of_a_closed_stream(closed, name, tmp_path):
    code = CLOSED.format(closed=closed, name=name if name != "stdin" else "stdout", path=str(tmp_path / "result"))
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "result").read_text() == ""
    assert name != "stderr" or ended.stdout == b""


def test_open_streams_stay_as_they_are(monkeypatch):
    opened = []
    monkeypatch.setattr(entry.os, "open", lambda *given: opened.append(given))
    before = sys.stdin, sys.stdout, sys.stderr
    entry.open_closed_streams()
    assert (sys.stdin, sys.stdout, sys.stderr) == before


@pytest.mark.parametrize("arguments", [["inspect", ""], ["evaluate", "--out", ""], ["evaluate", "--out="]])
def test_an_empty_argument_is_not_the_present_folder(arguments):
    ended = run(*arguments)
    assert (ended.returncode, "is empty" in ended.stderr) == (2, True)


def test_control_characters_of_a_name_are_not_sent_to_the_terminal(tmp_path):
    ended = run("inspect", str(tmp_path / "day\x1b[31m\r"))
    assert "day\\x1b[31m\\x0d" in ended.stderr
    assert "\x1b" not in ended.stderr


@pytest.mark.parametrize(
    ("number", "remedy"),
    [(errno.EMFILE, "ulimit -n"), (errno.EACCES, "another place"), (errno.ENAMETOOLONG, "shorter"), (errno.EIO, "")],
)
def test_what_the_system_refuses_has_a_remedy(number, remedy):
    message, status = cli._explain(OSError(number, os.strerror(number), "out/results"))
    assert message.startswith(f"out/results: {os.strerror(number)}.")
    assert (remedy in message, status) == (True, 1)
