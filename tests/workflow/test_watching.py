"""`ensir run` as it is watched: on a terminal, elsewhere, when a job fails, and when it is stopped."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import Run
from record import Terminal

ENSIR = str(Path(sys.executable).with_name("ensir"))
STOPPED = "stopped; finished work is kept; run the same command to go on"


def lines(terminal: Terminal) -> list[str]:
    """Return what the screen shows, without empty lines."""
    return [line.rstrip() for line in terminal.screen.display if line.strip()]


def replace_function(run: Run, body: str) -> None:
    """Have the function model do something else, for which its predictions are made again."""
    (run.folder / "own_models.py").write_text(
        f"import time\n\n\ndef smooth(image):\n    {body}\n    return image * 1.0\n"
    )


@pytest.fixture
def copied(finished: Run, tmp_path: Path) -> Run:
    return finished.copy(tmp_path / "run")


@pytest.mark.parametrize("columns", [80, 120])
def test_on_a_terminal(copied: Run, columns: int):
    (copied.folder / "results/summary.csv").unlink()
    (copied.folder / "results/report.html").unlink()
    terminal = Terminal(
        [ENSIR, "run", "config.yaml"], columns, 40, cwd=copied.folder, env=copied.environment()
    )
    seen = [lines(terminal) for _ in terminal.screens()]
    assert terminal.process.returncode == 0, terminal.text
    drawn = [screen for screen in seen if any(line.startswith("all ") for line in screen)]
    assert any(re.match(r"  (make|collect) .* \d:\d\d$", line) for screen in drawn for line in screen)
    assert all(
        re.match(r"(repair|score|report|all) +━|  |  and ", line) for screen in drawn for line in screen
    ), drawn
    first, *rest = lines(terminal)
    assert re.fullmatch(r"(\d+) of \1 jobs in \d:\d\d", first), first
    assert not any("━ " in line or "jobs" in line for line in rest)
    assert (copied.folder / "results/report.html").exists()


def test_elsewhere_a_line_for_each_job_and_an_error(copied: Run):
    replace_function(copied, "assert image.mean() < 0, 'too bright'")
    arguments = ["run", "config.yaml", "--", "--keep-going", "predictions"]
    ended = subprocess.run(
        [ENSIR, *arguments],
        cwd=copied.folder,
        env=copied.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    *jobs, counts, advice = ended.stderr.splitlines()
    assert len(jobs) == 4
    for line in jobs:
        what = r"error: predict (ref|test) with f, part (\w+)"
        why = r"function own_models:smooth: failed on image '\w+' \(AssertionError: too bright\)"
        assert re.fullmatch(rf"{what}: {why}; log: results/logs/predict/\1/f/\2.log", line), line
    assert re.fullmatch(r"0 of \d+ jobs in \d:\d\d, 4 failed", counts)
    assert advice.startswith("failed: fix what is said above, and run the same command")
    replace_function(copied, "image = image + 1")
    output = subprocess.check_output(
        [ENSIR, *arguments], cwd=copied.folder, env=copied.environment(), text=True, stderr=subprocess.STDOUT
    )
    done = re.findall(r"^ ?(\d+)/(\d+) (?:predict|seal|list) .* \d+\.\d s$", output, re.MULTILINE)
    assert [int(number) for number, _ in done] == list(range(1, len(done) + 1)), output
    totals = [int(total) for _, total in done]
    assert totals == sorted(totals)  # what is made again first may bring more
    assert totals[-1] == len(done)


@pytest.mark.parametrize("checkpoint", [False, True])
def test_ctrl_c_is_answered_in_one_line(copied: Run, checkpoint: bool):
    replace_function(copied, "time.sleep(60)")
    said = STOPPED
    if checkpoint:  # as a training leaves it
        file = copied.folder / "results/.partial/denoisers/mine.checkpoint"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        said = STOPPED.replace("work is", "work and the checkpoint of mine are")
    terminal = Terminal([ENSIR, "run", "config.yaml"], 120, cwd=copied.folder, env=copied.environment())
    pressed = False
    for _ in terminal.screens():
        if not pressed and any("with f" in line for line in lines(terminal)):
            terminal.interrupt()
            pressed = True
    assert pressed, terminal.text
    assert lines(terminal) == [said]
    assert terminal.process.returncode == 130
    assert not list(copied.folder.glob(".snakemake/locks/*"))


def test_ctrl_c_while_the_workflow_is_read(copied: Run):
    terminal = Terminal([ENSIR, "run", "config.yaml"], cwd=copied.folder, env=copied.environment())
    log = copied.folder / ".snakemake/log"
    before = set(log.iterdir())
    while set(log.iterdir()) == before:
        assert terminal.process.poll() is None
        time.sleep(0.02)
    terminal.interrupt()
    for _ in terminal.screens():
        pass
    assert lines(terminal) == [STOPPED]
    assert terminal.process.returncode == 130
