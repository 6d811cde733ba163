"""Photograph the report for the docs: `make screenshot`, after `make run`; needs chromium and chromium-driver."""

import shutil
import time
from pathlib import Path

from selenium import webdriver

REPORT = Path("results/report.html")
WIDTH = 1360
ERRORS = "denoise.test_noise?view=grid&show=error&D=r3&image=flower"
PICTURES = {
    "docs/report.png": ("", 3060),
    "docs/report-errors.png": (ERRORS, 1560),
}  # what is shown, how high


def take(page: Path, picture: Path, width: int, height: int, shown: str = "") -> None:
    """Photograph a page in headless Chromium.

    Parameters
    ----------
    page, picture : Path
    width, height : int
        Of the window, in pixels.
    shown : str
        What the page shows, as its address has it; its top by default.
    """
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--hide-scrollbars", "--force-color-profile=srgb"):
        options.add_argument(argument)
    options.add_argument(f"--window-size={width},{height}")
    options.binary_location = shutil.which("chromium") or ""
    with webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver"))) as browser:
        browser.get(page.resolve().as_uri() + (f"#{shown}" if shown else ""))
        time.sleep(2)
        browser.save_screenshot(str(picture))


if __name__ == "__main__":
    for name, (shown, height) in PICTURES.items():
        take(REPORT, Path(name), WIDTH, height, shown)
