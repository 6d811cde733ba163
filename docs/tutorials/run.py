"""Run the tutorials as notebooks, and keep them with what they print and draw as pages: `make tutorials`.

A tutorial is a Python file, NAME.py, in Jupytext's percent format, so that it runs as a script, too. Its page is
NAME.md, with the pictures NAME_1.png, …, beside it.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

import jupytext
from nbclient import NotebookClient
from nbconvert import MarkdownExporter
from traitlets.config import Config

FOLDER = Path(__file__).parent
ABOUT = "<!-- Made of {name}.py by `make tutorials`; `jupytext --to ipynb {name}.py` makes a notebook of it. -->\n\n"
SETTINGS = Config({"NotebookClient": {"coalesce_streams": True}})


def run(source: Path) -> None:
    """Run a tutorial in an empty folder, and write its page and its pictures."""
    notebook = jupytext.read(source)
    with tempfile.TemporaryDirectory() as folder:
        where = {"metadata": {"path": folder}}
        NotebookClient(
            notebook, config=SETTINGS, kernel_name="python3", resources=where
        ).execute()
    for old in FOLDER.glob(f"{source.stem}_*.png"):
        old.unlink()
    for output in (
        output for cell in notebook.cells for output in cell.get("outputs", ())
    ):
        if html := output.get("data", {}).get("text/html"):
            output.data["text/html"] = (
                f"<div>{html}</div>"  # Markdown would look for paragraphs in it
            )
    text, resources = MarkdownExporter().from_notebook_node(notebook)
    for number, (name, content) in enumerate(sorted(resources["outputs"].items()), 1):
        picture = f"{source.stem}_{number}.png"
        (FOLDER / picture).write_bytes(content)
        text = text.replace(
            f"![png]({name})", f"![What the cell above draws]({picture})"
        )
    text = re.sub(r"\n(?:[ \t]*\n){2,}", "\n\n", text).strip()
    source.with_suffix(".md").write_text(
        ABOUT.format(name=source.stem) + text + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    for tutorial in (
        map(Path, sys.argv[1:]) if sys.argv[1:] else sorted(FOLDER.glob("*.py"))
    ):
        if tutorial.resolve() != Path(__file__).resolve():
            run(tutorial)
