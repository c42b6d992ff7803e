"""Parts in processes of their own: results, lines and errors arrive."""

from __future__ import annotations

import os

import pytest

from seismag.demonstration.side_by_side import run_side_by_side
from seismag.domain import DataError, SeismagError, UsageError


def count(upto, say):
    for number in range(upto):
        say(f"number {number}")
    return os.getpid(), upto


def refuse(error, _say):
    raise error


def end_at_once(_say):
    os._exit(3)


@pytest.mark.parametrize("workers", [1, 2])
def test_results_and_lines_arrive(workers) -> None:
    lines = []
    parts = {"a": (count, (2,)), "b": (count, (1,))}
    found = run_side_by_side(parts, workers, lambda name, text: lines.append((name, text)))
    assert {name: upto for name, (_, upto) in found.items()} == {"a": 2, "b": 1}
    assert sorted(lines) == [("a", "number 0"), ("a", "number 1"), ("b", "number 0")]
    processes = {process for process, _ in found.values()}
    assert (processes == {os.getpid()}) == (workers == 1)


def test_the_error_of_a_part_is_the_error_of_all() -> None:
    with pytest.raises(UsageError, match="no such station"):
        run_side_by_side({"a": (refuse, (UsageError("no such station"),))}, 2, lambda *_: None)
    with pytest.raises(SeismagError, match="no window"):
        run_side_by_side({"a": (refuse, (DataError("no window"),))}, 2, lambda *_: None)


def test_a_process_that_dies_is_named() -> None:
    with pytest.raises(SeismagError, match=r"b: its process ended without a message \(exit code 3\)"):
        run_side_by_side({"b": (end_at_once, ())}, 2, lambda *_: None)


def tell_threads(_say):
    return os.environ["OMP_NUM_THREADS"], os.environ["OPENBLAS_NUM_THREADS"]


def test_the_libraries_of_a_process_share_the_cores(monkeypatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "64")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    found = run_side_by_side({"a": (tell_threads, ()), "b": (tell_threads, ())}, 2, lambda *_: None)
    each = str(max(1, (os.cpu_count() or 1) // 2))
    assert found == {"a": (each, each), "b": (each, each)}
    assert os.environ["OMP_NUM_THREADS"] == "64"
    assert "OPENBLAS_NUM_THREADS" not in os.environ
