"""What made a result: versions of the libraries and of our own source."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import os
import socket
import subprocess
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
COUNTED = (
    "stages", "datasets", "restorers", "methods", "metrics", "figures", "cells", "networks", "images", "drawing",
    "scoring", "report", "arithmetic",
)  # fmt: skip
UNCOUNTED = (
    "ensir.images.globs",
    "ensir.images.listing",
    "ensir.images.patterns",
)  # find files, whose content counts
LOGGED = ("debug", "info", "warning", "error", "exception")  # methods of a log


def versions(*packages: str) -> dict[str, str]:
    """Return the installed version of each package, ours first."""
    from ensir import __version__

    return {"ensir": __version__} | {package: metadata.version(package) for package in packages}


@cache
def installed_digest() -> str:
    """Return a digest of the name and version of every installed package."""
    installed = sorted(f"{package.name}=={package.version}" for package in metadata.distributions())
    return hashlib.sha256("\n".join(installed).encode()).hexdigest()[:16]


def origin() -> dict[str, str]:
    """Return host, time and commit of this run, on which no digest may depend."""
    return {
        "host": socket.gethostname(),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
    }


def from_here(file: str | Path) -> str:
    """Return the path of a file below the working directory, wherever that is moved; an absolute one elsewhere."""
    below = os.path.relpath(file)
    return os.path.abspath(file) if below.startswith(os.pardir) else below


@cache
def commit() -> str:
    """Return the git commit of our source, with "-dirty" where files differ from it; empty outside of git."""
    git = ["git", "-C", str(PACKAGE)]
    # Fails where the source is not tracked, such as inside a .venv in another repository.
    tracked = [*git, "ls-files", "--error-unmatch", "__init__.py"]
    described = [*git, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        subprocess.run(tracked, capture_output=True, check=True)
        return subprocess.run(described, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


@cache  # every job of a plan needs it
def source_digest(*modules: str) -> str:
    """Return a digest of the code of some modules and of everything that they import and that computes.

    What computes are the modules of `COUNTED` and those of other packages' kinds. Storage, execution and planning do
    not count, since a change of theirs that affects results raises a format version; neither do sections of the
    configuration, whose values reach a stage as parameters; modules that only find files; what errors and logs are
    given to say; comments, docstrings and formatting.

    Parameters
    ----------
    *modules : str
        Such as ``"ensir.stages.predict"``.
    """
    seen: set[str] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module not in seen:
            seen.add(module)
            waiting += filter(_counts, _imports(module))
    code = "\n".join(f"{module} {_code(module)}" for module in sorted(seen))
    return hashlib.sha256(code.encode()).hexdigest()[:16]


def templates_digest() -> str:
    """Return a digest of the page templates that ship with the package."""
    files = sorted((PACKAGE / "report/templates").iterdir())
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


def _counts(module: str) -> bool:
    """Return whether a module computes."""
    package, _, rest = module.partition(".")
    return package != "ensir" or (rest.partition(".")[0] in COUNTED and module not in UNCOUNTED)


@cache
def _path(module: str) -> Path | None:
    """Return the source file of a module, without importing it; None without such a module, or without its source."""
    package, *below = module.split(".")
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    paths = [Path(spec.origin or "")]
    if below:
        bases = [Path(folder).joinpath(*below) for folder in spec.submodule_search_locations or ()]
        paths = [path for base in bases for path in (base / "__init__.py", base.with_suffix(".py"))]
    return next((path for path in paths if path.suffix == ".py" and path.is_file()), None)


@cache
def _tree(module: str) -> ast.Module:
    """Return what a module says, which others may read, but not change."""
    return _parse(module)


def _parse(module: str) -> ast.Module:
    """Parse a module."""
    path = _path(module)
    assert path is not None, module
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def _code(module: str) -> str:
    """Return what computes in a module, as text."""
    kept = [
        node
        for node in _parse(module).body  # of its own: to copy a tree takes ten times as long
        if not (isinstance(node, ast.ClassDef) and _is_section(module, node.name))
    ]
    return ast.unparse(_WithoutWords().visit(ast.Module(kept, [])))


class _WithoutWords(ast.NodeTransformer):
    """Leaves out docstrings, and all that errors, warnings and logs are given to say."""

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        if isinstance(node.exc, ast.Call):
            node.exc.args, node.exc.keywords = [], []
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if _says(node.func):
            node.args, node.keywords = [], []
        return self.generic_visit(node)

    def generic_visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body = node.body[1:] or [ast.Pass()]
        return super().generic_visit(node)


def _says(function: ast.expr) -> bool:
    """Return whether a function does nothing but say something."""
    if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
        owner, name = function.value.id, function.attr
        return (owner == "log" and name in LOGGED) or (owner, name) == ("warnings", "warn")
    return isinstance(function, ast.Name) and function.id in ("InputError", "Problem")


@cache
def _is_section(module: str, name: str) -> bool:
    """Return whether a class extends `Section`, directly or not, as far as the source shows."""
    if (module, name) == ("ensir.section", "Section"):
        return True
    if _path(module) is None:
        return False
    for node in _tree(module).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return any(isinstance(base, ast.Name) and _is_section(module, base.id) for base in node.bases)
        if isinstance(node, ast.ImportFrom) and (origin := _origin(module, node)) not in ("", module):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return _is_section(origin, alias.name)
    return False


@cache
def _imports(module: str) -> list[str]:
    """Return the modules of our package, and of its own, that a module imports, at the top or inside functions.

    Those of compiled kernels (`ensir.execution.machine_code`) are named, not imported.
    """
    names = []
    tree = _tree(module)
    for node in _statements(tree.body):
        if isinstance(node, ast.ImportFrom) and (origin := _origin(module, node)):
            for alias in node.names:
                submodule = f"{origin}.{alias.name}"
                names.append(submodule if _path(submodule) else origin)
                if alias.name == "Kernel":
                    names += _kernels(tree)
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names if _is_related(module, alias.name)]
    return [name for name in names if _path(name)]


def _statements(block: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Yield all statements of a block, and of the blocks inside; to walk expressions, too, takes five times as long."""
    for node in block:
        yield node
        for name in ("body", "orelse", "finalbody", "handlers", "cases"):
            yield from _statements(getattr(node, name, ()))


def _kernels(tree: ast.Module) -> list[str]:
    """Return the modules whose compiled functions a module calls."""
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    return [ast.literal_eval(call.args[0]) for call in calls if ast.unparse(call.func) == "Kernel"]


def _origin(module: str, node: ast.ImportFrom) -> str:
    """Return the module that names are imported from; empty where it is of neither our package nor its own."""
    name = node.module or ""
    if node.level:
        path = _path(module)
        package = module if path and path.name == "__init__.py" else module.rpartition(".")[0]
        name = importlib.util.resolve_name("." * node.level + name, package)
    return name if _is_related(module, name) else ""


def _is_related(module: str, other: str) -> bool:
    """Return whether a module is of our package, or of the same package as another."""
    return other.partition(".")[0] in ("ensir", module.partition(".")[0])
