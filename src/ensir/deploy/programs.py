"""Programs of plain operators, `.onnx` or `.pt2`: of a table, or of its models and the table."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ensir.deploy.module import FilterModule, LutModule
from ensir.errors import InputError
from ensir.storage.atomic import replaced

if TYPE_CHECKING:
    import onnx
    from torch.export import ExportedProgram

DTYPES = {"uint8": torch.uint8, "uint16": torch.uint16, "float32": torch.float32}
SUFFIXES = (".onnx", ".pt2")
EXAMPLE = (64, 128)  # height and width of the picture that a module is traced with
LARGEST = 2**31 - 2**20  # bytes: a file of protocol buffers holds less than 2 GB


def check_dtype(dtype: str, bits: int) -> torch.dtype:
    """Return a dtype by its name.

    Raises
    ------
    InputError
        It is none of `DTYPES`, or of another depth than the table.
    """
    able = ("float32", f"uint{bits}")
    if dtype not in able:
        raise InputError(f"dtype: {dtype!r} is wrong for a table of {bits} bits; allowed: {', '.join(able)}")
    return DTYPES[dtype]


def table_program(module: LutModule | FilterModule, dtype: str) -> ExportedProgram:
    """Return a table as a program: x (model, channel, height, width) → fused (channel, height, width), float32.

    Parameters
    ----------
    module : LutModule or FilterModule
    dtype : "uint8", "uint16" or "float32"
        Dtype of x, in code values.
    """
    channels = module.channels or 3
    example = torch.zeros((module.models, channels, *EXAMPLE)).to(check_dtype(dtype, module.bits))
    free = {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    if module.channels is None:  # all channels share the cells
        free[1] = torch.export.Dim.DYNAMIC
    return exported(module, (example,), (free,))


def exported(module: nn.Module, examples: tuple[Any, ...], free: tuple[Any, ...]) -> ExportedProgram:
    """Trace a module with examples of its inputs, of which some axes may have any size."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.export.export(module, examples, dynamic_shapes=free)


def save(program: ExportedProgram, path: str | Path, names: tuple[str, str]) -> None:
    """Write a program, atomically, as its suffix says; `names` are those of its input and its output in ONNX."""
    path = Path(path)
    if check_suffix(path) == ".onnx":
        save_onnx(onnx_of(program, [names[0]], [names[1]]), path)
        return
    content = io.BytesIO()
    torch.export.save(program, content)
    with replaced(path) as partial:
        partial.write_bytes(content.getbuffer())


def check_suffix(path: Path) -> str:
    """Return the suffix of a program.

    Raises
    ------
    InputError
        It is none of `SUFFIXES`.
    """
    if path.suffix not in SUFFIXES:
        raise InputError(f"{path}: ends in {path.suffix or 'nothing'}; programs end in .onnx or .pt2")
    return path.suffix


def onnx_of(program: ExportedProgram, inputs: Sequence[str], outputs: Sequence[str]) -> onnx.ModelProto:
    """Translate a program into ONNX's own operators.

    Raises
    ------
    InputError
        The packages for it are missing, or an operator has no equal in ONNX.
    """
    needs_onnx()
    with _silent():
        try:
            translated = torch.onnx.export(
                program, input_names=inputs, output_names=outputs, verbose=False, optimize=True
            )
        except torch.onnx.errors.OnnxExporterError as error:
            raise InputError(
                f"the program cannot be written as ONNX: {str(error).splitlines()[0]}"
            ) from error
    assert translated is not None
    return translated.model_proto


def save_onnx(model: onnx.ModelProto, path: Path) -> None:
    """Write one file, weights included, atomically.

    Raises
    ------
    InputError
        It would be larger than ONNX files can be.
    """
    _name_axes(model)
    size = model.ByteSize()
    if size > LARGEST:
        raise InputError(
            f"{path}: would have {size:,} bytes, but ONNX files have less than 2^31; write a .pt2"
        )
    with replaced(path) as partial:
        partial.write_bytes(model.SerializeToString())


def _name_axes(model: onnx.ModelProto) -> None:
    """Call the free axes of input and output what they are."""
    named: dict[str, str] = {}
    for value, prefix in ((model.graph.input[0], ""), (model.graph.output[0], "fused_")):
        axes = value.type.tensor_type.shape.dim
        for axis, what in zip(axes[-3:], ("channel", "height", "width"), strict=True):
            if axis.dim_param:
                axis.dim_param = named.setdefault(axis.dim_param, prefix + what)


def needs_onnx() -> None:
    """Raise an InputError where the packages that write ONNX are missing."""
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise InputError("writing `.onnx` needs more packages; pip install 'ensir-flow[onnx]'") from error


@contextmanager
def _silent() -> Iterator[None]:
    """Keep what the exporter tells its developers from people."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
