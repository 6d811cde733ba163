"""What a `.pt2` file may hold, checked before PyTorch reads it.

`torch.export.load` is not safe for untrusted files: it unpickles, evaluates sizes written as Python expressions,
accepts any function in `torch` as an operator and loads compiled code. What passes here is a graph of ATen operators
and of arithmetic on sizes, with plain tensors. Everything else is refused, whether harmful or not.
"""

from __future__ import annotations

import ast
import io
import json
import re
import zipfile
from collections.abc import Iterator
from typing import Any

FILES = re.compile(
    r"data/(weights|constants)/(weight_\d+|tensor_\d+|model_(weights|constants)_config\.json)|models/model\.json"
    r"|data/sample_inputs/model\.pt|archive_format|archive_version|byteorder|\.data/(version|serialization_id)"
    r"|\.format_version|\.storage_alignment"
)
OPERATOR = re.compile(
    r"torch\.ops\.aten\.(?!(from_file|save|load)\b)\w+\.\w+|torch\.sym_\w+"
    r"|_operator\.(add|sub|mul|floordiv|truediv|mod|neg|pow|eq|ne|lt|le|gt|ge|and_|or_|getitem)"
)
SIZE = re.compile(
    r"((Symbol|Integer|Rational|Add|Mul|Pow|Max|Min|Mod|PythonMod|FloorDiv|CeilDiv|CleanDiv|true|false)\b"
    r"|'[su]\d+'|\b[su]\d+\b|\b(positive|nonnegative|integer)=True\b|\d|[-+*/(), ])*"
)
TREE = re.compile(
    r'([\[\]{}:, \d]|"(type|context|children_spec|null|\[\]|builtins\.(tuple|list|dict))"|null)*'
)
WORD = re.compile(r"[\w.\[\]:/+-]*")  # no quotes, spaces or calls: nothing that generated code could run
ALLOWED = {
    "target": (OPERATOR, "calls"),
    "expr_str": (SIZE, "computes a size as"),
    "in_spec": (TREE, "takes"),
    "out_spec": (TREE, "makes"),
}
LONGEST_SIZE, MOST_POWERS, EXPONENTS = 10_000, 6, range(-2, 5)
NOT_RUN = ("metadata", "guards_code")  # texts for people, or that are not evaluated here


def check(content: bytes) -> None:
    """Check the content of a `.pt2` file.

    Raises
    ------
    ValueError
        Names the first thing that is not allowed.
    """
    import torch
    from torch.export.pt2_archive import PT2ArchiveReader

    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = archive.infolist()
    if any(entry.compress_type for entry in entries) or sum(entry.file_size for entry in entries) > len(
        content
    ):
        raise ValueError("it is compressed, which PyTorch does not do")
    reader = PT2ArchiveReader(io.BytesIO(content))  # the one that will load it
    for name in reader.get_file_names():
        if not FILES.fullmatch(name):
            raise ValueError(f"it holds {name!r}")
        if name.endswith(".json"):
            for problem in _problems(json.loads(reader.read_bytes(name)), ""):
                raise ValueError(problem)
    try:
        torch.load(io.BytesIO(reader.read_bytes("data/sample_inputs/model.pt")), weights_only=True)
    except Exception as error:
        raise ValueError("its sample inputs are not plain tensors") from error


def _problems(value: Any, key: str) -> Iterator[str]:
    """Find what is not allowed in a graph or a list of weights, whatever its place."""
    if isinstance(value, dict | list) and key in NOT_RUN:
        texts = value.values() if isinstance(value, dict) else value
        if all(isinstance(text, str) for text in texts):
            return
    if isinstance(value, dict):
        for name, inner in value.items():
            if not WORD.fullmatch(name):
                yield f"it names something {name!r}"
            yield from _problems(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from _problems(inner, key)
    elif key == "use_pickle" and value:
        yield "it holds pickled objects"
    elif isinstance(value, str):
        allowed, what = ALLOWED.get(key, (WORD, "holds the text"))
        if not allowed.fullmatch(value) or (key == "expr_str" and not _is_quickly_computed(value)):
            yield f"it {what} {value[:80]!r}"


def _is_quickly_computed(size: str) -> bool:
    """Return whether the powers in a size are few and small: 9 to the power of 9 to the power of 9 takes forever."""
    try:
        tree = ast.parse(size, mode="eval") if len(size) <= LONGEST_SIZE else None
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    powers = (
        [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _name(node) == "Pow"]
        if tree
        else []
    )
    return (
        tree is not None
        and len(powers) <= MOST_POWERS
        and all(len(power.args) == 2 and _number(power.args[1]) in EXPONENTS for power in powers)
        and not any(isinstance(node, ast.Pow) for node in ast.walk(tree))
    )


def _name(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else ""


def _number(node: ast.expr) -> Any:
    """Return a number that is written `2`, `-1`, `Integer(2)` or `Integer(-1)`; None for others."""
    if isinstance(node, ast.Call) and _name(node) == "Integer" and len(node.args) == 1:
        node = node.args[0]
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None
