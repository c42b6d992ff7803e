"""The house keeps its rules: public names once, sizes of modules and functions, dictionaries at the edge of files."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "src" / "seismag"
MODULES = {path.relative_to(PACKAGE).as_posix(): path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")}
COMMAND_OF = "cli/"  # a command has the name of the function that it calls
API = "api.py"  # so has a function of the public API
LONGEST_MODULE, LONGEST_FUNCTION = 400, 60
MOST_DICTIONARIES = 116


def public_names(source: str) -> Iterator[str]:
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names = [node.name]
        elif isinstance(node, ast.Assign):
            names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names = [node.target.id]
        else:
            names = []
        yield from (name for name in names if not name.startswith("_") and name != "log")


def test_a_public_name_is_defined_once():
    homes = defaultdict(set)
    for module, source in MODULES.items():
        if module != API and not module.startswith(COMMAND_OF):
            for name in public_names(source):
                homes[name].add(module)
    assert {name: sorted(found) for name, found in homes.items() if len(found) > 1} == {}


def test_no_module_is_longer_than_400_lines():
    long = {module: len(source.splitlines()) for module, source in MODULES.items()}
    assert {module: lines for module, lines in long.items() if lines > LONGEST_MODULE} == {}


def test_no_function_is_longer_than_60_lines():
    long = {
        f"{module}:{node.name}": node.end_lineno - node.lineno + 1
        for module, source in MODULES.items()
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef) and node.end_lineno - node.lineno + 1 > LONGEST_FUNCTION
    }
    assert long == {}


def test_dictionaries_of_any_stay_at_the_edge_of_files():
    assert sum(source.count("dict[str, Any]") for source in MODULES.values()) <= MOST_DICTIONARIES
