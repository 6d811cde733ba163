"""What made a result: versions of the libraries and of our own source."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import socket
import subprocess
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path

from ensir import functions

PACKAGE = Path(__file__).parent
# version, schema, logging: no result depends on them
NOT_COUNTED = ("ensir", "ensir.config", "ensir.config_data", "ensir.job")


def versions(*packages: str) -> dict[str, str]:
    """Return the installed version of each package, ours first."""
    from ensir import __version__

    return {"ensir": __version__} | {package: metadata.version(package) for package in packages}


@cache
def installed_digest() -> str:
    """Return a digest of the name and version of every installed package."""
    installed = sorted(f"{found.name}=={found.version}" for found in metadata.distributions())
    return hashlib.sha256("\n".join(installed).encode()).hexdigest()[:16]


def origin() -> dict[str, str]:
    """Return where and when this is, and which code runs: what no digest may depend on."""
    return {
        "host": socket.gethostname(),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
    }


@cache
def commit() -> str:
    """Return the git commit of our source, with "-dirty" where files differ from it; empty outside of git."""
    git = ["git", "-C", str(PACKAGE)]
    tracked = [
        *git,
        "ls-files",
        "--error-unmatch",
        "__init__.py",
    ]  # not of somebody's repository around an .venv
    described = [*git, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        subprocess.run(tracked, capture_output=True, check=True)
        return subprocess.run(described, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


@cache  # asked for by every job of a plan
def source_digest(*modules: str) -> str:
    """Return a digest of the code of some of our modules and of all that they import from us.

    Comments, docstrings and layout do not count, and neither does the configuration's schema: its values reach
    a stage as parameters.

    Parameters
    ----------
    *modules : str
        Such as ``"ensir.predict"``.
    """
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module not in found and module not in NOT_COUNTED:
            found.add(module)
            waiting += _imports(module)
    code = "\n".join(f"{module} {_code(module)}" for module in sorted(found))
    return hashlib.sha256(code.encode()).hexdigest()[:16]


def templates_digest() -> str:
    """Return a digest of the page templates that ship with the package."""
    files = sorted((PACKAGE / "templates").iterdir())
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


@cache
def file_digest_of_module(module: str) -> str:
    """Return the digest of the file that a module of the user's is imported from; empty where there is none."""
    functions.look_here()
    try:
        found = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return ""
    if found is None or not found.origin or not Path(found.origin).is_file():
        return ""
    return hashlib.sha256(Path(found.origin).read_bytes()).hexdigest()[:16]


def _path(module: str) -> Path | None:
    base = PACKAGE.parent.joinpath(*module.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


@cache
def _tree(module: str) -> ast.Module:
    """Parse a module; docstrings are left out."""
    path = _path(module)
    assert path is not None, module
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body = node.body[1:] or [ast.Pass()]
    return tree


@cache
def _code(module: str) -> str:
    return ast.unparse(_tree(module))


@cache
def _imports(module: str) -> list[str]:
    """Return the modules of ours that a module imports when it is run, at its top or inside functions."""
    found = []
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "ensir":
            for name in node.names:
                submodule = f"{node.module}.{name.name}"
                found.append(submodule if _path(submodule) else node.module)
        elif isinstance(node, ast.Import):
            found += [name.name for name in node.names if name.name.split(".")[0] == "ensir"]
    return found
