"""Base models and a table as one program: a picture in, the fused picture out."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from ensir.deploy import programs
from ensir.deploy.module import FilterModule, LutModule
from ensir.errors import InputError
from ensir.images import depth
from ensir.restorers import exported
from ensir.storage.failures import reason

if TYPE_CHECKING:
    import onnx
    from jaxtyping import Float, Shaped

    Picture = Shaped[Tensor, "1 channel height width"]

Range = tuple[float, float]
log = logging.getLogger(__name__)
ODD = (37, 53)  # height and width that networks may pad


@dataclass(frozen=True)
class Network:
    """A base model.

    Attributes
    ----------
    name, path : str
    value_range : (float, float)
        Black and white, as it was trained.
    dtype : torch.dtype
        Of its input.
    channels : int
        1 or 3.
    made : tensor, (1, channel, height, width)
        What it makes of a black picture.
    """

    name: str
    path: str
    value_range: Range
    dtype: torch.dtype
    channels: int
    made: Tensor


class Before(nn.Module):
    """Turns a picture into the inputs of the networks."""

    def __init__(self, networks: Sequence[Network], largest: int):
        super().__init__()
        self.largest = largest
        self.kinds = [(network.value_range, network.dtype) for network in networks]

    def forward(self, picture: Picture) -> tuple[Float[Tensor, "1 channel height width"], ...]:
        """Return an input for each network; integers are code values, floats have black and white at 0 and 1."""
        x = picture if picture.is_floating_point() else picture.float() / self.largest
        return tuple((x * (white - black) + black).to(dtype) for (black, white), dtype in self.kinds)


class After(nn.Module):
    """Turns what the networks make into the fused picture."""

    def __init__(
        self, networks: Sequence[Network], table: LutModule | FilterModule, largest: int, dtype: torch.dtype
    ):
        super().__init__()
        self.table, self.largest, self.dtype = table, largest, dtype
        self.ranges = [network.value_range for network in networks]

    def forward(self, predictions: Sequence[Tensor]) -> Picture:
        """Round predictions to code values, as they are stored, and fuse them.

        Integers are rounded and clipped, and NaN is black; floats, with black and white at 0 and 1, stay as they are.
        """
        codes = []
        for prediction, (black, white) in zip(predictions, self.ranges, strict=True):
            code = prediction.float()
            if prediction.dtype in (torch.uint8, torch.uint16):  # code values, of whichever depth
                black, white = 0.0, torch.iinfo(prediction.dtype).max
            if (black, white) != (0.0, self.largest):
                code = (code - black) * (self.largest / (white - black))
            codes.append(code.round().clamp(0, self.largest))
        fused = self.table(torch.stack(codes))
        if self.dtype.is_floating_point:
            return fused / self.largest
        return fused.nan_to_num(0.0).round().clamp(0, self.largest).to(self.dtype)


class Joined(nn.Module):
    """Networks between `Before` and `After`."""

    def __init__(self, before: Before, networks: Sequence[nn.Module], after: After):
        super().__init__()
        self.before, self.networks, self.after = before, nn.ModuleList(networks), after

    def forward(self, picture: Picture) -> Picture:
        """Return the fused picture."""
        given = self.before(picture)
        return self.after([network(x) for network, x in zip(self.networks, given, strict=True)])


def bundle(
    table: LutModule | FilterModule,
    networks: Mapping[str, str],
    output: str | Path,
    dtype: str = "uint8",
    value_ranges: Mapping[str, Range] | None = None,
) -> None:
    """Write base models and a table as one program: picture (1, channel, height, width) → fused picture.

    Parameters
    ----------
    table : LutModule or FilterModule
    networks : mapping
        The file of each base model of the table, `.onnx` or `.pt2`, by name.
    output : path
        The file to write: `.onnx`, or `.pt2` where all base models are `.pt2`.
    dtype : "uint8", "uint16" or "float32"
        Dtype of the picture and of the fused one: code values, rounded and clipped; or floats with black and white at 0
        and 1, neither rounded nor clipped.
    value_ranges : mapping, optional
        Black and white of the models for which they are not 0 and 1.

    Raises
    ------
    InputError
        A program cannot be read or joined, or does not fit the others.
    """
    output, ranges = Path(output), value_ranges or {}
    suffix = programs.check_suffix(output)
    kind, largest = programs.check_dtype(dtype, table.bits), depth.white(table.bits)
    if sorted(networks) != sorted(table.names):
        raise InputError(
            f"{output}: the table was fitted for the models {', '.join(table.names)}; given: {', '.join(networks)}"
        )
    found = [_network(name, networks[name], ranges.get(name, (0.0, 1.0))) for name in table.names]
    channels = {network.channels for network in found}
    if len(channels) > 1 or table.channels not in (None, *channels):
        told = ", ".join(f"{network.name} {network.channels}" for network in found)
        raise InputError(
            f"{output}: channels differ: {told}, table {table.channels or 'any'}; join models of one kind of picture"
        )
    sizes = {tuple(network.made.shape) for network in found}
    if len(sizes) > 1:
        raise InputError(f"{output}: the models make pictures of different sizes; join those of one task")
    before, after = Before(found, largest), After(found, table, largest, kind)
    example = torch.zeros((1, channels.pop(), *programs.EXAMPLE)).to(kind)
    if suffix == ".onnx":
        programs.save_onnx(_as_onnx(before, found, after, example), output)
        return
    for network in found:
        if not exported.is_torch(network.path):
            raise InputError(f"{network.path}: is ONNX, which goes into an .onnx only; write that")
    modules = [exported.graph(network.path).module(check_guards=False) for network in found]
    program = programs.exported(Joined(before, modules, after), (example,), (_free(),))
    programs.save(program, output, ("picture", "fused"))


def _network(name: str, path: str, value_range: Range) -> Network:
    """Read what a base model takes.

    Raises
    ------
    InputError
        It is no program that takes one picture of any size.
    """
    program = exported.read(path, "cpu")
    channels = program.shape[1] if len(program.shape) == 4 else None
    if channels not in (1, 3) or program.shape[0] not in (None, 1) or (program.shape[2:] != (None, None)):
        sizes = ", ".join("any" if side is None else str(side) for side in program.shape)
        raise InputError(
            f"{path}: takes an input of shape ({sizes}); export it for (image, channel, height, width) with 1 or 3 "
            "channels and any height and width"
        )
    given = np.full((1, channels, *programs.EXAMPLE), value_range[0], program.dtype)
    made = torch.from_numpy(np.ascontiguousarray(program.run(given)))
    try:
        of_odd = program.run(np.full((1, channels, *ODD), value_range[0], program.dtype)).shape
    except Exception as error:
        log.warning("%s: does not take every height and width (%s); pad pictures before", path, reason(error))
    else:
        wanted = [
            side * long // short
            for side, long, short in zip(ODD, made.shape[2:], programs.EXAMPLE, strict=True)
        ]
        if list(of_odd[2:]) != wanted:
            raise InputError(
                f"{path}: makes {of_odd[2]}×{of_odd[3]} of {ODD[0]}×{ODD[1]}, not {wanted[0]}×{wanted[1]}; export it "
                "with a result of the size of its picture, or scaled"
            )
    return Network(name, path, value_range, getattr(torch, program.dtype.name), channels, made)


def _free() -> dict[int, Any]:
    """Return which axes of a picture may have any size."""
    return {2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO}


def _as_onnx(before: Before, networks: Sequence[Network], after: After, example: Tensor) -> onnx.ModelProto:
    """Join ONNX graphs: names of each are set apart by a prefix.

    Raises
    ------
    InputError
        Graphs are of versions that do not go together.
    """
    programs.needs_onnx()
    import onnx
    from onnx import compose

    first = programs.onnx_of(
        programs.exported(before, (example,), (_free(),)),
        ["picture"],
        [f"of_{network.name}" for network in networks],
    )
    made = [network.made for network in networks]
    last = programs.onnx_of(
        programs.exported(after, (made,), ([_free()] * len(made),)),
        [network.name for network in networks],
        ["fused"],
    )
    graphs = [_graph(network) for network in networks]
    version = max(_version(graph) for graph in (first, *graphs, last))
    joined = compose.add_prefix(_raised(first, version, "the picture"), "before.", rename_inputs=False)
    given = [value.name for value in joined.graph.output]
    last = compose.add_prefix(_raised(last, version, "the table"), "after.", rename_outputs=False)
    results = []
    for network, graph, source in zip(networks, graphs, given, strict=True):
        graph = compose.add_prefix(_raised(graph, version, network.path), f"model.{network.name}.")
        known = {value.name for value in graph.graph.initializer}
        (x,) = (value.name for value in graph.graph.input if value.name not in known)
        results.append(graph.graph.output[0].name)
        joined = _merged(joined, graph, [(source, x)], network.path)
    joined = _merged(
        joined, last, list(zip(results, (value.name for value in last.graph.input), strict=True)), "the table"
    )
    joined.producer_name = "ensir"
    onnx.checker.check_model(joined)
    return joined


def _graph(network: Network) -> onnx.ModelProto:
    """Return a base model as ONNX."""
    if exported.is_torch(network.path):
        return programs.onnx_of(exported.graph(network.path), ["x"], ["y"])
    import onnx

    return onnx.load(network.path)


def _version(graph: onnx.ModelProto) -> int:
    """Return the version of ONNX's own operators that a graph uses."""
    return max(used.version for used in graph.opset_import if used.domain in ("", "ai.onnx"))


def _raised(graph: onnx.ModelProto, version: int, what: str) -> onnx.ModelProto:
    """Return a graph of a later version of ONNX's own operators.

    Raises
    ------
    InputError
        One of its operators cannot be translated.
    """
    from onnx import version_converter

    if _version(graph) == version:
        return graph
    try:
        return version_converter.convert_version(graph, version)
    except Exception as error:
        raise InputError(
            f"{what}: its operators, of version {_version(graph)}, cannot be raised to version {version} "
            f"({' '.join(str(error).split())[:200]}); export it with opset_version={version}"
        ) from error


def _merged(
    first: onnx.ModelProto, second: onnx.ModelProto, pairs: list[tuple[str, str]], what: str
) -> onnx.ModelProto:
    """Join two graphs.

    Raises
    ------
    InputError
        They use different versions of other operators.
    """
    from onnx import compose

    version = max(first.ir_version, second.ir_version)
    first.ir_version = second.ir_version = version
    try:
        return compose.merge_models(first, second, io_map=pairs)
    except ValueError as error:
        raise InputError(f"{what}: cannot be joined ({' '.join(str(error).split())[:200]})") from error
