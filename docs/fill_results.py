"""Put the tables of a run into docs/results.md, each below the comment that names it."""

import re
from pathlib import Path

PAGE = Path(__file__).with_name("results.md")
TABLES = Path("results/tables")
SLOT = re.compile(r"(<!-- table: (?P<name>\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(slot: re.Match[str]) -> str:
    """Return a slot of the page with its table."""
    table = (TABLES / f"{slot['name']}.md").read_text(encoding="utf-8")
    return f"{slot[1]}\n{table}\n{slot[3]}"


PAGE.write_text(SLOT.sub(filled, PAGE.read_text(encoding="utf-8")), encoding="utf-8")
