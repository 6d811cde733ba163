"""Every shell block of the pages is run as it stands, in order, by a newcomer's shell in a fresh copy of the source.

A block that cannot be run here says so in a comment above it, and names what runs it instead.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from test_docs import PAGES, ROOT

from ensir.images import image_files

BLOCK = re.compile(
    r"(?:^<!-- not run here: (?P<reason>[^>]+) -->\n)?^```sh\n(?P<commands>.*?)^```$", re.M | re.S
)
MODELS = ("IMDN", "MobileSR", "CRAFT")


def blocks(page: Path) -> list[re.Match]:
    return list(BLOCK.finditer(page.read_text(encoding="utf-8")))


def block_of(page: str, kind: str, first_line: str) -> str:
    """Return the block of a page that begins with a line, such as a configuration."""
    (found,) = re.findall(
        rf"^```{kind}\n({re.escape(first_line)}\n.*?)^```$", (ROOT / page).read_text(), re.M | re.S
    )
    return found


def three_folders(folder: Path, data: Path) -> None:
    """Lay small published predictions where the README has them, and its configuration beside them."""
    for name, source, stems in (
        ("val", "bsds12", ("105019", "118020")), ("set5", "set5", ("baby", "bird")),
    ):  # fmt: skip
        root = data / "images/sr_x4" / source
        for stem in stems:
            for kind in ("gt", *(f"pred/{model}" for model in MODELS)):
                image = image_files.read(str(root / kind / f"{stem}.png"))
                image_files.write(folder / f"images/{name}/{kind}/{stem}.png", image[:96, :96])
    (folder / "mine.yaml").write_text(block_of("docs/compare.md", "yaml", "# mine.yaml"))


@pytest.mark.slow
def test_the_example_of_the_readme(tmp_path: Path, data: Path):
    three_folders(tmp_path, data)
    code = block_of("README.md", "python", "import ensir")
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(
        r"\{'psnr': array\(\[\d\d\.\d+, \d\d\.\d+\]\), 'ssim': array\(\[.*\]\)\}\nimages: baby, bird\n",
        done.stdout,
    )


def pictures_to_restore(folder: Path, data: Path) -> None:
    """Make a blurred, a holey and a small picture, of 32×32 pixels."""
    sharp = image_files.read(str(data / "images/dmsp/101085.jpg"))[100:132, 100:132]
    mask = np.random.default_rng(0).choice(np.array([0, 255], np.uint8), (32, 32, 1))
    shutil.copy(data / "images/dmsp/kernels.mat", folder)
    for name, image in {
        "sharp": sharp, "blurred": sharp, "mask": mask, "holes": sharp * (mask > 0), "small": sharp[:16, :16],
    }.items():  # fmt: skip
        image_files.write(folder / f"{name}.png", image)


def a_challenge(folder: Path, data: Path) -> None:
    """Make small photographs noisy: two for the reference, two whose targets nobody has; write the configuration."""
    root, noise = data / "images/sr_x4/bsds12/gt", np.random.default_rng(0)
    for place, stems in (("train", ("105019", "118020")), ("hidden", ("138032", "153077"))):
        for stem in stems:
            sharp = image_files.read(str(root / f"{stem}.png"))[:64, :80]
            noisy = np.clip(np.rint(sharp + noise.normal(0, 25, sharp.shape)), 0, 255).astype(np.uint8)
            if place == "train":
                image_files.write(folder / f"train/clean/{stem}.png", sharp)
            image_files.write(folder / place / ("noisy" if place == "train" else "") / f"{stem}.png", noisy)
    (folder / "challenge.yaml").write_text(block_of("docs/challenge.md", "yaml", "# challenge.yaml"))


# The pages whose commands are run, one after the other, in one folder; and what has to lie in it.
NEWCOMERS: dict[tuple[str, ...], Callable[[Path, Path], None]] = {
    ("README.md", "docs/compare.md", "docs/local-filters.md", "docs/operations.md"): three_folders,
    ("docs/meanshift.md",): pictures_to_restore,
    ("docs/challenge.md",): a_challenge,
}


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What git knows of the source, with an environment that is set up."""
    folder = tmp_path / "EnsIR-flow"
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for name in listed.split("\0")[:-1]:
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
            os.utime(folder / name, (0, 0))  # older than the environment: make has nothing to set up
    (folder / ".venv").symlink_to(Path(sys.prefix))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("pages", NEWCOMERS, ids=" and ".join)
def test_commands_work(pages: tuple[str, ...], clone: Path, data: Path):
    NEWCOMERS[pages](clone, data)
    variables = {"PATH": f"{clone}/.venv/bin:{os.environ['PATH']}", "PYTHONPATH": str(clone / "src")}
    for commands in (
        block["commands"] for page in pages for block in blocks(ROOT / page) if not block["reason"]
    ):
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands],
            cwd=clone,
            env={**os.environ, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == 0, commands + done.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_is_run_somewhere(page: Path):
    for block in blocks(page):
        if block["reason"]:
            files = re.findall(r"[\w./]+\.py|\.ci/run", block["reason"])
            assert files, block["reason"]
            assert all((ROOT / name).is_file() for name in files), files
        else:
            assert any(str(page.relative_to(ROOT)) in pages for pages in NEWCOMERS), block["commands"]
