"""Pages of the site that are not below docs/: a hook of MkDocs, which `make docs` runs.

What lies elsewhere in the repository keeps its place, and its links keep working there: README.md is the first page,
the help of the command line and the table of licences are made here, and a file of code that a page links to is a page
of its own. A link such as ``../src/ensir/cells/em.py#fit_cells`` leads to the function.
"""

from __future__ import annotations

import ast
import posixpath
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
# Pages of the site, by their files in the repository.
PLACES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "config/README.md": "reference/configuration.md",
}
COMMANDS = "reference/commands.md"
LINK = re.compile(r"(?<=\]\()(?P<path>[^)\s#:]*)(?P<fragment>#[^)\s]*)?(?=\))")
FENCE = re.compile(r"^( *)(`{3,}).*?^\1\2$", re.DOTALL | re.MULTILINE)
LANGUAGES = {
    ".py": "python",
    ".yaml": "yaml",
    ".toml": "toml",
    ".cff": "yaml",
    ".smk": "python",
    ".json": "json",
}
NOT_SEARCHED = "---\nsearch: {exclude: true}\n---\n\n"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are not below docs/."""
    pages = {place: (ROOT / source).read_text(encoding="utf-8") for source, place in PLACES.items()}
    pages[COMMANDS] = command_line()
    wanted: dict[str, set[str]] = {}
    texts = {source: pages[place] for source, place in PLACES.items()}
    for file in files.documentation_pages():
        texts[f"docs/{file.src_uri}"] = file.content_string
    for source, text in texts.items():
        for path, fragment in links(source, text):
            if not has_place(path, files):
                if not (ROOT / path).exists():
                    raise PluginError(f"{source}: links to {path}, which is not there")
                wanted.setdefault(path, set()).add(fragment)
    for place, text in pages.items():
        files.append(File.generated(config, place, content=text))
    for path in sorted(wanted):
        text = source_page(path, wanted[path] - {""})
        files.append(
            File.generated(config, place_of(path), content=text, inclusion=InclusionLevel.NOT_IN_NAV)
        )
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links between files of the repository into links between pages."""
    place = page.file.src_uri
    source = next((source for source, other in PLACES.items() if other == place), f"docs/{place}")
    if place == COMMANDS or place.startswith("source/"):
        return markdown

    def link(found: re.Match[str]) -> str:
        if not found["path"]:
            return found[0]
        path = resolved(source, found["path"])
        other = path.removeprefix("docs/") if has_place(path, files) else place_of(path)
        other = PLACES.get(path, other)
        return posixpath.relpath(other, posixpath.dirname(place) or ".") + (found["fragment"] or "")

    return outside_code(markdown, lambda text: LINK.sub(link, text))


def links(source: str, text: str) -> Iterator[tuple[str, str]]:
    """Yield the files of the repository that a page links to, and what in them."""
    found: list[re.Match[str]] = []
    outside_code(text, lambda piece: found.extend(LINK.finditer(piece)) or piece)
    for match in found:
        if match["path"]:
            yield resolved(source, match["path"]), (match["fragment"] or "")[1:]


def outside_code(text: str, change: Callable[[str], str]) -> str:
    """Return a page whose text outside of blocks of code is changed by a function."""
    pieces, end = [], 0
    for fence in FENCE.finditer(text):
        pieces += [change(text[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*pieces, change(text[end:])])


def resolved(source: str, path: str) -> str:
    """Return a path in the repository from one that is relative to a file there."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(source), path))


def has_place(path: str, files: Files) -> bool:
    """Tell whether a file of the repository has a place on the site without a page of its code."""
    return path in PLACES or files.get_file_from_path(path.removeprefix("docs/")) is not None


def place_of(path: str) -> str:
    """Return the page that shows a file or folder of the repository."""
    return PLACES.get(path, f"source/{path}.md" if not path.endswith(".md") else f"source/{path}")


def source_page(path: str, names: set[str]) -> str:
    """Return a page with the functions and classes of these names in a file, then the whole of it; or with a folder."""
    file = ROOT / path
    if file.is_dir():
        names_of_files = sorted(child.name for child in file.iterdir() if not child.name.startswith("."))
        return f"{NOT_SEARCHED}# {path}\n\n" + "".join(f"- {name}\n" for name in names_of_files)
    text = file.read_text(encoding="utf-8")
    if path.endswith(".md"):
        return NOT_SEARCHED + text
    lines, parts = text.splitlines(), []
    for name in sorted(names):
        node = definition(ast.parse(text), name)
        first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
        excerpt = "\n".join(lines[first - 1 : node.end_lineno])
        parts.append(f"## {name} {{ #{name} }}\n\n{block(excerpt, '.py', first)}")
    parts += ["## The whole file\n"] if names else []
    return f"{NOT_SEARCHED}# {path}\n\n" + "\n".join([*parts, block(text.rstrip(), file.suffix, 1)])


def definition(tree: ast.AST, name: str) -> ast.FunctionDef | ast.ClassDef:
    """Return the function or class of a module, or ``Class.method``.

    Raises
    ------
    PluginError
        There is none.
    """
    for part in name.split("."):
        found = [
            node
            for node in getattr(tree, "body", [])
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == part
        ]
        if not found:
            raise PluginError(f"a page links to {name} of a module that has no such function or class")
        tree = found[0]
    return tree


def block(text: str, suffix: str, first: int) -> str:
    """Return a block of code with the numbers of its lines."""
    return f'````{LANGUAGES.get(suffix, "text")} linenums="{first}"\n{text}\n````\n'


def command_line() -> str:
    """Return the help of all commands, as a page; the table of contents lists them."""
    command = [
        sys.executable,
        "-m",
        "typer",
        "ensir.cli",
        "utils",
        "docs",
        "--name",
        "ensir",
        "--title",
        "Commands",
    ]
    text = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout
    return re.sub(r"^\*\*Commands\*\*:\n\n(?:\*.*\n)+", "", text, flags=re.MULTILINE)
