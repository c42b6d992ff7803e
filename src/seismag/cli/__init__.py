"""The command line: one command a stage. Everything heavy is imported inside the command that needs it."""

from __future__ import annotations

import io
import os
import re
import sys
from typing import Annotated, NoReturn

import typer

from seismag.cli.archives import archives_app, fetch_app
from seismag.cli.configuration import configuration_app
from seismag.cli.demo import demo_app
from seismag.cli.interrupt import Interrupted, catch_interrupts, stop_interrupts, was_interrupted
from seismag.cli.legacy import legacy_app
from seismag.cli.models import models_app
from seismag.cli.studies import studies_app
from seismag.cli.terminal import drop_unwritten, folders_of_output, print_error_json, say_on_stderr, set_quiet
from seismag.cli.training import training_app

_ABOUT = "Geomagnetic spectrograms, earthquakes, and tests of precursor claims."

app = typer.Typer(
    name="seismag",
    help=_ABOUT,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _part in (demo_app, archives_app, training_app, studies_app, configuration_app):
    app.add_typer(_part)
app.add_typer(fetch_app, name="fetch")
app.add_typer(models_app, name="models")
app.add_typer(legacy_app, name="legacy")


def _show_version(wanted: bool) -> None:
    if wanted:
        from seismag import __version__

        print(f"seismag {__version__}")
        raise typer.Exit


@app.callback(epilog="--quiet and --debug may stand anywhere. Shell completion: seismag --install-completion.")
def _global(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress, no log messages.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Geomagnetic spectrograms, earthquakes, and tests of precursor claims."""


def main() -> None:
    """Run the command line: an error that a user can correct is one message, other failures a line and --debug."""
    arguments = [argument for argument in sys.argv[1:] if argument not in ("--debug", "--quiet")]
    debug = "--debug" in sys.argv[1:]
    set_quiet("--quiet" in sys.argv[1:])
    as_json = "--json" in arguments
    arguments = arguments or ["--help"]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a sign that the terminal lacks ends no command
    catch_interrupts()
    try:
        message, status = _run_command(arguments, debug)
        stop_interrupts()
    except Interrupted as interruption:
        stop_interrupts()
        message, status = _explain_interruption(str(interruption))
    if message is not None:
        _fail(message, status, as_json)
    drop_unwritten()
    sys.exit(status)


def _run_command(arguments: list[str], debug: bool) -> tuple[str | None, int]:
    """Run a command; returns the message of its failure, and the exit status."""
    try:
        _refuse_empty(arguments)
        status = app(arguments, prog_name="seismag", standalone_mode=False)
        sys.stdout.flush()  # here a full disk is an error like any other
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return None, 1
    except (Exception, SystemExit) as error:
        if was_interrupted():  # a library turned the interruption into an error of its own
            return _explain_interruption("")
        if debug or isinstance(error, SystemExit):
            raise
        return _explain(error)
    if was_interrupted():  # a library dropped it just before the end
        return _explain_interruption("")
    return None, status if isinstance(status, int) else 0


def _refuse_empty(arguments: list[str]) -> None:
    """Refuse arguments without content (UsageError): as a path, they would be the present folder."""
    for argument in arguments:
        if not argument or re.fullmatch(r"--[a-z-]+=", argument):
            from seismag.domain import UsageError

            raise UsageError(f"{argument or 'an argument'}: is empty, perhaps a variable of the shell that is not set.")


def _explain_interruption(remedy: str) -> tuple[str, int]:
    return f"interrupted. {remedy or 'Finished parts are kept: run the same command again to go on.'}", 1


def _explain(error: Exception) -> tuple[str, int]:
    """Word an error for the person who meets it, with the exit status."""
    from seismag.disk_space import FullDiskError, explain_full_disk, is_full_disk
    from seismag.domain import SeismagError
    from seismag.machine import explain_machine, remedy_of_path

    if is_full_disk(error) and not isinstance(error, FullDiskError):
        error = explain_full_disk(error, folders_of_output())
    if isinstance(error, SeismagError):
        return str(error), error.exit_code
    if type(error).__name__ == "NoArgsIsHelpError":
        return error.ctx.get_help(), 2  # type: ignore[attr-defined]  # a group without a command
    if hasattr(error, "format_message") and hasattr(error, "exit_code"):  # usage, found by the command-line library
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "seismag"
        return f"{error.format_message()} See '{command} --help'.", error.exit_code
    if isinstance(error, MemoryError):
        advice = "Close other programs, or use a smaller store (fewer windows, frequency bins or time frames)."
        return f"too little memory ({error}). {advice}", 1
    if (limit := explain_machine(error, getattr(error, "filename", None) or "input/output")) is not None:
        return limit, 1
    if isinstance(error, OSError):
        return f"{error.filename or 'input/output'}: {error.strerror or error}. {remedy_of_path(error)}".strip(), 1
    return f"{type(error).__name__}: {error}\nThis is an error in seismag; --debug shows where.", 1


def _fail(message: str, code: int, as_json: bool) -> NoReturn:
    message = re.sub(r"[\0-\x08\x0b-\x1f\x7f]", lambda sign: f"\\x{ord(sign[0]):02x}", message)  # of file names
    if as_json:
        print_error_json(message, code)
    else:
        say_on_stderr(f"seismag: {message}")
    drop_unwritten()
    sys.exit(code)
