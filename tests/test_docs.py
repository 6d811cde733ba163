"""Pages for people: lines that an editor and a diff can show."""

from __future__ import annotations

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
    """Yield the numbered lines of a page that stand in no table and no block of code."""
    code = False
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        fence = line.lstrip().startswith("```")
        code ^= fence
        if not (code or fence or line.lstrip().startswith("|")):
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
