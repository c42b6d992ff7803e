"""torchvision beside a torch without CUDA."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from seismag import torchvision_operators
from seismag.torchvision_operators import TorchvisionFinder, declare_missing_operators, install

_PROGRAM = """
import sys
loaded = {"torch", "torchvision", "numpy"} & set(sys.modules)
assert not loaded, f"loaded at the start: {loaded}"
import timm
import torchmetrics
import torch
assert hasattr(torch.ops.torchvision, "nms")
print(timm.__version__, sys.modules["torchvision"].__version__)
"""


def test_timm_is_imported_in_a_python_that_has_not_imported_seismag() -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stderr}\nWithout seismag-torchvision.pth in this Python? Run 'make setup'."
    assert len(done.stdout.split()) == 2


def test_finder_is_installed_once_and_answers_for_torchvision_alone() -> None:
    install()
    assert sys.meta_path.count(TorchvisionFinder) == 1
    assert TorchvisionFinder.find_spec("timm", None) is None
    assert TorchvisionFinder.find_spec("torchvision.ops", ["somewhere"]) is None
    assert TorchvisionFinder.find_spec("torchvision", ["/nowhere"]) is None


def test_operators_are_declared_when_torchvision_runs_and_not_when_it_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "torchvision" / "__init__.py"
    package.parent.mkdir()
    package.write_text("ran = True\n")
    folders: list[str] = []
    monkeypatch.setattr(torchvision_operators, "declare_missing_operators", folders.append)
    spec = TorchvisionFinder.find_spec("torchvision", [str(tmp_path)])
    assert spec is not None
    assert spec.loader is not None
    assert spec.origin == str(package)
    assert folders == []
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.ran
    assert folders == [str(package.parent)]


def test_operators_are_declared_only_if_the_extension_cannot_be_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    declared: list[str] = []

    class Library:
        def __init__(self, namespace: str, kind: str) -> None:
            assert (namespace, kind) == ("torchvision", "FRAGMENT")

        def define(self, declaration: str) -> None:
            declared.append(declaration.partition("(")[0])

    kept: list[object] = []
    monkeypatch.setattr(torch.library, "Library", Library)
    monkeypatch.setattr(torchvision_operators, "_kept", kept)
    declare_missing_operators(str(tmp_path))  # no extension in it
    assert declared == []

    (tmp_path / "_C.so").write_bytes(b"not a library")
    declare_missing_operators(str(tmp_path))
    declare_missing_operators(str(tmp_path))  # as after a failed import
    assert declared == ["nms", "qnms"]
    assert [type(library) for library in kept] == [Library]

    declared.clear()
    kept.clear()
    monkeypatch.setattr(torch.ops, "load_library", lambda _: None)
    declare_missing_operators(str(tmp_path))
    assert declared == kept == []
