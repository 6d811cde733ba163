"""What the pages on arrays and on deploying show in Python runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("page", ["library.md", "deploy.md"])
def test_examples_run(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```$", (DOCS / page).read_text(encoding="utf-8"), re.M | re.S)
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, page, "exec"), names)
    assert len(blocks) >= 1
    fused = names["fused"]
    assert fused.shape == (3, 48, 63) if page == "library.md" else (3, 32, 40)  # type: ignore[attr-defined]
    if page == "library.md":
        assert "('small', 'large')" in capsys.readouterr().out
