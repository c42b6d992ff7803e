"""Reads configuration files and overrides into one tree of plain values, before it is validated.

YAML or JSON; one level of ``extends:``; ``sizes:`` and ``--set size=NAME``; ``prepare:``, another name for keys of
``data:``; ``--set section.key=value``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from seismag.domain import DataError, UsageError
from seismag.limits import CONFIGURATION, read_text
from seismag.text import one_line, shortened

_NAME_ANOTHER = "Name a file that exists and may be read."
_MOST_VALUES = 100_000  # of a configuration, where each alias counts as what it stands for
_LONGEST_NAME = 255  # characters of a file name


class _Loader(yaml.SafeLoader):
    """YAML 1.2 scalars: ``1e-4`` is a number, ``NO`` and ``on`` are text (a station may be NO)."""


_REPLACED = tuple(f"tag:yaml.org,2002:{name}" for name in ("bool", "int", "float", "timestamp"))
_Loader.yaml_implicit_resolvers = {
    first: [resolver for resolver in resolvers if resolver[0] not in _REPLACED]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d+\.\d*([eE][-+]?\d+)?|\.\d+([eE][-+]?\d+)?|\d+[eE][-+]?\d+|\.inf|\.nan)$"),
    list("-+0123456789."),
)
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^[-+]?\d+$"), list("-+0123456789"))
_Loader.add_constructor("tag:yaml.org,2002:int", lambda _, node: int(node.value))
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(true|false|True|False)$"), list("tTfF"))


def parse_yaml(text: str) -> Any:
    """Parse YAML (or JSON, which YAML contains) with the scalars of YAML 1.2.

    Raises:
        ValueError: not YAML, nested too deeply, or aliases that stand for more values than any configuration has.
    """
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        if _count_values(node, {}) > _MOST_VALUES:
            raise ValueError(f"its aliases stand for more than {_MOST_VALUES} values")
        return loader.construct_document(node)
    except RecursionError:
        reason = "nested too deeply"
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError) as error:  # tags with other content
        reason = one_line(error, 300)
    raise ValueError(reason)


def _count_values(node: yaml.Node, known: dict[int, float]) -> float:
    """Count the values below a node, those of an alias each time; infinite where one contains itself."""
    if isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) not in known:
        known[id(node)] = float("inf")  # until it is counted
        parts = [part for pair in node.value for part in (pair if isinstance(pair, tuple) else (pair,))]
        known[id(node)] = 1 + sum(_count_values(part, known) for part in parts)
    return known[id(node)]


def read_config_tree(path: Path | None, overrides: list[str]) -> dict[str, object]:
    """Read a configuration file (None: nothing), and apply the chosen size, then the overrides.

    Raises:
        UsageError: the file is missing or not YAML, an unknown size, a malformed override.
    """
    tree = _choose_size(_read_tree(path) if path is not None else {}, overrides)
    for entry in overrides:
        if entry.partition("=")[0].strip() != "size":
            _apply_override(tree, entry)
    prepare = tree.pop("prepare", None)  # of a scenario: keys of data
    if prepare is None:
        return tree
    data = tree.get("data", {})
    if not isinstance(prepare, dict) or not isinstance(data, dict):
        raise UsageError("prepare: must be a mapping of keys of the section data.")
    twice = [key for key in prepare if key in data and data[key] != prepare[key]]
    if twice:
        raise UsageError(f"prepare.{twice[0]}: also given as data.{twice[0]}, with another value. Keep one.")
    return {**tree, "data": {**data, **prepare}}


def _read_tree(path: Path, inherited: bool = False) -> dict[str, object]:
    try:
        tree = parse_yaml(read_text(path, CONFIGURATION))
        if tree is None:
            tree = {}
        if not isinstance(tree, dict):
            raise ValueError(f"a configuration is a mapping of sections, not {type(tree).__name__}")
    except DataError as error:
        if path.is_file():
            raise UsageError(str(error)) from error
        known = sorted(file.name for file in path.parent.glob("*.yaml")) if path.parent.is_dir() else []
        remedy = f"In {path.parent}: {', '.join(known)}." if known else "Name an existing configuration."
        raise UsageError(f"{str(error).removesuffix(_NAME_ANOTHER).rstrip()} {remedy}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not a text file in UTF-8.") from error
    except ValueError as error:
        raise UsageError(f"{path}: not valid YAML: {error}.") from error
    parent = tree.pop("extends", None)
    if parent is None:
        return tree
    if not isinstance(parent, str) or len(parent) > _LONGEST_NAME or not parent.isprintable():
        raise UsageError(f"{path}: extends is {shortened(parent)}, expected is the name of a configuration.")
    if inherited:
        raise UsageError(f"{path}: extends: goes one level deep; this file is itself extended.")
    return _merge(_read_tree(path.parent / parent, inherited=True), tree)


def _merge(below: dict[str, object], above: dict[str, object]) -> dict[str, object]:
    """Merge two trees, section by section; values of ``above`` replace those of ``below``."""
    merged = dict(below)
    for key, value in above.items():
        lower = merged.get(key)
        merged[key] = _merge(lower, value) if isinstance(lower, dict) and isinstance(value, dict) else value
    return merged


def _choose_size(tree: dict[str, object], overrides: list[str]) -> dict[str, object]:
    """Merge the chosen one of ``sizes:`` into the tree: that of ``--set size=NAME``, default the first."""
    sizes = tree.pop("sizes", None)
    chosen = [one_line(tree.pop("size"), 80)] if "size" in tree else []
    chosen += [entry.partition("=")[2].strip() for entry in overrides if entry.partition("=")[0].strip() == "size"]
    if sizes is None:
        if chosen:
            raise UsageError(f"size={chosen[-1]}: this configuration has no sizes to choose from.")
        return tree
    if not isinstance(sizes, dict) or not sizes or not all(isinstance(part, dict) for part in sizes.values()):
        raise UsageError("sizes: must be a mapping of names to sections.")
    size = chosen[-1] if chosen else next(iter(sizes))
    if size not in sizes:
        raise UsageError(f"size={size}: not a size of this configuration. Known sizes: {', '.join(map(str, sizes))}.")
    return _merge(tree, sizes[size])


def _apply_override(tree: dict[str, object], entry: str) -> None:
    key, equals, text = entry.partition("=")
    *sections, name = key.strip().split(".")
    if not (equals and sections and name and all(sections)):
        raise UsageError(f"--set {entry}: write it as section.key=value, for example train.epochs=3.")
    try:
        value = parse_yaml(text)
    except ValueError as error:
        raise UsageError(f"--set {one_line(entry, 80)}: the value is not valid YAML ({error}).") from None
    for section in sections:
        below = tree.setdefault(section, {})
        if not isinstance(below, dict):
            raise UsageError(f"{section}: must be a mapping of keys, not {shortened(below)}.")
        tree = below
    tree[name] = value
