"""The pages of a run, opened and clicked through in headless Chromium: `make test-browser`."""

from __future__ import annotations

import base64
import csv
import io
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import large_page
import numpy as np
import pytest
from conftest import Run
from PIL import Image
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select, WebDriverWait
from typer.testing import CliRunner

from ensir.cli import app

pytestmark = pytest.mark.browser
PATIENCE = 30  # seconds; machines may be busy
NEEDED = ("chromium", "chromedriver")
AXE = "axe-core@4.14.1"  # finds what bars people from using a page


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


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The script of axe, from npm."""
    folder = tmp_path_factory.mktemp("axe")
    if not shutil.which("npm"):
        pytest.skip("no npm")
    command = ["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--ignore-scripts", AXE]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip(f"npm does not give {AXE}")
    return (folder / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8")


class Page:
    """A page that is looked at; at the end, `check` tells what went wrong in it."""

    def __init__(self, browser: webdriver.Chrome, path: Path):
        self.browser = browser
        self.folder = path.parent.parent
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

    def opened(self) -> float:
        """Return after how many milliseconds the page was there; 0 before."""
        return self.do("return performance.getEntriesByType('navigation')[0].loadEventEnd")

    @contextmanager
    def seen(self, width: int, scheme: str) -> Iterator[None]:
        """Show the page in a window of this width, light or dark."""
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        scheme_of = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", scheme_of)
        self.browser.refresh()
        yield
        self.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})

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
    table = results(report)
    names = report.column(table, 0)
    heading = report.find_all("thead button", table)[1]
    for sign, direction in ((-1, "descending"), (1, "ascending")):
        report.click(heading)
        assert heading.find_element(By.XPATH, "..").get_attribute("aria-sort") == direction
        values = [float(text.rstrip("†‡")) for text in report.column(table, 1)]
        models = values[:3]  # groups stay together
        assert models == sorted(models, key=lambda value: sign * value)
        assert values[3:] == sorted(values[3:], key=lambda value: sign * value)
    assert sorted(report.column(table, 0)) == sorted(names)


def results(page: Page) -> WebElement:
    """Return the table of means."""
    return page.find("section[id] > .sheet table")


def test_tables_are_copied(report: Page):
    """As the tables of the run have it: CSV with all digits, Markdown and LaTeX as printed."""
    sheet = report.find("section[id] > .sheet")
    copied = {}
    report.do(
        """window.copied = []; navigator.clipboard.writeText = async (text) => { window.copied.push(text); }"""
    )
    for form in ("csv", "markdown", "latex"):
        report.click(report.find(f"[data-copy={form}]", sheet))
        copied[form] = report.wait(lambda: report.do("return window.copied.pop()"))
    with open(Path(report.folder) / "results/summary.csv", newline="") as file:
        means = {row["method"]: float(row["mean"]) for row in csv.DictReader(file) if row["metric"] == "psnr"}
    head, *rows = csv.reader(io.StringIO(copied["csv"]))
    assert head[:3] == ["name", "test PSNR (dB)", "test gain"]
    assert {name: float(value) for name, value, *_ in rows} == pytest.approx(means, rel=1e-12)
    *markdown, _, note = copied["markdown"].splitlines()
    assert note.startswith("Means over the images of each test set")
    assert markdown[0].startswith("| name | test PSNR (dB) | test gain | ")
    assert len(markdown) == 2 + len(means)
    assert any("**" in line for line in markdown)
    assert "[" not in copied["markdown"], "intervals that are not shown"
    assert copied["latex"].count("\\midrule") == 2
    assert "\\textbf{" in copied["latex"]


def test_intervals_are_shown_on_demand(report: Page):
    sheet = report.find("section[id] > .sheet")
    interval = report.find(".interval", sheet)
    assert not interval.is_displayed()
    report.click(report.find("button.intervals", sheet))
    assert interval.is_displayed()
    assert re.fullmatch(r"\[[+−]?[\d.]+, [+−]?[\d.]+\]", interval.text)


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
    report.find(".filter", details).send_keys("T2")
    assert report.column(table, 0) == ["t2"]
    assert report.find(".count", details).text == "1 of 3"


def viewer(page: Page) -> WebElement:
    """Return the first viewer, in sight and drawn."""
    root = page.find(".viewer")
    page.do("arguments[0].scrollIntoView({behavior: 'instant'})", root)
    drawn(page)
    return root


def drawn(page: Page) -> None:
    page.wait(
        lambda: page.do(
            "const s = document.querySelector('.stage'); return s.dataset.drawn && s.querySelector('image')"
        )
    )


def test_slider(report: Page):
    root = viewer(report)
    stage, slider = report.find(".stage", root), report.find("input[type=range]", root)

    def at() -> float:
        return float(report.do("return arguments[0].style.getPropertyValue('--at')", stage).rstrip("%"))

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
    clip = report.do("return getComputedStyle(arguments[0].querySelectorAll('.pane')[1]).clipPath", stage)
    assert "75" in clip or f"{at():g}" in clip
    stage.send_keys(Keys.ARROW_LEFT)
    assert at() == pytest.approx(73, abs=1)


def views(page: Page) -> list[float]:
    """Return what all panels see alike."""
    boxes = page.do(
        "return [...document.querySelectorAll('.stage')[0].querySelectorAll('.pane > svg:not(.mark)')]"
        ".map((s) => s.getAttribute('viewBox'))"
    )
    assert len(boxes) == 4
    assert len(set(boxes)) == 1, "all panels see the same"
    return [float(number) for number in boxes[0].split(" ")]


def test_zoom(report: Page):
    root = viewer(report)
    whole = views(report)
    report.click(report.find("[data-zoom=in]", root))
    assert views(report)[2] == pytest.approx(whole[2] / 1.5)
    data = json.loads(report.do("return arguments[0].textContent", report.find("script.pictures", root)))
    report.click(report.find("[data-zoom=closeUp]", root))
    left, top, side = data["images"][0]["closeUp"][:3]
    x, y, width, height = views(report)
    assert x <= left + side / 2 <= x + width
    assert y <= top + side / 2 <= y + height
    report.click(report.find("[data-zoom=fit]", root))
    assert views(report) == whole


def test_panels_and_maps(report: Page):
    """What is computed from pictures is what NumPy computes from them."""
    root = viewer(report)
    Select(report.find("select[data-panel=A]", root)).select_by_visible_text("target")
    report.wait(lambda: report.find(".pane[data-panel=A] output", root).text == "target")
    button = report.find_all(".strip button", root)[-1]
    report.click(button)
    report.wait(lambda: button.get_attribute("aria-pressed") == "true")
    assert report.find("select[data-panel=B]", root).get_attribute("value") == button.get_attribute(
        "data-picture"
    )
    report.click(report.find("[data-view=grid]", root))
    report.wait(lambda: len([pane for pane in report.find_all(".pane", root) if pane.is_displayed()]) == 4)
    data = json.loads(report.do("return arguments[0].textContent", report.find("script.pictures", root)))
    shown = report.find("select[data-panel=C]", root).get_attribute("value")
    decoded = {
        key: np.asarray(
            Image.open(io.BytesIO(base64.b64decode(uris[0].partition(",")[2]))).convert("RGB"), float
        )
        for key, uris in data["images"][0]["pictures"].items()
    }
    for show, other in (("error", "target"), ("difference", "target")):
        drawings = report.find(".stage", root).get_attribute("data-drawn")
        Select(report.find(".shown", root)).select_by_value(show)
        report.wait(
            lambda drawings=drawings: report.find(".stage", root).get_attribute("data-drawn") != drawings
        )
        uri = report.find(".pane[data-panel=C] image", root).get_attribute("href")
        pixels = np.asarray(
            Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB"), float
        )
        difference = decoded[shown] - decoded[other]
        mean = np.abs(difference).mean(axis=2) if show == "error" else difference.mean(axis=2)
        share = np.clip(mean * 8 / 255 if show == "error" else 0.5 + mean * 8 / 510, 0, 1)
        stops = np.array(
            report.do("return SCALES[arguments[0]].map((s) => s.match(/\\d+/g).map(Number))", show)
        )
        at = share * (len(stops) - 1)
        expected = np.stack([np.interp(at, range(len(stops)), stops[:, c]) for c in range(3)], axis=2)
        np.testing.assert_allclose(pixels, expected, atol=1)
    loaded = """return Promise.all([...document.querySelectorAll('image')].map((image) => {
        const picture = new Image(); picture.src = image.href.baseVal;
        return picture.decode().then(() => true, () => false); }))"""
    assert all(report.do(loaded))


def test_keys(report: Page):
    root = viewer(report)
    stage = report.find(".stage", root)
    captions = []
    for key, view in (("g", "grid"), ("f", "flip"), ("s", "slide"), ("]", "slide"), ("[", "slide")):
        stage.send_keys(key)
        report.wait(lambda view=view: stage.get_attribute("data-view") == view)
        captions.append(report.find(".caption", root).text)
    assert captions[2] == captions[4] != captions[3]
    stage.send_keys("f")
    front = stage.get_attribute("data-front")
    stage.send_keys("f")
    assert stage.get_attribute("data-front") != front
    whole = views(report)
    stage.send_keys("++")
    stage.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_DOWN)
    assert views(report)[2] == pytest.approx(whole[2] / 2.25)
    stage.send_keys("0")
    assert views(report) == whole
    for key, show in (("e", "error"), ("d", "difference"), ("p", "picture")):
        stage.send_keys(key)
        assert report.find(".shown", root).get_attribute("value") == show


def test_the_address_keeps_what_is_shown(report: Page):
    root = viewer(report)
    stage = report.find(".stage", root)
    report.click(report.find_all(".picker button", root)[1])
    stage.send_keys("gec")
    Select(report.find("select[data-panel=D]", root)).select_by_visible_text("average")
    box, caption = views(report), report.find(".caption", root).text
    report.wait(lambda: "D=" in report.do("return location.hash"))
    address = report.do("return location.href")
    report.browser.get("about:blank")
    report.browser.get(address)
    root = report.find(".viewer")
    report.wait(lambda: report.find(".caption", root).text == caption)
    assert views(report) == pytest.approx(box, abs=0.06)
    assert report.find(".stage", root).get_attribute("data-view") == "grid"
    assert report.find(".shown", root).get_attribute("value") == "error"
    assert report.find(".pane[data-panel=D] output", root).text.startswith("average")
    # What no page has written is taken for nothing.
    section = address.partition("#")[2].partition("?")[0]
    for nonsense in ("view=x&show=y&times=3&A=z&image=%3Cb%3E&x=a&width=-1", "%%%", "at=1e9"):
        report.browser.get("about:blank")
        report.browser.get(f"{address.partition('#')[0]}#{section}?{nonsense}")
        drawn(report)


def test_every_image_is_a_dot(report: Page):
    section = report.find("section.test")
    figure = report.find(".scatter", section)
    report.do("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", figure)
    report.wait(lambda: len(report.find_all("circle", figure)) == 3)
    for select in (one for one in report.find_all("select", figure) if one.is_displayed()):
        for option in Select(select).options:
            Select(select).select_by_value(option.get_attribute("value"))
            assert len(report.find_all("circle", figure)) == 3
    dot = report.find_all("circle.pictured", figure)[-1]
    name = dot.find_element(By.CSS_SELECTOR, "title").get_attribute("textContent").partition(":")[0]
    dot.send_keys(Keys.ENTER)
    report.wait(lambda: report.find(".caption", section).text.startswith(name))


@pytest.mark.parametrize(
    ("width", "scheme"), [(1400, "light"), (768, "light"), (390, "light"), (1400, "dark")]
)
def test_nothing_bars_anybody(report: Page, axe: str, width: int, scheme: str):
    """Every control once, then axe: nothing serious; targets of 24 pixels; nothing wider than the window."""
    with report.seen(width, scheme):
        for details in report.find_all("details"):
            report.do("arguments[0].open = true", details)
        if scheme == "light":
            use_everything(report)
        report.do(axe)
        assert barring(report) == []
        assert report.do("return document.documentElement.scrollWidth <= innerWidth")


def test_two_runs_side_by_side(chromium: webdriver.Chrome, axe: str, finished: Run, tmp_path: Path):
    """The page of `ensir compare`: sorted, copied, and nothing that bars anybody."""
    results, other = finished.folder / "results", tmp_path / "other"
    other.mkdir()
    for name in ("provenance.json", "summary.csv"):
        shutil.copy(results / name, other)
    header, *rows = (results / "scores.csv").read_text().splitlines()
    moved = [
        re.sub(r"(,ensir,.*,psnr),([\d.]+)$", lambda m: f"{m[1]},{float(m[2]) + 0.1}", row) for row in rows
    ]
    (other / "scores.csv").write_text("\n".join([header, *moved]) + "\n")
    done = CliRunner().invoke(
        app, ["compare", str(results), str(other), "--html", str(tmp_path / "changes.html")]
    )
    assert done.exit_code == 0, done.output
    page = Page(chromium, tmp_path / "changes.html")
    table = page.find("table")
    assert page.column(table, 2) == ["ensir"]
    assert page.column(table, 6) == ["+0.1000"]
    for heading in page.find_all("thead button"):
        page.click(heading)
    for width in (1400, 390):
        with page.seen(width, "light"):
            page.do(axe)
            assert barring(page) == []
            page.check()


def barring(page: Page) -> list[Any]:
    """Return what axe finds serious."""
    told = page.browser.execute_async_script(
        """const done = arguments[0]; axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa",
        "best-practice"]}).then((found) => done(found.violations.map(({id, impact, nodes}) =>
        [id, impact, nodes.slice(0, 3).map((node) => node.html.slice(0, 300))])))"""
    )
    return [violation for violation in told if violation[1] in ("serious", "critical")]


CONTROLS = """a[href], button, summary, select, input, .stage, circle[role=button]"""
CLIPBOARD = "window.copied = 0; navigator.clipboard.writeText = async () => { window.copied++; }"


def use_everything(page: Page) -> None:
    """Click every control with the mouse, and choose every option by keyboard: what is clicked is what is seen there."""
    page.do(CLIPBOARD)
    for figure in page.find_all(".viewer, .scatter"):
        page.do("arguments[0].scrollIntoView({behavior: 'instant'})", figure)
        page.wait(lambda figure=figure: page.find_all(".stage[data-drawn] image, circle", figure))
    used = 0
    for control in page.find_all(CONTROLS):
        try:
            if not control.is_displayed() or not control.is_enabled():
                continue
            tag, hit = control.tag_name, page.do(HIT, control)
            assert hit == "", (control.get_attribute("outerHTML")[:200], hit)
            if tag == "select":
                options = len(Select(control).options)
                control.send_keys(Keys.HOME, *[Keys.ARROW_DOWN] * (options - 1))
            elif tag == "input":
                control.send_keys(
                    *("t", Keys.BACKSPACE) if control.get_attribute("type") == "search" else Keys.END
                )
            elif tag == "summary":  # closed, and open again
                ActionChains(page.browser, duration=0).move_to_element(control).click().pause(
                    0.6
                ).click().perform()
            else:
                ActionChains(page.browser, duration=0).move_to_element(control).click().perform()
        except StaleElementReferenceException:  # another control has made it anew
            continue
        used += 1
    assert used >= 55
    assert page.do("return window.copied") == len(page.find_all("[data-copy]"))


HIT = """const element = arguments[0];
    element.scrollIntoView({block: 'center', inline: 'center', behavior: 'instant'});
    const box = element.getBoundingClientRect();
    const there = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
    return there && (element.contains(there) || there.contains(element) && element.tagName === 'A') ? '' : there?.outerHTML.slice(0, 200) ?? 'nothing';"""


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


def test_a_report_without_targets(chromium: webdriver.Chrome, finished: Run, tmp_path: Path):
    """Predictions and fused images are pictured, with their weights; there are no errors to show."""
    run = finished.copy(tmp_path / "run")
    config = run.config
    del config["datasets"]["test"]["target"]
    run.config = config
    run.run()
    page = Page(chromium, run.folder / "results/report.html")
    root = viewer(page)
    shown = Select(page.find(".shown", root))
    values = [option.get_attribute("value") for option in shown.options]
    assert "difference" in values
    assert "error" not in values
    chosen = [Select(select).first_selected_option.text for select in page.find_all("select.panel", root)[:2]]
    assert chosen == ["a", "ensir"]
    shown.select_by_value("difference")
    drawn(page)
    page.check()


# ── a report that is as large as any ─────────────────────────────────────────────────────────────────────────


def test_a_large_report(chromium: webdriver.Chrome, tmp_path: Path):
    """20 methods, 14 test sets, 1,000 images each: it opens and filters at once; markup in names stays text."""
    path = large_page.make(tmp_path)
    assert path.stat().st_size < 30e6
    page = Page(chromium, path)
    opened = []
    for _ in range(3):
        page.browser.refresh()
        opened.append(page.wait(page.opened))
    assert np.median(opened) <= 1500, "milliseconds"
    for section in page.find_all("section.test"):
        page.do("arguments[0].querySelector('.viewer').scrollIntoView({behavior: 'instant'})", section)
        page.wait(lambda section=section: page.find_all(".stage image", section))
        stage = page.find(".stage", section)
        assert stage.rect["width"] >= 480
        assert 100 <= stage.rect["height"] <= 1000
    (hostile,) = [button for button in page.find_all(".picker b") if "onerror" in button.text]
    assert hostile.text == large_page.HOSTILE
    details = page.find_all("details.images")[0]
    page.click(page.find("summary", details))
    table = page.find("table", details)
    page.wait(lambda: page.find(".count", details).text == f"{large_page.IMAGES} rows")
    page.click(page.find_all("thead button", table)[3])
    values = [float(text) for text in page.column(table, 3)]
    assert 20 <= len(values) < large_page.IMAGES, "rows are made as they are scrolled to"
    assert values == sorted(values, reverse=True)
    page.do("const wide = arguments[0].querySelector('.wide'); wide.scrollTop = wide.scrollHeight", details)
    page.wait(lambda: len(page.column(table, 3)) > len(values))
    filtered = """const field = arguments[0].querySelector('.filter'), done = arguments[2], began = performance.now();
        field.value = arguments[1];
        field.dispatchEvent(new Event('input'));
        requestAnimationFrame(() => setTimeout(() => done(performance.now() - began)));"""
    taken = [page.browser.execute_async_script(filtered, details, text) for text in ("99", "7", "99")]
    assert page.find(".count", details).text == f"19 of {large_page.IMAGES}"
    assert all("99" in name for name in page.column(table, 0))
    assert np.median(taken) <= 100, "milliseconds"
    copied = hostile_copies(page)
    cell = next(csv.reader(io.StringIO(copied["csv"].partition("\n")[2])))[0]
    assert cell == f"'{large_page.FORMULA}", "a spreadsheet does not run it"
    assert r"""| =HYPERLINK("x")\|a_b%\<i> |""" in copied["markdown"]
    assert r"""=HYPERLINK("x")$|$a\_b\%$<$i$>$ &""" in copied["latex"]
    assert page.do("return document.title") == "Ensembles of restoration models"
    assert page.find_all("img") == []
    page.check()


def hostile_copies(page: Page) -> dict[str, str]:
    """Return, by form, what is copied of the row of an image whose name begins like a formula."""
    details = page.find("[id='odd_sizes.tiny'] details.images")
    page.do("arguments[0].open = true", details)
    page.wait(lambda: page.find_all("tbody tr", details))
    page.find(".filter", details).send_keys("hyperlink")
    assert page.column(page.find("table", details), 0) == [large_page.FORMULA]
    page.do(
        "window.copied = []; navigator.clipboard.writeText = async (text) => { window.copied.push(text); }"
    )
    copied = {}
    for form in ("csv", "markdown", "latex"):
        page.click(page.find(f"[data-copy={form}]", details))
        copied[form] = page.wait(lambda: page.do("return window.copied.pop()"))
    return copied


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
    page.wait(lambda: "paired 95 % interval" in page.find("body").text)
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
