"""The command line as a user meets it: help, exit codes, errors, JSON."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from fixtures.commands import run_seismag as run
from seismag.config import load_config
from seismag.domain import SeismagError
from seismag.recordings.frg604rc import encode_day
from seismag.training import run as training_run

SEISMAG = [sys.executable, "-c", "from seismag.cli import main; main()"]
VERBS = ["demo", "simulate", "prepare", "inspect", "train", "predict", "evaluate", "alarms", "models"]


@pytest.fixture
def day_file(tmp_path, rng) -> Path:
    """A plausible day of ALR."""
    import datetime

    field = np.array([37_640.0, 13.0, -23_166.0])[:, None] + np.cumsum(rng.normal(0, 0.02, (3, 86_400)), axis=1)
    path = tmp_path / "S250101.ALR"
    path.write_bytes(encode_day("ALR", datetime.date(2025, 1, 1), -8.14, 124.59, field))
    return path


def test_help_of_every_verb_loads_nothing_heavy():
    """What takes time at a prompt is importing; a new process, because this one has loaded everything."""
    code = """
        import contextlib, sys
        from seismag import cli
        heavy = {"torch", "pandas", "scipy", "numpy", "pydantic", "matplotlib", "xarray", "pyarrow", "sklearn", "dask"}
        print(sorted(heavy & set(sys.modules)))
        for verb in ([], *([name] for name in sys.argv[1:])):
            with contextlib.suppress(SystemExit), contextlib.redirect_stdout(None):
                cli.app([*verb, "--help"])
        print(sorted(heavy & set(sys.modules) - {"pydantic"}))  # typer takes it for the help of a verb
    """
    command = [sys.executable, "-c", textwrap.dedent(code), *VERBS]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "[]\n[]\n"


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb):
    result = run(verb, "--help")
    assert result.returncode == 0
    assert "Usage: seismag " + verb in result.stdout


def test_inspect_prints_one_json_document_and_nothing_else(day_file):
    result = run("inspect", day_file, "--json")
    facts = json.loads(result.stdout)
    assert result.stderr == ""
    assert (facts["station"], facts["samples"], facts["rate_hz"]) == ("ALR", 86_400, 1.0)
    assert facts["start_utc"] == "2025-01-01T00:00:00Z"
    assert facts["end_utc"] == "2025-01-02T00:00:00Z"
    assert facts["plausible"] is True
    assert set(facts["components"]) == {"H", "D", "Z"}


def test_inspect_draws_the_day(day_file, tmp_path):
    result = run("inspect", day_file, "--plot", tmp_path / "day.png")
    assert result.returncode == 0
    assert (tmp_path / "day.png").stat().st_size > 50_000


@pytest.mark.parametrize("name", ["day.xyz", "day", "day.pgf"])
def test_a_plot_of_an_unknown_ending_is_refused_before_anything_is_read(name, tmp_path):
    result = run("inspect", "no-such-file", "--plot", tmp_path / name)
    assert result.returncode == 2
    assert f"--plot {tmp_path / name}: end it in .png, .jpg, " in result.stderr
    assert ".pdf" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["inspect", "no-such-file"], 1, "cannot be read"),
        (["inspect", __file__], 1, "not a format that seismag reads"),
        (["train", "--set", "train.batchsize=3"], 2, "train.batchsize: not a known key; did you mean batch_size?"),
        (["train", "--data", "no-such-store"], 1, "no such store"),
        (["train", "--config", "no-such.yaml"], 2, "cannot be read"),
        (["evaluate"], 2, "--predictions"),
        (["unblind", "--model", "m.pth", "--data", "d"], 2, "--purpose"),
        (["unblind", "--model", "m.pth", "--data", "d", "--purpose", " "], 2, "--purpose is empty"),
        (["simulate", "--out", "x", "--workers", "none"], 2, "--workers none: give a number of processes"),
        (["config", "nothing"], 2, "nothing: no such section; there are data, split"),
        (["alarms", "--predictions", "none.csv"], 1, "no such file"),
        (["evaluate", "--model", "none.pth", "--data", "none"], 1, "no such store"),
        (["predict", "x", "--model", "none.pth"], 1, "no such model"),
        (["frobnicate"], 2, "No such command"),
        (["prepare", "--archive", "nowhere", "--catalog", "nowhere.csv", "--out", "x"], 1, "nowhere.csv"),
    ],
)
def test_errors_are_one_message_with_the_right_exit_code(arguments, code, message, tmp_path):
    result = run(*arguments, cwd=tmp_path)
    assert result.returncode == code
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_debug_shows_the_traceback(tmp_path):
    with pytest.raises(SeismagError, match="no-such-file"):
        run("inspect", "no-such-file", "--debug", cwd=tmp_path)


@pytest.fixture
def archive_of_a_day(day_file, tmp_path) -> Path:
    """The day in an archive, and a catalogue with an earthquake near it."""
    archive = tmp_path / "archive" / "ALR"
    archive.mkdir(parents=True)
    day_file.rename(archive / day_file.name)
    (tmp_path / "quakes.csv").write_text(
        "event_id,origin_utc,latitude_deg,longitude_deg,depth_km,magnitude\nq,2025-01-01T18:00:00Z,-8.9,125.6,10,5.5\n"
    )
    return archive.parent


def test_injection_inspection_and_picture_of_an_archive(archive_of_a_day, tmp_path):
    out = tmp_path / "out"
    settings = ("simulate.earthquakes.catalog=" + str(tmp_path / "quakes.csv"), "simulate.emission.snr=100")
    arguments = [part for setting in settings for part in ("--set", setting)]
    result = run("inject", archive_of_a_day, "--out", out, *arguments, "--json")
    assert result.returncode == 0, result.stderr
    assert "inject: 1 of 1" in result.stderr
    facts = json.loads(result.stdout)
    assert (facts["out"], facts["files"], facts["events"], facts["emissions"]) == (str(out), 1, 1, 1)
    assert list(facts["stations"]) == ["ALR"]
    assert facts["size_mb"] == pytest.approx(1.473, abs=0.001)
    assert json.loads(run("inspect", out / "ALR" / "S250101.ALR", "--json").stdout)["origin"] == "simulated"
    result = run("inspect", out, "--plot", tmp_path / "day.png", "--station", "ALR", "--day", "2025-01-01")
    assert "injected    1 emissions in 3 windows" in result.stdout
    assert (tmp_path / "day.png").stat().st_size > 50_000
    assert json.loads(run("inspect", out, "--json").stdout)["simulation"]["injected"] is True


def test_a_simulation_prints_one_json_document(tmp_path):
    out = tmp_path / "out"
    settings = [
        "--set",
        "simulate.days=1",
        "--set",
        "simulate.stations=[GTO]",
        "--set",
        "simulate.artefacts.missing_day_fraction=0",
    ]
    result = run("simulate", "--out", out, *settings, "--json")
    facts = json.loads(result.stdout)
    assert (facts["out"], list(facts["stations"]), facts["files"]) == (str(out), ["GTO"], 1)
    assert facts["emissions"] == 0
    assert facts["events"] > 10
    assert 0.1 < facts["size_mb"] < 2


def test_the_next_command_after_simulate_prepares_by_the_rules_of_the_scenario(tmp_path):
    """Without its configuration the controls of a trap would be matched, and the trap gone."""
    out, scenario = (
        tmp_path / "an archive",
        Path(__file__).resolve().parents[2] / "configs/scenarios/fault_quiet_days.yaml",
    )
    settings = ("--set", "simulate.days=1", "--set", "simulate.stations=[GTO]", "--set", "data.horizon_h=24")
    result = run("simulate", "--config", scenario, "--out", out, *settings)
    words = shlex.split(next(line for line in result.stdout.splitlines() if line.startswith("next "))[12:])
    assert words[:4] == ["seismag", "prepare", "--archive", str(out)]
    config = load_config(words[words.index("--config") + 1], [words[words.index("--set") + 1]])
    assert (config.data.controls, config.data.horizon_h) == ("quiet_days", 24)
    assert words[-2:] == ["--out", "STORE"]
    assert words.count("--set") == 1


def test_injection_without_a_catalogue_or_an_event_writes_nothing(archive_of_a_day, tmp_path):
    result = run("inject", archive_of_a_day, "--out", tmp_path / "out", "--set", "simulate.emission.snr=1")
    assert (result.returncode, result.stdout) == (2, "")
    assert "inject needs real earthquakes" in result.stderr
    (tmp_path / "quakes.csv").write_text((tmp_path / "quakes.csv").read_text().replace("2025", "2015"))
    result = run(
        "inject", archive_of_a_day, "--out", tmp_path / "out", "--set", "simulate.emission.snr=1",
        "--set", f"simulate.earthquakes.catalog={tmp_path / 'quakes.csv'}",
    )  # fmt: skip
    assert (result.returncode, result.stdout) == (1, "")
    assert "no earthquake within its Dobrovolsky radius" in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("options", [["--station", "ALR"], ["--day", "2025-01-01", "--plot", "day.png"]])
def test_station_and_day_belong_to_the_picture_of_an_archive(options, day_file, tmp_path):
    result = run("inspect", day_file, *options, cwd=tmp_path)
    assert result.returncode == 2
    assert "--station and --day choose the day of an archive that --plot draws" in result.stderr


def test_real_day_of_alor(real_data):
    """The figures of the published file; see the handbook's section on day files."""
    facts = json.loads(run("inspect", real_data / "bmkg" / "S250101.ALR", "--json").stdout)
    assert (facts["station"], facts["samples"], facts["plausible"]) == ("ALR", 86_400, True)
    assert facts["start_utc"].startswith("2025-01-01")
    assert [facts["components"][name]["missing"] for name in "HDZ"] == [64, 64, 64]
    assert facts["components"]["H"]["median_nt"] == pytest.approx(37_639, abs=1)
    assert facts["components"]["Z"]["median_nt"] == pytest.approx(-23_166, abs=1)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_an_interrupted_training_names_the_command_that_resumes_it(name, tmp_path, monkeypatch):
    monkeypatch.setattr(training_run, "run_training", lambda *_: signal.raise_signal(getattr(signal, name)))
    result = run("train", "--data", ".", cwd=tmp_path)
    assert result.returncode == 1
    assert "'seismag train --resume RUN' goes on; RUN is the newest convnext_tiny_... in exp" in result.stderr
    assert "same command" not in result.stderr


def test_too_little_memory_is_no_fault_of_the_program(tmp_path, monkeypatch):
    def run_training(*_):
        raise MemoryError("Unable to allocate 3.2 GiB")

    monkeypatch.setattr(training_run, "run_training", run_training)
    result = run("train", "--data", ".", cwd=tmp_path)
    assert result.returncode == 1
    assert "seismag: too little memory (Unable to allocate 3.2 GiB). Close other programs" in result.stderr
    assert "fault" not in result.stderr


def test_an_interruption_is_one_message_that_names_the_way_on(tmp_path):
    process = subprocess.Popen(
        [*SEISMAG, "simulate", "--out", "archive", "--set", "simulate.days=300"],
        cwd=tmp_path, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while not list(tmp_path.glob("archive/*/*.gz")):
        time.sleep(0.05)
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate()
    assert process.returncode == 1
    assert "interrupted" in stderr
    assert "Traceback" not in stderr


def test_a_terminal_that_lacks_a_sign_ends_no_command(tmp_path: Path, rng: np.random.Generator) -> None:
    import datetime

    path = tmp_path / "S250101.ALR"
    field = np.array([30_000.0, 13.0, -23_166.0])[:, None] + rng.normal(0, 0.02, (3, 86_400))
    path.write_bytes(encode_day("ALR", datetime.date(2025, 1, 1), -8.14, 124.59, field))
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([*SEISMAG, "inspect", path], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert r"limit \xb1" in done.stdout
