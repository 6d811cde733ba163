"""The pages of a run, opened and clicked through in headless Chromium: `make test-browser`."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import large_page
import pytest
from conftest import Run
from selenium import webdriver
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select, WebDriverWait

pytestmark = pytest.mark.browser
PATIENCE = 30  # seconds; machines may be busy
NEEDED = ("chromium", "chromedriver")


@pytest.fixture(scope="session")
def chromium() -> Iterator[webdriver.Chrome]:
    """A browser that is offline and tells all that its pages ask for."""
    missing = [program for program in NEEDED if not shutil.which(program)]
    if missing:
        reason = f"no {' and no '.join(missing)}; apt-get install chromium chromium-driver"
        if os.environ.get("ENSIR_REQUIRE_DATA") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    for argument in (
        "--headless=new",
        "--no-sandbox",  # tests may run as root
        "--disable-dev-shm-usage",
        "--window-size=1360,1000",
        "--force-prefers-reduced-motion",
        "--host-resolver-rules=MAP * ~NOTFOUND",
    ):
        options.add_argument(argument)
    with webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver"))) as browser:
        yield browser


class Page:
    """A page that is looked at; at the end, `check` tells what went wrong in it."""

    def __init__(self, browser: webdriver.Chrome, path: Path):
        self.browser = browser
        browser.get_log("browser"), browser.get_log("performance")  # of the page before: emptied
        browser.get(path.resolve().as_uri())

    def find(self, css: str, within: WebElement | None = None) -> WebElement:
        return (within or self.browser).find_element(By.CSS_SELECTOR, css)

    def find_all(self, css: str, within: WebElement | None = None) -> list[WebElement]:
        return (within or self.browser).find_elements(By.CSS_SELECTOR, css)

    def do(self, script: str, *arguments: Any) -> Any:
        return self.browser.execute_script(script, *arguments)

    def click(self, element: WebElement) -> None:
        self.do("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element)
        element.click()

    def wait(self, condition: Any) -> Any:
        return WebDriverWait(self.browser, PATIENCE).until(lambda _: condition())

    def column(self, table: WebElement, column: int) -> list[str]:
        """Return the texts of a column, without the rows that are titles."""
        script = """return [...arguments[0].tBodies].flatMap((body) => [...body.rows])
            .filter((row) => row.cells.length > 1).map((row) => row.cells[arguments[1]].textContent.trim())"""
        return self.do(script, table, column)

    def check(self, warnings: bool = True) -> None:
        """Nothing in the console, nothing asked of the network, nothing wider than the window."""
        levels = ("SEVERE", "WARNING") if warnings else ("SEVERE",)
        assert [entry for entry in self.browser.get_log("browser") if entry["level"] in levels] == []
        events = [json.loads(entry["message"])["message"] for entry in self.browser.get_log("performance")]
        asked = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
        assert asked, "the page itself, at least"
        assert [url[:200] for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
        assert self.do("return document.documentElement.scrollWidth <= innerWidth")


# ── the report ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def report(chromium: webdriver.Chrome, finished: Run) -> Iterator[Page]:
    page = Page(chromium, finished.folder / "results/report.html")
    yield page
    page.check()


def test_navigation(report: Page):
    for link in report.find_all("nav li a"):
        link.click()
        target = report.do("return document.getElementById(decodeURIComponent(location.hash.slice(1)))")
        report.wait(
            lambda target=target: (
                abs(report.do("return arguments[0].getBoundingClientRect().top", target)) < 700
            )
        )
        assert target.is_displayed()
    assert len(report.find_all("nav a[aria-current]")) == 1


def test_tables_sort(report: Page):
    table = report.find("table.sortable")
    names = report.column(table, 0)
    heading = report.find_all("thead button", table)[1]
    for sign, direction in ((-1, "descending"), (1, "ascending")):
        report.click(heading)
        assert heading.find_element(By.XPATH, "..").get_attribute("aria-sort") == direction
        values = [float(text) for text in report.column(table, 1)]
        models = values[:3]  # groups stay together
        assert models == sorted(models, key=lambda value: sign * value)
        assert values[3:] == sorted(values[3:], key=lambda value: sign * value)
    assert sorted(report.column(table, 0)) == sorted(names)


def test_scores_of_every_image(report: Page):
    details = report.find("details.images")
    table = report.find("table", details)
    assert report.column(table, 0) == []
    report.click(report.find("summary", details))
    report.wait(lambda: report.column(table, 0) == ["t1", "t2", "t3"])
    report.click(report.find_all("thead button", table)[-1])
    values = [
        float(text)
        for text in report.column(table, -1 + len(report.find_all("tbody tr:first-child > *", table)))
    ]
    assert values == sorted(values, reverse=True)
    assert report.find_all(".best", table)


def test_slider(report: Page):
    figure = report.find(".compare")
    stage, slider = report.find(".stage", figure), report.find("input[type=range]", figure)

    def at() -> float:
        return float(report.do("return arguments[0].style.getPropertyValue('--at')", stage).rstrip("%") or 50)

    report.click(slider)
    slider.send_keys(Keys.HOME)
    assert at() == 0
    slider.send_keys(Keys.ARROW_RIGHT)
    assert at() == 0.5
    width = stage.size["width"]
    ActionChains(report.browser).move_to_element(stage).click_and_hold().move_by_offset(
        width // 4, 0
    ).release().perform()
    assert at() == pytest.approx(75, abs=1)
    clip = report.do("return getComputedStyle(arguments[0].querySelectorAll('svg')[1]).clipPath", stage)
    assert "75" in clip or f"{at():g}" in clip


def test_zoom(report: Page):
    figure = report.find(".compare")

    def view() -> list[float]:
        boxes = report.do(
            "return [...arguments[0].querySelectorAll('.stage svg')].map((s) => s.getAttribute('viewBox'))",
            figure,
        )
        assert len(set(boxes)) == 1, "both pictures and the mark are seen alike"
        return [float(number) for number in boxes[0].split(" ")]

    whole = view()
    report.click(report.find("[data-zoom=in]", figure))
    assert view()[2] == pytest.approx(whole[2] / 1.5)
    ActionChains(report.browser).click_and_hold(report.find(".stage", figure)).perform()
    report.click(report.find("[data-zoom=close-up]", figure))
    left, top, side = (float(number) for number in figure.get_attribute("data-close-up").split(" ")[:3])
    x, y, width, height = view()
    assert x <= left + side / 2 <= x + width
    assert y <= top + side / 2 <= y + height
    report.click(report.find("[data-zoom=fit]", figure))
    assert view() == whole


def test_pictures_are_chosen(report: Page):
    figure = report.find(".compare")
    Select(report.find("select.left", figure)).select_by_visible_text("target")
    assert report.find("output.left", figure).text == "target"
    button = report.find_all(".strip button")[-1]
    report.click(button)
    chosen = report.find(".stage svg:nth-of-type(2) use", figure).get_attribute("href")
    assert chosen == f"#{button.get_attribute('data-picture')}"
    loaded = """return Promise.all([...document.querySelectorAll('image')].map((image) => {
        const picture = new Image(); picture.src = image.href.baseVal;
        return picture.decode().then(() => true, () => false); }))"""
    assert all(report.do(loaded))


def test_figures_are_drawn(report: Page):
    charts = report.find_all(".chart svg")
    assert len(charts) == 3  # calibration, gain, occupancy
    for chart in charts:
        report.do("arguments[0].scrollIntoView({behavior: 'instant'})", chart)
        box = chart.rect
        assert box["width"] > 300
        texts = report.do(
            "return [...arguments[0].querySelectorAll('text')].map((t) => t.getBoundingClientRect().height)",
            chart,
        )
        assert min(texts) >= 8, "pixels"


# ── a report that is as large as any ─────────────────────────────────────────────────────────────────────────


def test_a_large_report(chromium: webdriver.Chrome, tmp_path: Path):
    path = large_page.make(tmp_path)
    assert path.stat().st_size < 30e6
    page = Page(chromium, path)
    for section in page.find_all("section.test"):
        page.do("arguments[0].scrollIntoView({behavior: 'instant'})", section)
        stage = page.find(".stage", section)
        assert stage.rect["width"] >= 500
        assert 100 <= stage.rect["height"] <= 1000
    details = page.find_all("details.images")[0]
    page.click(page.find("summary", details))
    table = page.find("table", details)
    page.wait(lambda: len(page.column(table, 0)) == large_page.IMAGES)
    page.click(page.find_all("thead button", table)[3])
    values = [float(text) for text in page.column(table, 3)]
    assert values == sorted(values, reverse=True)
    page.check()


# ── Snakemake's report ───────────────────────────────────────────────────────────────────────────────────────


def test_report_of_snakemake(chromium: webdriver.Chrome, finished: Run, tmp_path: Path):
    run = finished.copy(tmp_path / "run")
    run.run("all", "figures")
    run.run("all", "figures", "--report", "results/workflow-report.html")
    page = Page(chromium, run.folder / "results/workflow-report.html")
    page.wait(lambda: "Figures" in page.find("body").text)
    for category, listed in {
        "Tables": "summary.csv",
        "Report": "report.html",
        "Figures": "calibration",
    }.items():
        menu(page, category)
        page.wait(lambda listed=listed: listed in page.find("body").text)
        if category != "Figures":
            menu(page, "Results")
    row = next(row for row in page.find_all("tr") if row.text.startswith("gain"))
    page.click(page.find_all("a", row)[-1])
    page.wait(lambda: "paired bootstrap 95 % interval" in page.find("body").text)
    menu(page, "Figures")
    row = next(row for row in page.find_all("tr") if row.text.startswith("gain"))
    page.click(page.find_all("a", row)[-2])
    picture = page.wait(lambda: page.find_all("img[src^='data:image/svg'], iframe, object")[-1:])[0]
    assert picture.rect["width"] > 200
    page.check(warnings=False)  # it warns of how it was built


def menu(page: Page, text: str) -> None:
    """Click an entry of the menu of Snakemake's report."""
    entries = page.browser.find_elements(By.XPATH, f"//a[normalize-space(.)='{text}']")
    next(entry for entry in entries if entry.is_displayed()).click()
