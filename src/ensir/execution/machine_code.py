"""Kernels as machine code in files: Numba compiles them once, and a job loads them without Numba: 25 ms, not 200.

What is loaded was made on a machine of the same kind, of the same source, and is intact: all of that is in its name or
its first line.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cached_property
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np

POINTER = re.compile(r"CPointer\((\w+)\)")
NUMBERS: dict[str, Any] = {
    "int64": ctypes.c_int64,
    "int32": ctypes.c_int32,
    "uint32": ctypes.c_uint32,
    "float64": ctypes.c_double,
    "void": None,
}
LOADING = RLock()  # since Python 3.12, `cached_property` holds none


class Kernel:
    """A compiled function of numbers and arrays. It holds no lock of Python while it runs.

    Parameters
    ----------
    module, function : str
        Where it is: one that Numba compiles. It gets arrays as pointers to their first values, allocates nothing, and
        never fails. Its module imports no other of this package but `kernels`: its source alone tells whether the
        machine code is up to date.
    signature : str
        Numba's, such as ``"float64(CPointer(uint8), int64)"``.
    wide : bool
        Whether vectors of 512 bits make it faster, where the processor has them and keeps its frequency.
    """

    def __init__(self, module: str, function: str, signature: str, wide: bool = False):
        self.module, self.function, self.signature, self.wide = module, function, signature, wide
        result, arguments = signature.removesuffix(")").split("(", 1)
        declared = [POINTER.fullmatch(name) or name for name in arguments.replace(" ", "").split(",")]
        self.dtypes = [None if isinstance(found, str) else np.dtype(found[1]) for found in declared]
        types = [NUMBERS[found] if isinstance(found, str) else ctypes.c_void_p for found in declared]
        self.type = ctypes.CFUNCTYPE(NUMBERS[result], *types)
        self._loaded: Any = None

    def __call__(self, *arguments: Any) -> Any:
        """Call the function. An array that it writes must overlap no other.

        Raises
        ------
        TypeError
            An array has another dtype than the signature says, or is not C-contiguous.
        """
        return self.loaded(*[_passed(*pair) for pair in zip(arguments, self.dtypes, strict=True)])

    @property
    def loaded(self) -> Any:
        """The function, as `ctypes` calls it; loaded once, as another engine would free the code of the first."""
        if self._loaded is None:
            with LOADING:
                self._loaded = self._loaded or self._load()
        return self._loaded

    def _load(self) -> Any:
        """Load the function."""
        import llvmlite.binding as llvm

        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        symbol, code = self._read() or self._compile()
        machine = llvm.Target.from_default_triple().create_target_machine(codemodel="jitdefault")
        self.engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)  # owns the code
        self.engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        self.engine.finalize_object()
        return self.type(self.engine.get_function_address(symbol))

    @cached_property
    def _files(self) -> list[Path]:
        """Where the machine code may be: beside Python's own, or where that cannot be written, in the user's cache."""
        import llvmlite

        spec = find_spec(self.module)
        assert spec is not None
        assert spec.origin is not None
        source = Path(spec.origin)
        made_of = (
            source.read_bytes(),
            self.signature,
            metadata.version("numba"),
            llvmlite.__version__,
            *_processor(self.wide),
        )
        name = f"{self.module}.{self.function}-{hashlib.sha256(repr(made_of).encode()).hexdigest()[:32]}.o"
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser(), "ensir")
        return [folder / name for folder in (source.parent / "__pycache__", cache)]

    def _read(self) -> tuple[str, bytes] | None:
        """Return the name of the function in its machine code, and that; None where it has to be compiled."""
        for file in self._files:
            with suppress(OSError, ValueError, KeyError):
                head, _, code = file.read_bytes().partition(b"\n")
                described = json.loads(head)
                if hashlib.sha256(code).hexdigest() == described["sha256"]:
                    return described["symbol"], code
        return None

    def _compile(self) -> tuple[str, bytes]:
        """Compile the function, and write its machine code where that is possible."""
        from ensir.execution.kernels import native

        function = getattr(import_module(self.module), self.function)
        symbol, program = native(function.py_func, self.signature, vectorized=not self.wide)
        code = _emitted(program, symbol, *_processor(self.wide))
        head = json.dumps({"symbol": symbol, "sha256": hashlib.sha256(code).hexdigest()}).encode()
        for file in self._files:
            partial = file.with_name(f"{file.name}.{os.getpid()}")
            with suppress(OSError):
                file.parent.mkdir(parents=True, exist_ok=True)
                partial.write_bytes(head + b"\n" + code)
                os.replace(partial, file)
                break
        return symbol, code


def _processor(wide: bool) -> tuple[str, str]:
    """Return the name and the features of the processor to compile for, as Numba finds them.

    LLVM makes vectors of 256 bits, as the first processors with 512 lower their frequency for them. Those that do not
    have VBMI2, too.
    """
    import llvmlite.binding as llvm

    name, features = os.environ.get("NUMBA_CPU_NAME"), os.environ.get("NUMBA_CPU_FEATURES")
    if name and features is None:  # all that a processor of this name has
        return name, ""
    features = features or llvm.get_host_cpu_features().flatten()
    if wide and "+avx512vbmi2" in features.split(","):
        features += ",-prefer-256-bit"
    return name or llvm.get_host_cpu_name(), features


def _emitted(program: str, symbol: str, processor: str, features: str) -> bytes:
    """Return the machine code of a program in LLVM's language, of which one function is called from outside."""
    import llvmlite.binding as llvm

    machine = llvm.Target.from_default_triple().create_target_machine(
        cpu=processor, features=features, opt=3, codemodel="jitdefault"
    )
    module = llvm.parse_assembly(program)
    for function in module.functions:
        if not function.is_declaration and function.name != symbol:
            function.linkage = (
                "internal"  # so that LLVM sees that it never fails, and drops what reports failures
            )
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    options.slp_vectorization = True  # vectors of statements that stand side by side, too
    passes = llvm.create_pass_builder(machine, options)
    passes.getModulePassManager().run(module, passes)
    declared = [function.name for function in module.functions if function.is_declaration]
    if needed := [name for name in declared if not name.startswith("llvm.")]:
        raise TypeError(f"{symbol} calls {needed}; a kernel may neither allocate nor fail")
    return machine.emit_object(module)


def _passed(argument: Any, dtype: np.dtype | None) -> Any:
    """Return what is passed for an argument: a number, or the address of an array's values."""
    if dtype is None:
        return argument
    if argument.dtype != dtype or not argument.flags.c_contiguous:
        raise TypeError(f"needs a C-contiguous array of {dtype}, not one of {argument.dtype}")
    return argument.ctypes.data


def in_threads(function: Callable[[Any], None], items: Sequence[Any]) -> None:
    """Call a function of each item, in as many threads as Numba would use: for what holds no lock of Python."""
    threads = min(len(items), int(os.environ.get("NUMBA_NUM_THREADS") or os.cpu_count() or 1))
    if threads <= 1:
        for item in items:
            function(item)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(function, items))
