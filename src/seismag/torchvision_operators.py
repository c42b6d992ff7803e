"""Makes ``import torchvision`` work with a torch without CUDA: docs/decisions/0002.

The Linux wheels of torchvision are linked to CUDA. Where torch is a CPU build their compiled part cannot be loaded,
and ``import torchvision`` fails with ``operator torchvision::nms does not exist``, although nothing here uses boxes.
Declaring the two operators that torchvision registers at import is enough; calling them still fails, as it should.

``import seismag`` installs this, and ``src/seismag-torchvision.pth`` does that at the start of every Python of the
environment. So this module must cost nothing until torchvision is imported: it imports importlib alone.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader

TYPE_CHECKING = False  # importing typing for it would take longer than all the rest
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

_OPERATORS = ("nms", "qnms")
_ARGUMENTS = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_SUFFIXES = (".so", ".pyd", ".dylib")
_kept: list[object] = []  # an operator lives as long as the library that declares it


class TorchvisionFinder:
    """Finds torchvision where Python does, with a loader that first declares its missing operators."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Answer for torchvision; None for every other module."""
        if name != "torchvision":
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(name, spec.loader.path)
        return spec


class _Loader(SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        declare_missing_operators(os.path.dirname(self.path))
        super().exec_module(module)


def install() -> None:
    """Let torchvision be found by ``TorchvisionFinder``; a second call changes nothing."""
    if TorchvisionFinder not in sys.meta_path:
        sys.meta_path.insert(0, TorchvisionFinder)


def declare_missing_operators(folder: str) -> None:
    """Declare ``torchvision::nms`` and ``qnms`` if the compiled extension in torchvision's folder cannot be loaded."""
    import torch

    names = [name for name in os.listdir(folder) if name.startswith("_C.") and name.endswith(_SUFFIXES)]
    if not names or _kept:
        return
    try:
        torch.ops.load_library(os.path.join(folder, names[0]))
    except OSError:
        library = torch.library.Library("torchvision", "FRAGMENT")
        for operator in _OPERATORS:
            library.define(operator + _ARGUMENTS)
        _kept.append(library)
