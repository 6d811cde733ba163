"""Pages for people: lines that an editor and a diff can show."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WIDTH = 120
PAGES = [
    *sorted((ROOT / "docs").glob("**/*.md")),
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "config/README.md")),
]


def prose(page: Path) -> Iterator[tuple[int, str]]:
    """Yield the numbered lines of a page that stand in no table, no block of code and no HTML."""
    code = False
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        fence = line.lstrip().startswith("```")
        code ^= fence
        if not (code or fence or line.lstrip().startswith(("|", "<div>"))):
            yield number, line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_lines_are_short(page: Path):
    long = [
        f"{page}:{number}: {line}"
        for number, line in prose(page)
        if len(line) > WIDTH and " " in line.strip()
    ]
    assert long == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_places_are_there(page: Path):
    """Paths of the repository that a page names, and files that it links to."""
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"\b(?:src/ensir|workflow|tests|envs)/[\w/.-]*\w", text)
    linked = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    missing = [path for path in named if not (ROOT / path).exists()]
    missing += [link for link in linked if not (page.parent / link).exists()]
    assert missing == []


def anchors(page: Path) -> set[str]:
    """Return what a link may name in a page: its headings, as GitHub and the site spell them."""
    titles = [line.lstrip("#").strip() for _, line in prose(page) if line.startswith("#")]
    texts = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title) for title in titles]
    return {re.sub(r"[^\w -]", "", text.lower()).replace(" ", "-") for text in texts}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_headings_are_there(page: Path):
    links = re.findall(r"\]\(([^)\s#:]*)#([^)\s]+)\)", page.read_text(encoding="utf-8"))
    places = [
        (page.parent / path if path else page, name)
        for path, name in links
        if path.endswith(".md") or not path
    ]
    assert [(place.name, name) for place, name in places if name not in anchors(place)] == []


def test_every_page_is_in_the_navigation_of_the_site():
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[2]
    listed = set(re.findall(r"([\w/-]+\.md)$", navigation, re.MULTILINE))
    made = {
        "index.md",
        "contributing.md",
        "changelog.md",
        "reference/configuration.md",
        "reference/commands.md",
    }
    decisions = "decisions/0"
    pages = {str(page.relative_to(ROOT / "docs")) for page in PAGES if page.is_relative_to(ROOT / "docs")}
    assert {page for page in pages if not page.startswith(decisions)} | made == listed


def code_links() -> list[tuple[Path, str, str]]:
    """Return each link of a page to a function or class: the page, the file, the name."""
    link = re.compile(r"\]\(([^)\s#]+\.py)#([\w.]+)\)")
    return [(page, *found) for page in PAGES for found in link.findall(page.read_text(encoding="utf-8"))]


def test_functions_that_pages_link_to_are_there():
    missing = []
    for page, file, name in code_links():
        tree: ast.AST = ast.parse((page.parent / file).read_text(encoding="utf-8"))
        for part in name.split("."):
            tree = {node.name: node for node in tree.body if hasattr(node, "name")}.get(
                part, ast.Module([], [])
            )
        if not hasattr(tree, "name"):
            missing.append(f"{page.name}: {file}#{name}")
    assert len(code_links()) > 60
    assert missing == []


def test_results_in_short_are_those_of_the_tables():
    page = (ROOT / "docs/results.md").read_text(encoding="utf-8")
    tables = {
        name: rows for name, rows in re.findall(r"<!-- table: (\S+) -->\n(.*?)<!-- end -->", page, re.DOTALL)
    }
    columns = [("derain", "rain100h_test"), ("sr_x4", "set5"), ("denoise", "set14")]
    rows = [
        [cell.strip(" `") for cell in line.split("|")[1:-1]]
        for line in tables["in-short"].strip().splitlines()
    ]
    assert len(rows) == 8
    for method, *gains in rows[3:]:
        for (experiment, dataset), gain in zip(columns, gains, strict=True):
            assert f"| {dataset} | {method} | {gain} |" in tables[f"{experiment}/differences"]
    for (experiment, dataset), gain in zip(
        columns, rows[2][1:], strict=True
    ):  # of the base model: the other way round
        mean, low, high = re.findall(r"[+−][\d.]+", gain)
        turned = [value.translate(str.maketrans("+−", "−+")) for value in (mean, high, low)]
        assert (
            f"| {dataset} | average | – | {turned[0]} [{turned[1]}, {turned[2]}]"
            in tables[f"{experiment}/differences"]
        )


def test_gains_beside_printed_ones_are_those_of_the_results():
    results = (ROOT / "docs/results.md").read_text(encoding="utf-8")
    page = (ROOT / "docs/papers.md").read_text(encoding="utf-8")
    table = page.partition("<!-- gains over the average -->")[2].strip().partition("\n\n")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]]
    assert len(rows) == 8
    for method, _, derained, _, enlarged in rows:
        assert derained == "–" or f"| rain100h_test | {method} | {derained} |" in results
        assert f"| set5 | {method} | {enlarged} |" in results
