"""torchvision beside a torch without CUDA."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from seismag.training import torch_compat


def test_torchvision_timm_and_torchmetrics_import_after_seismag_learning() -> None:
    import timm
    import torchmetrics
    import torchvision

    assert "torchvision" in timm.__dict__ or torchvision.__version__
    assert torchmetrics.__version__
    assert hasattr(torch.ops.torchvision, "nms")


def test_nothing_is_declared_once_torchvision_is_imported() -> None:
    assert "torchvision" in sys.modules
    assert torch_compat.declare_missing_operators() is None


def test_operators_are_declared_only_if_the_extension_cannot_be_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    declared: list[str] = []

    class Library:
        def __init__(self, namespace: str, kind: str) -> None:
            assert (namespace, kind) == ("torchvision", "FRAGMENT")

        def define(self, declaration: str) -> None:
            declared.append(declaration.partition("(")[0])

    broken = tmp_path / "_C.so"
    broken.write_bytes(b"not a library")
    monkeypatch.delitem(sys.modules, "torchvision")
    monkeypatch.setattr(torch.library, "Library", Library)
    monkeypatch.setattr(torch_compat, "_extension_file", lambda: broken)
    assert isinstance(torch_compat.declare_missing_operators(), Library)
    assert declared == ["nms", "qnms"]

    monkeypatch.setattr(torch.ops, "load_library", lambda _: None)
    assert torch_compat.declare_missing_operators() is None
    monkeypatch.setattr(torch_compat, "_extension_file", lambda: None)
    assert torch_compat.declare_missing_operators() is None
