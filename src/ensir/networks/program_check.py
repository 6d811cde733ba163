"""What a `.pt2` file may hold, checked before PyTorch reads it.

`torch.export.load` is not safe for untrusted files: it unpickles, evaluates sizes written as Python expressions,
accepts any function in `torch` as an operator and loads compiled code. What passes here is a graph of ATen operators
and of arithmetic on sizes, with plain tensors. Everything else is refused, whether harmful or not.
"""

from __future__ import annotations

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
        if not allowed.fullmatch(value):
            yield f"it {what} {value[:80]!r}"
