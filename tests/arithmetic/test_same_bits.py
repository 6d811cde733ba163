"""The same bits on every processor: libraries are told to take it for another one, or that it has more cores."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

FEATURES = " ".join(np.show_config(mode="dicts")["SIMD Extensions"].get("found", []))
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
OTHERS = [
    *({"OPENBLAS_CORETYPE": name} for name in ("Haswell", "SkylakeX", "Prescott", "Nehalem", "Zen")),
    *({"ATEN_CPU_CAPABILITY": name} for name in ("default", "avx2", "avx512")),
    {"NPY_DISABLE_CPU_FEATURES": FEATURES},
    *(dict.fromkeys(THREADS, threads) for threads in "1258"),
]
COMPILED_FOR_OTHERS = [
    *({"NUMBA_CPU_NAME": name} for name in ("nehalem", "haswell", "skylake-avx512", "znver3")),
    {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""},
]
FAR = {
    "OPENBLAS_CORETYPE": "Prescott",
    "ATEN_CPU_CAPABILITY": "default",
    "NPY_DISABLE_CPU_FEATURES": FEATURES,
}


def results(changes):
    command = [sys.executable, Path(__file__).with_name("results.py")]
    paths = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | changes | {"PYTHONPATH": paths}
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def here():
    found = results({})
    assert len(found.splitlines()) == 21
    return found


def test_other_libraries(here):
    assert results(FAR | dict.fromkeys(THREADS, "3")) == here


@pytest.mark.processors
@pytest.mark.parametrize("processor", OTHERS, ids=str)
def test_more_libraries(here, processor):
    assert results(processor) == here


@pytest.mark.parametrize(
    "processor",
    [
        *(pytest.param(processor, marks=pytest.mark.processors) for processor in COMPILED_FOR_OTHERS[:-1]),
        pytest.param(COMPILED_FOR_OTHERS[-1], marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_compiled_for_other_processors(here, processor, tmp_path):
    assert results(processor | {"NUMBA_CACHE_DIR": str(tmp_path)}) == here
