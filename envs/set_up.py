"""Make an environment with uv, as pinned in constraints.txt: what `make set-up` and `make run` do first.

uv installs several times faster than pip, but reads none of pip's settings: they are handed on, so that the mirrors,
wheels and certificates that pip finds are found here, too. Byte code is compiled at once, even where
PYTHONDONTWRITEBYTECODE is set: without it, every job of a run would start three times slower.
"""

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
CONSTRAINTS = ROOT / "envs" / "constraints.txt"
DOCS = ROOT / "envs" / "docs.txt"
PYTHONS = ((3, 11), (3, 12), (3, 13))
EXTRAS_FOR_TESTS = "[test,pretrained,extra-architectures,onnx,clip,exr,lpips,s3,slurm]"
SEPARATOR = {"UV_FIND_LINKS": ","}  # of lists, where it is no space
OF_PIP = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "no-index": "UV_NO_INDEX",
    "trusted-host": "UV_INSECURE_HOST",
    "default-timeout": "UV_HTTP_TIMEOUT",
    "timeout": "UV_HTTP_TIMEOUT",
    "cert": "SSL_CERT_FILE",
}
"""What uv calls pip's settings."""


def main() -> None:
    """Make the environment that the command line asks for."""
    parser = argparse.ArgumentParser(description="Make an environment with uv, as pinned in constraints.txt.")
    parser.add_argument("folder", nargs="?", type=Path, help="where; what is there is brought up to date")
    parser.add_argument("--tests", action="store_true", help="with what the tests need")
    parser.add_argument(
        "--docs",
        action="store_true",
        help="what makes the documentation, in FOLDER/docs, beside what is in FOLDER",
    )
    parser.add_argument(
        "--torch", default="", help="build of PyTorch: cpu, cuda; without it, that of the package index"
    )
    parser.add_argument("--suits", action="store_true", help="only tell whether this Python will do")
    options = parser.parse_args()
    if sys.version_info[:2] not in PYTHONS:
        sys.exit(f"Python {sys.version.split()[0]} will not do; {needed()}")
    if options.suits:
        return
    folder = options.folder / "docs" if options.docs else options.folder
    python = folder / "bin" / "python"
    print(f"set-up of {folder} with Python {sys.version.split()[0]} ({sys.executable})", flush=True)
    if not python.exists():
        venv.create(folder, with_pip=True)
    uv = shutil.which("uv") or installed_uv(options.folder / "bin" / "python")
    install = [uv, "pip", "install", "--quiet", "--python", str(python), "--compile-bytecode"]
    settings = uv_settings(
        subprocess.run(
            [python, "-m", "pip", "config", "list"], check=True, capture_output=True, text=True
        ).stdout
    )
    if options.docs:
        subprocess.run([*install, "--requirement", DOCS], check=True, env=settings | os.environ)
        add_packages_of(options.folder / "bin" / "python", python)
        return
    if options.torch:
        install += ["--torch-backend", {"cuda": "auto"}.get(options.torch, options.torch)]
    package = f"{ROOT}{EXTRAS_FOR_TESTS if options.tests else ''}"
    subprocess.run(
        [*install, "--constraint", CONSTRAINTS, "--build-constraint", CONSTRAINTS, "--editable", package],
        check=True,
        env=settings | os.environ,
    )
    subprocess.run(
        [python, "-m", "compileall", "-qq", "-j", "0", ROOT / "src"], check=False
    )  # may be read-only
    subprocess.run([python, "-m", "ensir.cli.compile_ahead"], check=True)


def add_packages_of(other: Path, python: Path) -> None:
    """Let an environment import what another has, where it has no version of its own."""
    places = [
        subprocess.run(
            [each, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        for each in (other, python)
    ]
    (Path(places[1]) / "ensir.pth").write_text(
        f"import site; site.addsitedir({places[0]!r})\n", encoding="utf-8"
    )


def needed() -> str:
    """Say which Pythons will do."""
    *others, last = (".".join(map(str, version)) for version in PYTHONS)
    return f"install Python {', '.join(others)} or {last}, or name one: make PYTHON=/path/to/python"


def installed_uv(python: Path) -> str:
    """Install uv in the environment, at the pinned version; returns its path."""
    uv = python.with_name("uv")
    if not uv.exists():
        pinned = re.search(r"^uv==.*$", CONSTRAINTS.read_text(encoding="utf-8"), re.MULTILINE)
        assert pinned is not None
        subprocess.run([python, "-m", "pip", "install", "-qq", pinned[0]], check=True)
    return str(uv)


def uv_settings(of_pip: str) -> dict[str, str]:
    """Translate pip's settings into variables of uv.

    Parameters
    ----------
    of_pip : str
        What `pip config list` prints, such as ``:env:.find-links='/opt/wheels'``.
    """
    lines = [line.partition("=") for line in of_pip.splitlines()]
    lines.sort(key=lambda line: not line[0].startswith(":env:"))  # variables come before files
    settings: dict[str, str] = {"UV_INDEX_STRATEGY": "unsafe-best-match"}  # pip's way: all indexes are equal
    for name, _, value in lines:
        variable = OF_PIP.get(name.rpartition(".")[2])
        if variable:
            text = " ".join(shlex.split(value)).replace("\\n", " ").split()
            settings.setdefault(variable, SEPARATOR.get(variable, " ").join(text))
    return settings


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:  # it has said why
        sys.exit(
            f"set-up failed: {shlex.join(map(str, error.cmd[:3]))} …; fix what is said above, and run it again"
        )
