"""Networks without their source: programs of `torch.export` (`.pt2`) and ONNX files."""

from __future__ import annotations

import io
import os
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import tee
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from ensir.errors import InputError
from ensir.execution import devices, extras
from ensir.images import depth
from ensir.networks import program_check
from ensir.networks.runner import Images, Network, Runner
from ensir.networks.sections import NetworkModel
from ensir.restorers import Degraded
from ensir.restorers._self_ensemble import TurnableModel
from ensir.storage import provenance
from ensir.storage.paths import existing

if TYPE_CHECKING:
    from jaxtyping import Float, Float32
    from torch.export import ExportedProgram

    from ensir.planning.networks import Networks

    Floats = Float[np.ndarray, "image channel height width"]

ONNX_TYPES: dict[str, np.dtype] = {
    "tensor(float)": np.dtype(np.float32),
    "tensor(float16)": np.dtype(np.float16),
    "tensor(double)": np.dtype(np.float64),
}
ONNX_RESULTS = (*ONNX_TYPES, "tensor(uint8)", "tensor(uint16)")
ONNX_RUNTIME = "`.onnx` files need ONNX Runtime", "onnx"  # and the extra that brings it
BESIDE = (".data", "_data")  # what exporters add to the path of a graph for the file with its weights
# In ONNX's protocol buffers: a StringStringEntry, the key "location" and, after its length, the name of a file.
LOCATION = re.compile(rb"\x0a\x08location\x12([\x80-\xff]{0,4}[\x00-\x7f])", re.DOTALL)
PROVIDERS = {
    "cpu": ["CPUExecutionProvider"],
    "cuda": ["CUDAExecutionProvider"],
    "auto": ["CUDAExecutionProvider", "CPUExecutionProvider"],
}
OPTIONS = {"CUDAExecutionProvider": {"use_tf32": 0}}  # see `devices.for_network`


class ExportedModel(NetworkModel, TurnableModel):
    """A network without its source: a program of `torch.export`, or ONNX (needs `pip install 'ensir-flow[onnx]'`)."""

    kind: Literal["exported"]
    path: str = Field(
        pattern=r"\.(pt2|onnx)$", title="path that ends in .pt2 or .onnx", description="file of the program"
    )
    value_range: list[float] = Field([0.0, 1.0], description="black and white, as the network was trained")
    multiple: int = Field(1, ge=1, le=65_536, description="what both sides of an input must be multiples of")
    any_range: bool = Field(
        False,
        description="accept images far outside `value_range`, or black where the targets are not",
    )

    untraced: ClassVar[frozenset[str]] = frozenset({"path", "device", "batch"})

    def network(self, key: str, networks: Networks) -> list[str]:
        """Return the file of the program, and that of the weights beside an ONNX graph."""
        existing(self.path, f"{key}.path")
        return [self.path, *filter(os.path.exists, [self.path + ending for ending in BESIDE])]

    def check_network(self, files: Sequence[str], device: str = "auto") -> None:
        """Check that an ONNX graph takes pictures, with its weights, and that a program of `torch.export` is whole."""
        if program := check_file(self.path, device):
            Runner(_network(program, self.path, self.model_dump()), self.model_dump())


@dataclass(frozen=True)
class Program:
    """An exported program.

    Attributes
    ----------
    run : callable
        (image, channel, height, width) → the same, in the range that the network was trained for.
    shape : tuple of four int or None
        Sizes of its input; None where any size will do.
    dtype : float dtype
        Dtype of its input.
    """

    run: Callable[[Floats], Floats]
    shape: tuple[int | None, ...]
    dtype: np.dtype


class Restorer:
    """Runs an exported program; `ensir.networks.runner` cuts large images into pieces."""

    def __init__(self, settings: dict[str, Any], files: list[str]):
        path = settings["path"]
        program = read(path, settings["device"])
        self.parameters = {"versions": provenance.versions("torch" if is_torch(path) else "onnxruntime")}
        self.runner = Runner(_network(program, path, settings), settings)
        self.path, self.any_range, self.value_range = path, settings["any_range"], settings["value_range"]

    def restore(self, images: Iterable[Degraded]) -> Iterator[Float32[np.ndarray, "height width channel"]]:
        """Yield the restored images, as floats in code values."""
        black, white = self.value_range
        given, images = tee(images)
        for degraded, restored in zip(given, self.runner.restore(images), strict=True):
            if not self.any_range:
                unit = (white - black) / (2**degraded.bits - 1)
                what = f"{self.path}, image {degraded.name!r}"
                depth.check_range(restored * unit + black, black, white, what, degraded.extent)
            yield restored


def read(path: str, device: str) -> Program:
    """Load a program, if it is safe to run.

    Raises
    ------
    InputError
        Damaged, more than a plain graph, or not one picture in and one array out.
    """
    return (_read_torch if is_torch(path) else _read_onnx)(path, device)


def check_file(path: str, device: str = "auto") -> Program | None:
    """Check a program before a run, without PyTorch; return it, to be looked at, where it is an ONNX file.

    Raises
    ------
    InputError
        See `read`; of a `.pt2` file, only whether it is whole.
    """
    if is_torch(path):
        check_archive(path)
        return None
    _providers(path, device)
    return _read_onnx(path, "cpu", optimized=False)


def is_torch(path: str) -> bool:
    """Return whether a file is a program of `torch.export`, by its name."""
    return Path(path).suffix.lower() == ".pt2"


def _network(program: Program, path: str, settings: dict[str, Any]) -> Network:
    """Return a program that runs on floats in [0, 1], and what it requires of its inputs.

    It may return floats in its range, or the code values of images, uint8 or uint16.
    """
    images, channels, height, width = program.shape if len(program.shape) == 4 else (None,) * 4
    if channels not in (1, 3):
        raise InputError(
            f"{path}: takes an input of shape {_shape(program)}; export it for (image, channel, height, width) "
            "with 1 or 3 channels"
        )
    if images not in (None, 1):
        raise InputError(f"{path}: takes {images} images at once; export it for one, or for any number")
    if (height is None) != (width is None):
        raise InputError(
            f"{path}: takes an input of shape {_shape(program)}; export both sides fixed, or both free"
        )
    black, white = settings["value_range"]

    def run(pieces: Images) -> Images:
        x = (pieces * (white - black) + black).astype(program.dtype)
        y = np.concatenate([program.run(one) for one in x[:, None]]) if images == 1 else program.run(x)
        if y.dtype in (np.uint8, np.uint16):
            return y / np.float32(depth.white(8 * y.itemsize))
        return (y.astype(np.float32) - np.float32(black)) / np.float32(white - black)

    return Network(
        name=path,
        run=run,
        channels=channels,
        multiple=(1, 1) if height else (settings["multiple"], settings["multiple"]),
        least=(height or 1, width or 1),
        fixed=height is not None,
    )


def _shape(program: Program) -> str:
    return f"({', '.join('any' if side is None else str(side) for side in program.shape)})"


def _read_torch(path: str, device: str) -> Program:
    """Load a `.pt2` file; see `graph`."""
    import torch
    from torch.export.passes import move_to_device_pass

    device = devices.for_network(device)
    exported = graph(path)
    (name,) = exported.graph_signature.user_inputs
    (placeholder,) = (node for node in exported.graph.nodes if node.name == name)
    value = placeholder.meta["val"]
    dtype = torch.empty(0, dtype=value.dtype).numpy().dtype
    module = move_to_device_pass(exported, device).module(check_guards=False)  # its guards are Python code

    def run(x: Floats) -> Floats:
        with torch.inference_mode():
            return module(torch.from_numpy(x).to(device)).cpu().numpy()

    return Program(run, tuple(side if isinstance(side, int) else None for side in value.shape), dtype)


def graph(path: str) -> ExportedProgram:
    """Load a `.pt2` file that holds nothing but a plain graph and plain tensors, for one picture.

    Raises
    ------
    InputError
        Damaged, or more than that.
    """
    # The public `torch.export.load` falls back on an unsafe format.
    from torch.export.pt2_archive._package import load_pt2

    content = _bytes(path)
    check_archive(path)
    try:
        program_check.check(content)
    except ValueError as error:
        raise InputError(
            f"{path}: is refused, since {error}; a `.pt2` may hold ATen operators and plain tensors only: "
            "export the network as ONNX"
        ) from error
    except Exception as error:
        raise InputError(
            f"{path}: cannot be read as a program ({_reason(error)}); export it again"
        ) from error
    try:
        exported = load_pt2(io.BytesIO(content)).exported_programs["model"]
        (_,) = exported.graph_signature.user_inputs
        exported.module(check_guards=False)
    except Exception as error:
        raise InputError(
            f"{path}: is not a program for one picture that this PyTorch can run ({_reason(error)}); export it again"
        ) from error
    return exported


def _providers(path: str, device: str) -> list[str]:
    """Return what ONNX Runtime is to run a file with.

    Raises
    ------
    InputError
        It is not installed, or not for the device.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise extras.lacking(*ONNX_RUNTIME, error) from error
    providers = [name for name in PROVIDERS[device] if name in onnxruntime.get_available_providers()]
    if not providers:
        raise InputError(
            f"{path}: this ONNX Runtime works on the CPU only; use `device: cpu`, or install onnxruntime-gpu"
        )
    return providers


def _read_onnx(path: str, device: str, optimized: bool = True) -> Program:
    """Load an ONNX file: a graph of ONNX's own operators, and nothing else that could be executed.

    Parameters
    ----------
    path, device : str
    optimized : bool
        Whether the graph is prepared for many pictures, which takes a while.

    Raises
    ------
    InputError
        Damaged, not one picture in and one out, or no ONNX Runtime for the device.
    """
    providers = _providers(path, device)
    import onnxruntime

    options = onnxruntime.SessionOptions()
    if not optimized:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", 0))
    options.log_severity_level = 3
    check_beside(path)
    try:
        session = onnxruntime.InferenceSession(
            path, options, providers, [OPTIONS.get(name, {}) for name in providers]
        )
    except Exception as error:
        raise InputError(
            f"{path}: is not a program for one picture that ONNX Runtime can run ({_reason(error)}); export it again"
        ) from error
    given, made = _only(path, "inputs", session.get_inputs()), _only(path, "outputs", session.get_outputs())
    for value, does, types in ((given, "takes", ONNX_TYPES), (made, "makes", ONNX_RESULTS)):
        if value.type not in types:
            raise InputError(
                f"{path}: {does} {value.type}, not one of {', '.join(types)}; export it with floats"
            )
    dtype = ONNX_TYPES[given.type]
    shape = tuple(side if isinstance(side, int) else None for side in given.shape)
    return Program(lambda x: session.run([made.name], {given.name: x})[0], shape, dtype)


def _only(path: str, what: str, values: Sequence[Any]) -> Any:
    """Return the only input or output of a graph."""
    if len(values) != 1:
        names = ", ".join(value.name for value in values)
        raise InputError(
            f"{path}: has {len(values)} {what} ({names}), but one picture goes in and one comes out; export it so"
        )
    return values[0]


def check_archive(path: str) -> None:
    """Raise an InputError if a `.pt2` file is truncated, or something else."""
    try:
        zipfile.ZipFile(path).close()  # its list of contents is at the end
    except (OSError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{path}: cannot be read as a program ({_reason(error)}); export it again"
        ) from error


def check_beside(path: str) -> None:
    """Check that the weights are in the graph's file or in the one beside it, whose changes are noticed.

    Raises
    ------
    InputError
        They are in another file, or in none.
    """
    content = _bytes(path)
    for match in LOCATION.finditer(content):
        length = sum((byte & 127) << 7 * i for i, byte in enumerate(match[1]))  # seven bits in each byte
        name = content[match.end() : match.end() + length].decode(errors="replace")
        if os.path.normpath(os.path.join(os.path.dirname(path), name)) not in (
            os.path.normpath(path + ending) for ending in BESIDE
        ):
            raise InputError(
                f"{path}: keeps weights in {name!r}, where a change would not be noticed; save it as one file, or with "
                f"all weights in {os.path.basename(path)}.data"
            )
        if not os.path.isfile(os.path.join(os.path.dirname(path), name)):
            raise InputError(
                f"{path}: its weights are in {name!r}, which is not beside it; copy that there, too"
            )


def _bytes(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
