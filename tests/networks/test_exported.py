"""Exported programs: `.pt2` and ONNX, of any size and of one, and what a `.pt2` may not hold."""

from __future__ import annotations

import io
import json
import pickle
import re
import zipfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ensir import restorers
from ensir.datasets.photos import photograph
from ensir.errors import InputError
from ensir.restorers import exported

SETTINGS = {
    "kind": "exported", "tile": None, "overlap": 16, "batch": 1, "device": "cpu", "value_range": [0, 1], "multiple": 1,
    "any_range": False,
}  # fmt: skip
needs_onnx = pytest.mark.skipif(
    find_spec("onnxruntime") is None or find_spec("onnxscript") is None, reason="needs the extra `onnx`"
)
FORMATS = ["pt2", pytest.param("onnx", marks=needs_onnx)]


class Twice(torch.nn.Module):
    """A small ×2 network; `unit` is the white of its range."""

    def __init__(self, unit: float = 1.0):
        super().__init__()
        torch.manual_seed(0)
        self.unit, self.first, self.last = (
            unit,
            torch.nn.Conv2d(3, 8, 3, padding=1),
            torch.nn.Conv2d(8, 12, 3, padding=1),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.nn.functional.gelu(self.first(x / self.unit))
        return torch.nn.functional.pixel_shuffle(torch.sigmoid(self.last(x)), 2) * self.unit


def export(network: torch.nn.Module, path: Path, size: tuple[int, int] | None = None) -> Path:
    """Export as `docs/models.md` says: for any size, or for one."""
    example = (torch.rand(2, 3, 32, 48),) if size is None else (torch.rand(1, 3, *size),)
    free = torch.export.Dim.DYNAMIC
    shapes = ({0: free, 2: free, 3: free},) if size is None else None
    program = torch.export.export(network.eval(), example, dynamic_shapes=shapes)
    if path.suffix == ".pt2":
        torch.export.save(program, path)
    else:
        torch.onnx.export(program, f=path, verbose=False)
    return path


def restore(path: Path, image: np.ndarray, **settings: Any) -> np.ndarray:
    restorer = exported.Restorer({**SETTINGS, "path": str(path), **settings}, [])
    shape = (image.shape[0] * 2, image.shape[1] * 2, image.shape[2])
    (prediction,) = restorer.restore([restorers.Degraded("x", image, shape, 8, 2, None)])
    return prediction


@torch.inference_mode()
def directly(network: torch.nn.Module, image: np.ndarray) -> np.ndarray:
    x = torch.from_numpy(image / 255).float().permute(2, 0, 1)[None]
    return network.eval()(x)[0].permute(1, 2, 0).numpy() * 255


@pytest.mark.parametrize("extension", FORMATS)
def test_any_size(tmp_path: Path, extension: str):
    network, image = Twice(), photograph("chelsea", 90)[:70]
    path = export(network, tmp_path / f"net.{extension}")
    expected = directly(network, image)
    np.testing.assert_allclose(restore(path, image), expected, atol=1e-3)
    np.testing.assert_allclose(restore(path, image, tile=32, batch=4), expected, atol=1e-3)
    inside = restore(path, image, multiple=16)[
        :120, :160
    ]  # the padding shows at the lower and right edge alone
    np.testing.assert_allclose(inside, expected[:120, :160], atol=1e-3)


@pytest.mark.parametrize("extension", FORMATS)
def test_one_size(tmp_path: Path, extension: str):
    network, image = Twice(), photograph("chelsea", 90)[:70]
    path = export(network, tmp_path / f"net.{extension}", size=(32, 40))
    expected = directly(network, image)
    np.testing.assert_allclose(restore(path, image, batch=4), expected, atol=1e-3)
    small = restore(path, image[:20, :30])
    np.testing.assert_allclose(small[:30, :50], expected[:30, :50], atol=1e-3)


@pytest.mark.parametrize("extension", FORMATS)
def test_another_range(tmp_path: Path, extension: str):
    image = photograph("chelsea", 40)
    path = export(Twice(unit=255.0), tmp_path / f"net.{extension}")
    expected = directly(Twice(), image)
    np.testing.assert_allclose(restore(path, image, value_range=[0, 255]), expected, atol=1e-3)
    with pytest.raises(
        InputError, match=r"image 'x': 100 % of its values .* \[0, 1\]; .* perhaps \[0, 255\]"
    ):
        restore(path, image)
    assert restore(path, image, any_range=True).min() > 255


class Stepped(torch.nn.Module):
    """A ×2 network whose output is code values."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
        return (x * 255).round().to(torch.uint8)


@pytest.mark.parametrize("extension", FORMATS)
def test_outputs_of_code_values(tmp_path: Path, extension: str):
    image = photograph("chelsea", 40)
    path = export(Stepped(), tmp_path / f"net.{extension}")
    expected = image.repeat(2, axis=0).repeat(2, axis=1)
    np.testing.assert_allclose(restore(path, image), expected, atol=1e-3)


@pytest.mark.parametrize("extension", FORMATS)
def test_damaged_and_unsuitable_files(tmp_path: Path, extension: str):
    image, path = photograph("chelsea", 40), tmp_path / f"net.{extension}"
    with pytest.raises(InputError, match="cannot be read: No such file"):
        restore(path, image)
    export(Twice(), path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(
        InputError, match=r"(cannot be read as a program|is not a program for one picture) .*export it again"
    ):
        restore(path, image)
    if extension == "pt2":
        section = exported.ExportedModel(kind="exported", path=str(path))
        with pytest.raises(InputError, match=r"net.pt2: cannot be read as a program .*export it again"):
            section.check_network([str(path)])

    class Flat(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.flatten(1)

    export(Flat(), path)
    with pytest.raises(InputError, match=r"net.*: (makes|failed)"):
        restore(path, image)


# ── what a .pt2 may not hold ─────────────────────────────────────────────────────────────────────────────────


class Hostile:
    """Leaves a mark when it is unpickled."""

    mark: Path

    def __reduce__(self):
        return Path.touch, (self.mark,)


def pickled(old: bytes) -> bytes:
    file = io.BytesIO()
    torch.save(Hostile(), file)
    return file.getvalue()


def in_json(change: Callable[[Any], None]) -> Callable[[bytes], bytes]:
    def changed(old: bytes) -> bytes:
        value = json.loads(old)
        change(value)
        return json.dumps(value).encode()

    return changed


def nodes(model: Any) -> list[Any]:
    return model["graph_module"]["graph"]["nodes"]


def evil_size(model: Any) -> None:
    model["graph_module"]["graph"]["tensor_values"]["x"]["sizes"][2]["as_expr"]["expr_str"] = (
        f"__import__('pathlib').Path('{Hostile.mark}').touch() or 7"
    )


def endless_size(model: Any) -> None:
    model["graph_module"]["graph"]["tensor_values"]["x"]["sizes"][2]["as_expr"]["expr_str"] = (
        "Pow(9, Pow(9, 9))"
    )


def evil_size_of_metadata(model: Any) -> None:
    evil_size(model)
    values = model["graph_module"]["graph"]["tensor_values"]
    values["metadata"] = values.pop("x")


def evil_tree(model: Any) -> None:
    tree = '[1, {"type": "collections.defaultdict", "context": {"default_factory_module": "antigravity"}}]'
    model["graph_module"]["module_call_graph"][0]["signature"]["in_spec"] = tree


def evil_weight(config: Any) -> None:
    name, meta = config["config"].popitem()
    config["config"] |= {name: {**meta, "use_pickle": True}}


ATTACKS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "operator": (
        "models/model.json",
        in_json(lambda model: nodes(model)[0].update(target="torch.os.system")),
    ),
    "hub": ("models/model.json", in_json(lambda model: nodes(model)[0].update(target="torch.hub.load"))),
    "file": (
        "models/model.json",
        in_json(lambda m: nodes(m)[0].update(target="torch.ops.aten.from_file.default")),
    ),
    "size": ("models/model.json", in_json(evil_size)),
    "size without end": ("models/model.json", in_json(endless_size)),
    "size of a tensor called metadata": ("models/model.json", in_json(evil_size_of_metadata)),
    "name": ("models/model.json", in_json(lambda model: nodes(model)[0].update(name="x'] or print('"))),
    "tree": ("models/model.json", in_json(evil_tree)),
    "pickled weight": ("data/weights/model_weights_config.json", in_json(evil_weight)),
    "sample inputs": ("data/sample_inputs/model.pt", pickled),
    "legacy weights": ("data/weights/model.pt", pickled),
    "compiled code": ("data/aotinductor/model/net.so", lambda old: b"\x7fELF"),
    "pickled constant": ("data/constants/opaque_obj_0", lambda old: pickle.dumps(Hostile())),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_hostile_program_runs_nothing(tmp_path: Path, attack: str):
    Hostile.mark = tmp_path / "mark"
    name, change = ATTACKS[attack]
    good, bad = export(Twice(), tmp_path / "good.pt2"), tmp_path / "bad.pt2"
    with zipfile.ZipFile(good) as source, zipfile.ZipFile(bad, "w", zipfile.ZIP_STORED) as target:
        records = {record: source.read(record) for record in source.namelist()}
        (root,) = {record.split("/")[0] for record in records}
        records[f"{root}/{name}"] = change(records.get(f"{root}/{name}", b""))
        for record, content in records.items():
            target.writestr(record, content)
    with pytest.raises(InputError, match=r"bad.pt2: is refused, since it"):
        restore(bad, photograph("chelsea", 40))
    assert not Hostile.mark.exists()


def graph(path: Path, given: dict[str, str], made: dict[str, str], channels_last: bool = False) -> Path:
    """Write an ONNX graph that returns its first input; inputs and outputs with their types."""
    import onnx
    from onnx import TensorProto, helper

    def values(types: dict[str, str]) -> list[Any]:
        shape = [1, "height", "width", 3] if channels_last else [1, 3, "height", "width"]
        return [
            helper.make_tensor_value_info(name, getattr(TensorProto, kind), shape)
            for name, kind in types.items()
        ]

    first = next(iter(given))
    nodes = [
        helper.make_node("Cast", [first], [name], to=getattr(TensorProto, kind))
        for name, kind in made.items()
    ]
    body = helper.make_graph(nodes, "graph", values(given), values(made))
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


@needs_onnx
@pytest.mark.parametrize(
    ("given", "made", "message"),
    [
        (
            {"x": "FLOAT", "noise": "FLOAT"},
            {"y": "FLOAT"},
            r"has 2 inputs \(x, noise\), but one picture goes in",
        ),
        ({"x": "FLOAT"}, {"y": "FLOAT", "z": "FLOAT"}, r"has 2 outputs \(y, z\), but one picture goes in"),
        ({"x": "UINT8"}, {"y": "UINT8"}, r"takes tensor\(uint8\), not one of .*; export it with floats"),
        ({"x": "FLOAT"}, {"y": "INT32"}, r"makes tensor\(int32\), not one of .*; export it with floats"),
    ],
)
def test_onnx_with_other_inputs_and_outputs(tmp_path: Path, given, made, message: str):
    with pytest.raises(InputError, match=message):
        exported.read(str(graph(tmp_path / "net.onnx", given, made)), "cpu")
    with pytest.raises(InputError, match=message):
        exported.check_file(str(tmp_path / "net.onnx"))


@needs_onnx
def test_onnx_of_doubles(tmp_path: Path):
    path = graph(tmp_path / "net.onnx", {"x": "DOUBLE"}, {"y": "DOUBLE"})
    image = photograph("chelsea", 90)[:70]
    restorer = exported.Restorer({**SETTINGS, "path": str(path)}, [])
    (prediction,) = restorer.restore([restorers.Degraded("x", image, image.shape, 8, 1, None)])
    np.testing.assert_allclose(prediction, image, atol=1e-3)


@needs_onnx
def test_onnx_with_channels_last(tmp_path: Path):
    path = graph(tmp_path / "net.onnx", {"x": "FLOAT"}, {"y": "FLOAT"}, channels_last=True)
    with pytest.raises(
        InputError, match=r"takes an input of shape \(1, any, any, 3\); export it for \(image, channel,"
    ):
        exported.Restorer({**SETTINGS, "path": str(path)}, [])
    with pytest.raises(InputError, match=r"takes an input of shape \(1, any, any, 3\)"):
        exported.ExportedModel(kind="exported", path=str(path)).check_network([str(path)])


@needs_onnx
def test_onnx_on_a_gpu_that_there_is_not(tmp_path: Path):
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime works on a GPU")
    path = str(graph(tmp_path / "net.onnx", {"x": "FLOAT"}, {"y": "FLOAT"}))
    section = exported.ExportedModel(kind="exported", path=path)
    section.check_network([path])
    with pytest.raises(
        InputError, match=r"net.onnx: this ONNX Runtime works on the CPU only; use `device: cpu`"
    ):
        section.check_network([path], "cuda")


def test_a_compressed_program_is_not_unpacked(tmp_path: Path):
    """A few bytes may become many."""
    export(Twice(), tmp_path / "net.pt2")
    with (
        zipfile.ZipFile(tmp_path / "net.pt2") as sound,
        zipfile.ZipFile(tmp_path / "bomb.pt2", "w", zipfile.ZIP_DEFLATED) as bomb,
    ):
        for name in sound.namelist():
            bomb.writestr(name, sound.read(name) + (b" " * 2**24 if name.endswith("model.json") else b""))
    with pytest.raises(InputError, match="it is compressed, which PyTorch does not do"):
        exported.read(str(tmp_path / "bomb.pt2"), "cpu")


@needs_onnx
def test_onnx_with_weights_in_other_files(tmp_path: Path):
    """Files beside the graph are compared with what results were made from: only those with names that are known."""
    import onnx

    export(Twice(), tmp_path / "net.onnx")
    (tmp_path / "folder").mkdir()
    for name in ("net.onnx.data", "net.onnx_data", "weights.bin", "./" * 70 + "weights.bin"):
        path = tmp_path / "folder/net.onnx"
        model = onnx.load(tmp_path / "net.onnx")
        onnx.save(model, path, save_as_external_data=True, location=name, size_threshold=0)
        if name.endswith("weights.bin"):
            told = rf"keeps weights in '{re.escape(name)}', where a change would not be noticed"
            with pytest.raises(InputError, match=told):
                exported.read(str(path), "cpu")
        else:
            exported.read(str(path), "cpu")
            model_section = exported.ExportedModel(kind="exported", path=str(path))
            assert model_section.network("key", None) == [str(path), f"{path.parent}/{name}"]
            model_section.check_network([str(path)])
            (path.parent / name).unlink()
            with pytest.raises(InputError, match=rf"its weights are in '{name}', which is not beside it"):
                model_section.check_network([str(path)])
