"""Packages that are functions of the public API too: ``seismag.audit(table, ...)`` beside ``seismag.audit.checks``.

Python replaces ``seismag.audit`` by the package when it is first imported, so the package itself must be callable.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any


def make_callable(package: str) -> None:
    """Let a package be called as the function of ``seismag.api`` that has its name."""

    class CallablePackage(ModuleType):
        def __call__(self, *arguments: Any, **named: Any) -> Any:
            function = getattr(importlib.import_module("seismag.api"), package.rpartition(".")[2])
            return function(*arguments, **named)

    sys.modules[package].__class__ = CallablePackage
