"""Makes ``import torchvision`` work beside a torch without CUDA. Import this before timm, Lightning and torchmetrics.

The Linux wheels of torchvision are linked to CUDA. Where torch is a CPU build their compiled part cannot be loaded,
and ``import torchvision`` fails with ``operator torchvision::nms does not exist``, although nothing here uses boxes.
Declaring the two operators that torchvision registers at import is enough; calling them still fails, as it should.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import torch

_DECLARATIONS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


def declare_missing_operators() -> torch.library.Library | None:
    """Declare ``torchvision::nms`` and ``qnms`` if torchvision's compiled extension cannot be loaded.

    Returns:
        The library that holds the declarations, to be kept as long as they are needed; None where torchvision is
        absent, already imported, or whole.
    """
    if "torchvision" in sys.modules:
        return None
    extension = _extension_file()
    if extension is None:
        return None
    try:
        torch.ops.load_library(str(extension))
    except OSError:
        library = torch.library.Library("torchvision", "FRAGMENT")
        for declaration in _DECLARATIONS:
            library.define(declaration)
        return library
    return None


def _extension_file() -> Path | None:
    spec = importlib.util.find_spec("torchvision")  # finds, does not import
    if spec is None or spec.origin is None:
        return None
    candidates = sorted(Path(spec.origin).parent.glob("_C.*"))
    return next((file for file in candidates if file.suffix in (".so", ".pyd", ".dylib")), None)


_KEPT = declare_missing_operators()
