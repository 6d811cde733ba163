"""Record a run on a terminal, as an animated SVG for docs/compare.md: `make recording`."""

from __future__ import annotations

import codecs
import fcntl
import html
import os
import pty
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pyte

COLOURS = {
    "black": "#45475a", "red": "#f38ba8", "green": "#a6e3a1", "brown": "#f9e2af", "blue": "#89b4fa",
    "magenta": "#cba6f7", "cyan": "#89dceb", "white": "#cdd6f4", "default": "#cdd6f4",
}  # fmt: skip
BACKGROUND = "#1e1e2e"
WIDTH, HEIGHT = 8.4, 18  # of a character, in pixels
FRAMES = 16
SECONDS, SECONDS_AT_END = 10, 5  # of the animation

Line = tuple[tuple[str, str, bool], ...]  # text, colour, bold


class Terminal:
    """A command on a terminal of its own.

    Parameters
    ----------
    command : list of str
    columns, rows : int
    **options
        Of `subprocess.Popen`.
    """

    def __init__(self, command: list[str], columns: int = 80, rows: int = 24, **options):
        self.screen = pyte.Screen(columns, rows)
        self.stream = pyte.Stream(self.screen)
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.text = ""  # all that was written, escape sequences included
        self.side, other = pty.openpty()
        fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process = subprocess.Popen(
            command,
            env={**(options.pop("env", None) or os.environ), "TERM": "xterm"},
            stdin=other,
            stdout=other,
            stderr=other,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            **options,
        )
        os.close(other)

    def screens(self) -> Iterator[pyte.Screen]:
        """Yield the screen whenever it changed, until the command has ended."""
        while True:
            try:
                read = os.read(self.side, 1 << 16)
            except OSError:  # nobody writes any more
                break
            if not read:
                break
            text = self.decoder.decode(read)
            self.text += text
            self.stream.feed(text)
            yield self.screen
        self.process.wait()
        os.close(self.side)

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        os.write(self.side, b"\x03")

    def close(self) -> None:
        """End the command, should it still run."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)


def styled(screen: pyte.Screen) -> tuple[Line, ...]:
    """Return what a screen shows: of each line, pieces of one style."""
    lines = []
    for row in range(screen.lines):
        pieces: list[tuple[str, str, bool]] = []
        for column in range(screen.columns):
            cell = screen.buffer[row][column]
            colour = (
                cell.fg.removeprefix("bright")
                if cell.data.strip()
                else (pieces[-1][1] if pieces else "default")
            )
            style = (colour, cell.bold)
            if pieces and pieces[-1][1:] == style:
                pieces[-1] = (pieces[-1][0] + cell.data, *style)
            else:
                pieces.append((cell.data, *style))
        while pieces and not pieces[-1][0].strip():
            pieces.pop()
        lines.append(tuple(pieces))
    return tuple(lines)


def record(terminal: Terminal) -> list[tuple[float, tuple[Line, ...]]]:
    """Return what was on the screen, and after how many seconds, whenever it changed."""
    began, seen = time.monotonic(), []
    for screen in terminal.screens():
        now = time.monotonic() - began
        if not seen or now - seen[-1][0] > 0.1:
            seen.append((now, styled(screen)))
        else:
            seen[-1] = (seen[-1][0], styled(screen))
    return seen


def thinned(seen: list[tuple[float, tuple[Line, ...]]]) -> list[tuple[Line, ...]]:
    """Return as many screens as the animation has, at equal intervals; the last one is the last."""
    end = seen[-1][0]
    times = [end * i / (FRAMES - 1) for i in range(FRAMES)]
    return [[screen for when, screen in seen if when <= time or screen is seen[0][1]][-1] for time in times]


def drawn(screens: list[tuple[Line, ...]], title: str, columns: int) -> str:
    """Return an SVG that shows screens one after the other, the last one for longer.

    A line that stays for several screens is drawn once, and visible for as long.
    """
    rows = max(row + 1 for screen in screens for row, line in enumerate(screen) if line)
    width, height = columns * WIDTH + 24, rows * HEIGHT + 48
    last = len(screens) - 1
    spans: dict[tuple[int, int], list[str]] = {}
    for row in range(rows):
        start = 0
        for i in range(1, len(screens) + 1):
            if i > last or screens[i][row] != screens[start][row]:
                spans.setdefault((start, i - 1), []).extend(_pieces(row, screens[start][row]))
                start = i
    groups = "".join(
        f'<g class="s{first}-{end}">{"".join(pieces)}</g>' for (first, end), pieces in spans.items() if pieces
    )
    moving = "".join(_shown(first, end, last) for (first, end), pieces in spans.items() if pieces)
    # Where nothing may move, the last screen is shown.
    still = "".join(
        f".s{first}-{end}{{animation:none;visibility:{'visible' if end == last else 'hidden'}}}"
        for first, end in spans
    )
    colours = "".join(f".{name}{{fill:{colour}}}" for name, colour in COLOURS.items())
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" role="img">'
        f"<title>{html.escape(title)}</title>"
        f"<style>text{{font:14px ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace;white-space:pre}}"
        f".b{{font-weight:bold}}{colours}{moving}@media (prefers-reduced-motion){{{still}}}</style>"
        f'<rect width="100%" height="100%" rx="8" fill="{BACKGROUND}"/>'
        f'<text x="12" y="24" class="green">$ {html.escape(title)}</text>{groups}</svg>\n'
    )


def _shown(first: int, end: int, last: int) -> str:
    """Return the style of what is visible from one screen to another one."""
    total = SECONDS + SECONDS_AT_END
    start, stop = (100 * SECONDS * i / last / total for i in (first, end + 1))
    before = f"0%,{start:.2f}%{{visibility:hidden}}" if first else ""
    begun = f"{start + 0.01:.2f}%" if first else "0%"
    after = "100%{visibility:visible}" if end == last else f"{stop:.2f}%,100%{{visibility:hidden}}"
    name = f"s{first}-{end}"
    return (
        f"@keyframes {name}{{{before}{begun}{{visibility:visible}}{after}}}"
        f".{name}{{animation:{name} {total}s step-end infinite}}"
    )


def _pieces(row: int, line: Line) -> Iterator[str]:
    """Yield the pieces of a line that are not empty, each as wide as its characters are on a terminal."""
    column = 0
    for text, colour, bold in line:
        bare = text.strip()
        if bare:
            x = 12 + (column + len(text) - len(text.lstrip())) * WIDTH
            style = (colour if colour in COLOURS else "default") + (" b" if bold else "")
            yield (
                f'<text x="{x:.4g}" y="{48 + row * HEIGHT}" textLength="{len(bare) * WIDTH:.4g}" class="{style}">'
                f"{html.escape(bare)}</text>"
            )
        column += len(text)


if __name__ == "__main__":
    target, program, *arguments = sys.argv[1:]
    command = [str(Path(program).absolute()), *arguments]
    with tempfile.TemporaryDirectory(prefix="ensir-") as folder:
        recorded = record(Terminal(command, 100, 32, cwd=folder))
    Path(target).write_text(drawn(thinned(recorded), " ".join([Path(program).name, *arguments]), 100))
