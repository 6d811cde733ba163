"""Kernels as machine code: compiled once, loaded without Numba, and compiled again where anything differs."""

import ast
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from ensir.cells.fusing import KERNELS
from ensir.cells.statistics import MERGE_HISTOGRAMS
from ensir.execution.machine_code import Kernel, in_threads
from ensir.images.similarity import SUMMED_SIMILARITY, SUMMED_SQUARES
from ensir.methods.local_filters import FIT, SQUARED_ERRORS
from ensir.storage import provenance
from ensir.storage.provenance import source_digest

OWN = """
from ensir.execution.kernels import njit

@njit
def scale(values, size, factor, scaled):
    for i in range(size):
        scaled[i] = {formula}
"""
SIGNATURE = "void(CPointer(float32), int64, float64, CPointer(float32))"


@pytest.fixture
def kernel(tmp_path):
    """Return a function that writes a kernel and runs it in another process: its result, and whether Numba was there."""

    def run(formula="values[i] * factor", **environment):
        (tmp_path / "own_kernel.py").write_text(OWN.format(formula=formula))
        code = (
            "import sys, numpy as np; from ensir.execution.machine_code import Kernel; "
            f"scale = Kernel('own_kernel', 'scale', {SIGNATURE!r}); x = np.arange(3, dtype=np.float32); "
            "y = np.empty_like(x); scale(x, 3, 2.0, y); print(y.tolist(), 'numba' in sys.modules)"
        )
        path = os.pathsep.join([str(tmp_path), *sys.path])
        process = subprocess.run(
            # Python itself takes a file of the same size and second for unchanged.
            [sys.executable, "-B", "-c", code], env={**os.environ, "PYTHONPATH": path, **environment},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return process.stdout.strip()

    return run


def test_compiled_once_and_again_where_something_differs(kernel, tmp_path):
    compiled, loaded = "[0.0, 2.0, 4.0] True", "[0.0, 2.0, 4.0] False"
    assert kernel() == compiled
    assert kernel() == loaded
    assert kernel("values[i] + factor") == "[2.0, 3.0, 4.0] True"  # another source
    assert kernel(NUMBA_CPU_NAME="generic") == compiled  # another processor
    for file in (tmp_path / "__pycache__").glob("*.o"):
        file.write_bytes(file.read_bytes()[:-1] + b"?")  # damaged
    assert kernel() == compiled
    assert kernel() == loaded


def test_a_folder_that_cannot_be_written(kernel, tmp_path):
    (tmp_path / "__pycache__").write_text("no folder")
    cache = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    assert [kernel(**cache).split()[-1] for _ in range(2)] == ["True", "False"]
    assert list((tmp_path / "cache/ensir").glob("own_kernel.scale-*.o"))
    nowhere = {"XDG_CACHE_HOME": str(tmp_path / "__pycache__")}
    assert [kernel(**nowhere).split()[-1] for _ in range(2)] == ["True", "True"]


def test_only_arrays_that_fit_are_passed():
    scratch = np.empty(4), np.empty(4), np.empty(4)
    for image in (np.zeros((20, 20), np.float32), np.zeros((20, 40))[:, ::2]):
        with pytest.raises(TypeError, match="needs a C-contiguous array of float64"):
            SUMMED_SIMILARITY(image, np.zeros((20, 20)), 20, 20, 1.0, 1.0, *scratch)


def test_a_kernel_that_may_fail_is_refused(tmp_path, monkeypatch):
    (tmp_path / "failing_kernel.py").write_text(OWN.format(formula="values[[1, 2][i]]"))
    monkeypatch.syspath_prepend(str(tmp_path))
    x = np.zeros(2, np.float32)
    with pytest.raises(TypeError, match="may neither allocate nor fail"):
        Kernel("failing_kernel", "scale", SIGNATURE)(x, 2, 2.0, x.copy())


@pytest.mark.parametrize(
    "kernel",
    [SUMMED_SIMILARITY, SUMMED_SQUARES, FIT, SQUARED_ERRORS, MERGE_HISTOGRAMS, *KERNELS.values()],
    ids=lambda kernel: kernel.function,
)
def test_the_source_of_a_kernel_alone_tells_whether_it_is_up_to_date(kernel):
    tree = ast.parse(Path(find_spec(kernel.module).origin).read_text())
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name for name in imported if name.startswith("ensir")} == {"ensir.execution.kernels"}


def test_changed_kernels_make_results_anew(monkeypatch):
    before = source_digest("ensir.metrics.ssim")
    for cached in (provenance.source_digest, provenance._tree, provenance._code):
        cached.cache_clear()
    read = Path.read_text

    def changed(path, *arguments, **options):
        text = read(path, *arguments, **options)
        return text.replace("total += sums[j]", "total -= sums[j]") if path.name == "ssim_kernel.py" else text

    monkeypatch.setattr(Path, "read_text", changed)
    assert source_digest("ensir.metrics.ssim") != before
    for cached in (provenance.source_digest, provenance._tree, provenance._code):
        cached.cache_clear()


@pytest.mark.parametrize("threads", ["1", "3"])
def test_threads(threads, monkeypatch):
    monkeypatch.setenv("NUMBA_NUM_THREADS", threads)
    found = []
    in_threads(found.append, range(10))
    assert sorted(found) == list(range(10))


def test_threads_load_a_kernel_once(monkeypatch: pytest.MonkeyPatch):
    """A second engine would free the code that the first thread runs; `cached_property` has no lock from 3.12 on."""
    kernel, loads = Kernel("ensir.cells.histogram_kernel", "merge_histograms", "int64(int64)"), []

    def load(self: Kernel) -> object:
        loads.append(self)
        time.sleep(0.05)
        return lambda number: len(loads)

    monkeypatch.setattr(Kernel, "_load", load)
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(kernel, range(4))) == [1] * 4
