"""Geomagnetic spectrograms, earthquakes, and tests of precursor claims.

``import seismag`` is quick; each name below is imported when it is first used (``seismag.api``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from seismag import torchvision_operators

if TYPE_CHECKING:
    from seismag.api import (
        audit,
        evaluate,
        label,
        load_model,
        open_store,
        read,
        simulate,
        spectrogram,
        split,
    )
    from seismag.config import load_config
    from seismag.recordings import Recording

__version__ = "0.1.0"
__all__ = [
    "Recording",
    "audit",
    "evaluate",
    "label",
    "load_config",
    "load_model",
    "open_store",
    "read",
    "simulate",
    "spectrogram",
    "split",
]

torchvision_operators.install()


def __getattr__(name: str) -> Any:
    import importlib

    homes = {"load_config": "seismag.config", "Recording": "seismag.recordings"}
    if name in __all__:
        return getattr(importlib.import_module(homes.get(name, "seismag.api")), name)
    raise AttributeError(f"module 'seismag' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
