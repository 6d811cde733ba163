"""Photograph the report for README.md: `make screenshot`, after `make run`; needs chromium and chromium-driver."""

import shutil
import sys
import time
from pathlib import Path

from selenium import webdriver

WIDTH, HEIGHT = 1360, 2500


def take(page: Path, picture: Path, width: int = WIDTH, height: int = HEIGHT) -> None:
    """Photograph the top of a page in headless Chromium, in a window as wide and high as this."""
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--hide-scrollbars", "--force-color-profile=srgb"):
        options.add_argument(argument)
    options.add_argument(f"--window-size={width},{height}")
    options.binary_location = shutil.which("chromium") or ""
    with webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver"))) as browser:
        browser.get(page.resolve().as_uri())
        time.sleep(1)
        browser.save_screenshot(str(picture))


if __name__ == "__main__":
    take(Path("results/report.html"), Path("docs/report.png"), *map(int, sys.argv[1:]))
