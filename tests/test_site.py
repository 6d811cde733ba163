"""The documentation as a site: it is built without a warning, asks no other host for anything, and is searched offline."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PYTHON = Path(os.environ.get("ENSIR_DOCS_PYTHON", Path(sys.prefix) / "docs/bin/python"))


@pytest.fixture(scope="module")
def site(once: Callable) -> Path:
    """The site, built as `make docs` does."""
    if not PYTHON.exists():
        reason = "no environment for the documentation; type `make docs` first"
        if os.environ.get("ENSIR_REQUIRE_DATA") == "1":
            pytest.fail(reason)
        pytest.skip(reason)

    def build(folder: Path) -> None:
        done = subprocess.run(
            [PYTHON, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
            cwd=ROOT,
            env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT / "src")},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert "WARNING" not in done.stderr

    return once("site", build)


@pytest.mark.slow
def test_the_pages_fetch_nothing_from_elsewhere(site: Path):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 30
    fetched = re.compile(
        r"<(?:script|img|iframe)\b[^>]*\bsrc=\"?(?:https?:)?//|<link\b[^>]*\bhref=\"?(?:https?:)?//"
    )
    assert [page.name for page in pages if fetched.search(page.read_text(encoding="utf-8"))] == []


@pytest.mark.slow
def test_a_link_to_a_function_leads_to_its_code(site: Path):
    assert 'href="source/src/ensir/cells/em.py.html#run"' in (site / "papers.html").read_text(
        encoding="utf-8"
    )
    page = (site / "source/src/ensir/cells/em.py.html").read_text(encoding="utf-8")
    assert '<h2 id="run">' in page


@pytest.mark.browser
def test_search_works_in_a_file(site: Path):
    from selenium import webdriver
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1360,1000"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    with webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver"))) as browser:
        browser.get((site / "index.html").as_uri())
        box = browser.find_element(By.CSS_SELECTOR, "input.md-search__input")
        box.click()
        box.send_keys("mean-shift")
        titles = "article.md-search-result__article h1"
        WebDriverWait(browser, 20).until(lambda shown: shown.find_elements(By.CSS_SELECTOR, titles))
        found = [title.text for title in browser.find_elements(By.CSS_SELECTOR, titles)]
        time.sleep(0.5)
        events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    assert "Mean-shift restorers" in found
    asked = [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    ]
    assert asked
    assert [url for url in asked if not url.startswith(("file:", "data:", "about:"))] == []
