"""The limits that keep the code readable: lengths of files and functions, and few modules at the top."""

from __future__ import annotations

import ast
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
LONGEST_FILE, LONGEST_FUNCTION, MODULES_AT_TOP = 400, 80, 4
FILES = [
    path
    for folder in ("src", "workflow")
    for path in sorted((REPOSITORY / folder).rglob("*"))
    if path.suffix in (".py", ".smk")
]


def test_files_are_short():
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert len(lengths) > 200
    assert [path for path, lines in lengths.items() if lines > LONGEST_FILE] == []


def test_functions_are_short():
    functions = [
        (path, node)
        for path in FILES
        if path.suffix == ".py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert len(functions) > 1000
    lengths = [(path, node.name, node.end_lineno - node.lineno + 1) for path, node in functions]
    assert [found for found in lengths if found[2] > LONGEST_FUNCTION] == []


def test_few_modules_are_at_the_top():
    modules = sorted(path.name for path in (REPOSITORY / "src/ensir").glob("*.py"))
    assert len(modules) <= MODULES_AT_TOP, modules
