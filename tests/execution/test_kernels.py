"""Numba is loaded without SciPy, and SciPy is there for whoever wants it."""

import subprocess
import sys

CODE = """
import sys
from ensir.cli.compile_ahead import compile_ahead
{first}
compile_ahead()
print("scipy.linalg" in sys.modules)
import scipy.linalg
print(scipy.linalg.det([[2.0]]))
"""


def test_kernels_run_without_scipy():
    assert printed("") == ["False", "2.0"]


def test_scipy_that_is_loaded_stays():
    assert printed("import scipy.linalg") == ["True", "2.0"]


def printed(first: str) -> list[str]:
    code = [sys.executable, "-c", CODE.format(first=first)]
    return subprocess.run(code, capture_output=True, text=True, check=True).stdout.split()
