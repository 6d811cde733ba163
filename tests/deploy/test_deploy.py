"""Tables as modules and programs: what they fuse is what `ensir fuse` does, alone and joined with their models."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from examples import image
from typer.testing import CliRunner, Result

import ensir
from ensir.cells.lut import LUT
from ensir.cli import app
from ensir.deploy import programs
from ensir.deploy.bundle import bundle
from ensir.deploy.module import LutModule
from ensir.errors import InputError

CLOSE = 1e-4  # levels
SLOW = pytest.mark.slow


def command(*words: object, code: int = 0) -> Result:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == code, (result.output, result.exception)
    return result


@cache
def table(method: str, bits: int = 8, channels: int = 3) -> ensir.Lut:
    x, y = zip(*(image(seed, bits=bits) for seed in range(3)), strict=True)
    x, y = [one[:, :channels] for one in x], [one[:channels] for one in y]
    return ensir.fit(x, y, method=method, models=("a", "b", "c"))


def run(path: Path, x: np.ndarray) -> np.ndarray:
    """Run a program."""
    if path.suffix == ".onnx":
        session = onnxruntime.InferenceSession(path)
        return session.run(None, {session.get_inputs()[0].name: x})[0]
    with torch.inference_mode():
        return torch.export.load(path).module()(torch.from_numpy(x)).numpy()


# ── tables ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("method", "bits"),
    [
        ("least_squares", 8),
        ("local_filters", 16),
        *(pytest.param(method, 8, marks=SLOW) for method in ("ensir", "weighted", "local_filters")),
    ],
)
def test_modules_fuse_as_arrays_do(method: str, bits: int):
    lut, (x, _) = table(method, bits), image(9, 33, 41, bits)
    unit, expected = (1 if bits == 8 else 257), table(method, bits).fuse(x)
    module = lut.to_torch()
    compiled = torch.compile(module, backend="eager", fullgraph=True)
    for given in (torch.from_numpy(x), torch.from_numpy(x.astype(np.float32))):
        for made in (module, compiled):
            np.testing.assert_allclose(made(given).numpy(), expected, rtol=0, atol=CLOSE * unit)
    batch = torch.from_numpy(np.stack([x, x[:, ::-1].copy()], axis=1))
    np.testing.assert_array_equal(module(batch)[0], module(torch.from_numpy(x)))
    with pytest.raises(InputError, match="does not fit a table of 3 models"):
        module(torch.from_numpy(x[:2]))
    assert lut.to_torch(torch.float64)(torch.from_numpy(x)).dtype == torch.float64


@pytest.mark.parametrize("method", ["least_squares", "local_filters"])
def test_tensors_out_of_range_find_a_cell(method: str):
    lut, x = table(method), torch.from_numpy(image(9, 12, 14)[0]).int()
    x[0, 0, 3, 3], x[1, 1, 4, 4] = 300, -40
    kind: Any = ensir.tensor.TensorLUT if method == "least_squares" else ensir.tensor.TensorFilters
    for module in (lut.to_torch(), partial(ensir.tensor.fuse, table=kind(lut.table))):
        expected = module(x.double())
        for dtype in (torch.int16, torch.int32, torch.int64):
            torch.testing.assert_close(module(x.to(dtype)), expected, rtol=0, atol=0)
        lost = x.float()
        lost[2, 0, 6, 6] = torch.nan
        fused = module(lost)
        assert fused[0, 6, 6].isnan()
        reach = (slice(None), slice(4, 9), slice(4, 9))  # of filters, with their context
        fused[reach] = expected[reach]
        torch.testing.assert_close(fused, expected)
        with pytest.raises(InputError, match=r"torch.uint16 does not fit a table of 8 bits; convert it to"):
            module(x.to(torch.uint16))
    with pytest.raises(InputError, match=r"torch.uint8 does not fit a table of 16 bits; convert it to"):
        table("local_filters", 16).to_torch()(x.to(torch.uint8))


@pytest.mark.parametrize(
    ("method", "dtype", "channels", "suffix"),
    [
        ("least_squares", "float32", 3, ".pt2"),
        pytest.param("least_squares", "uint8", 3, ".onnx", marks=SLOW),
        pytest.param("local_filters", "float32", 1, ".onnx", marks=SLOW),
    ],
)
def test_programs_fuse_as_arrays_do(method: str, dtype: str, channels: int, suffix: str, tmp_path: Path):
    lut, path = table(method, channels=channels), tmp_path / f"table{suffix}"
    lut.save(tmp_path / "my.lut")
    words = [f"--{suffix[1:]}", path, "--dtype", dtype]
    assert command("lut", "export", tmp_path / "my.lut", *words).stdout.startswith(f"{path}: x (a, b, c; ")
    for seed, (height, width) in ((4, (20, 31)), (5, (47, 18))):
        x = image(seed, height, width)[0][:, :channels]
        fused = run(path, x.astype(dtype))
        assert fused.dtype == np.float32
        np.testing.assert_allclose(fused, lut.fuse(x), rtol=0, atol=CLOSE)
        if dtype == "float32":
            lost = x.astype(dtype)
            lost[0, 0, 0, 0] = np.nan
            found = run(path, lost)
            assert np.isnan(found[0, 0, 0])
            np.testing.assert_array_equal(found[:, 4:, 4:], fused[:, 4:, 4:])


@SLOW
@pytest.mark.parametrize("method", ["weighted", "local_filters"])
def test_tables_of_16_bits_run_in_onnxruntime(method: str, tmp_path: Path):
    lut, (x, _) = table(method, 16), image(9, 33, 41, 16)
    programs.save(programs.table_program(lut.to_torch(), "uint16"), tmp_path / "x.onnx", ("x", "fused"))
    np.testing.assert_allclose(run(tmp_path / "x.onnx", x), lut.fuse(x), rtol=0, atol=CLOSE * 257)


def test_tables_that_cannot_be_deployed(tmp_path: Path):
    lut = table("ensir")
    assert isinstance(lut.table, LUT)
    large = ensir.Lut(replace(lut.table, bin_width=1, models=tuple("abcd")))
    with pytest.raises(
        InputError, match="a LUT of 4294967296 cells is too large for tensors; widen the bins"
    ):
        large.to_torch()
    lut.save(tmp_path / "my.lut")
    for words, message in (
        ([], "nothing to write; name a file: -o FILE.pth, --onnx FILE.onnx, or --pt2 FILE.pt2"),
        (["--onnx", tmp_path / "x.pt2"], "ends in .pt2; name it x.onnx"),
        (
            ["--pt2", tmp_path / "x.pt2", "--dtype", "uint16"],
            "wrong for a table of 8 bits; allowed: float32, uint8",
        ),
    ):
        error = command("lut", "export", tmp_path / "my.lut", *words, code=2).stderr
        assert re.fullmatch(rf"error: .*{re.escape(message)}\n", error)
    assert [path.name for path in tmp_path.iterdir()] == ["my.lut"]


# ── bundles ─────────────────────────────────────────────────────────────────────────────────────────────────


class Network(torch.nn.Module):
    """A small ×2 network; `white` is that of its range."""

    def __init__(self, seed: int, white: float = 1.0, channels: int = 3):
        super().__init__()
        torch.manual_seed(seed)
        self.white = white
        self.first = torch.nn.Conv2d(channels, 8, 3, padding=1)
        self.last = torch.nn.Conv2d(8, 4 * channels, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x / self.white
        change = torch.nn.functional.pixel_shuffle(self.last(torch.relu(self.first(x))), 2)
        return (x.repeat_interleave(2, 2).repeat_interleave(2, 3) + 0.1 * change) * self.white


class Padding(torch.nn.Module):
    """Makes pictures whose sides are multiples of 8."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.pad(x, (0, -x.shape[3] % 8, 0, -x.shape[2] % 8))


NETWORKS = {"a": Network(0), "b": Network(1, 255.0)}
RANGES = {"b": (0.0, 255.0)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both networks in both formats, one of an older version of ONNX, and tables of what they make."""
    root = tmp_path_factory.mktemp("networks")
    free = {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    for name, network in NETWORKS.items():
        example = (torch.rand(1, 3, 24, 32),)
        torch.export.save(
            torch.export.export(network.eval(), example, dynamic_shapes=(free,)), root / f"{name}.pt2"
        )
    axes = {"x": {2: "h", 3: "w"}, "y": {2: "h2", 3: "w2"}}
    torch.onnx.export(
        NETWORKS["a"], (torch.rand(1, 3, 24, 32),), root / "a.onnx", dynamo=False, opset_version=13,
        input_names=["x"], output_names=["y"], dynamic_axes=axes,
    )  # fmt: skip
    return root


@torch.inference_mode()
def predictions(picture: np.ndarray) -> np.ndarray:
    """Return what both networks make, as it is stored."""
    made = []
    for name, network in NETWORKS.items():
        white = RANGES.get(name, (0.0, 1.0))[1]
        y = network(torch.from_numpy(picture[None]).float() / 255 * white)[0].numpy() * (255 / white)
        made.append(np.clip(np.rint(y), 0, 255).astype(np.uint8))
    return np.stack(made)


@cache
def of_networks(method: str) -> ensir.Lut:
    pictures = [image(seed, 16, 20)[1] for seed in range(3)]
    x = [predictions(picture) for picture in pictures]
    y = [np.clip(one.mean(axis=0) + seed, 0, 255).astype(np.uint8) for seed, one in enumerate(x)]
    return ensir.fit(x, y, method=method, models=list(NETWORKS))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("files", "output", "method", "dtype"),
    [
        (("a.onnx", "b.pt2"), "x.onnx", "least_squares", "float32"),
        pytest.param(("a.pt2", "b.pt2"), "x.pt2", "ensir", "uint8", marks=SLOW),
    ],
)
def test_a_picture_in_the_fused_picture_out(
    folder: Path, tmp_path: Path, files: tuple[str, str], output: str, method: str, dtype: str
):
    lut, path = of_networks(method), tmp_path / output
    lut.save(tmp_path / "my.lut")
    models = [
        word
        for name, file in zip("ba", files[::-1], strict=True)
        for word in ("--model", f"{name}={folder / file}")
    ]
    words = ["--value-range", "b=0,255", "--dtype", dtype, "-o", path]
    told = command("bundle", "--lut", tmp_path / "my.lut", *models, *words).stdout
    assert told == f"{path}: picture (1, channel, height, width) in {dtype} → a, b → {method} → fused\n"
    for height, width in ((21, 34), (40, 19)):
        picture = image(7, height, width)[1]
        expected = lut.fuse(predictions(picture))
        given: np.ndarray = picture if dtype == "uint8" else picture / np.float32(255)
        (fused,) = run(path, given[None])
        assert fused.shape == (3, 2 * height, 2 * width)
        if dtype == "uint8":
            np.testing.assert_array_equal(fused, np.clip(np.rint(expected), 0, 255).astype(np.uint8))
        else:
            np.testing.assert_allclose(fused * 255, expected, rtol=0, atol=CLOSE)


class Bytes(torch.nn.Module):
    """Makes code values of 8 bits."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x * 255).round().clamp(0, 255).to(torch.uint8)


class Holes(torch.nn.Module):
    """Makes NaN of mid grey."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.where((x - 0.5).abs() < 0.01, torch.nan, x)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("bits", [8, pytest.param(16, marks=SLOW)])
def test_networks_of_another_depth_and_with_holes(bits: int, tmp_path: Path):
    free = ({2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC},)
    networks = {"before": Bytes(), "after": Holes()}
    for name, network in networks.items():
        program = torch.export.export(network, (torch.rand(1, 3, 24, 32),), dynamic_shapes=free)
        torch.export.save(program, tmp_path / f"{name}.pt2")
    white, dtype = 2**bits - 1, np.dtype(f"uint{bits}")
    x, y = image(0, 16, 20, bits)
    module = ensir.fit(x[:2], y, method="weighted", models=list(networks)).to_torch()
    files = {name: str(tmp_path / f"{name}.pt2") for name in reversed(networks)}
    path = tmp_path / ("x.onnx" if bits == 16 else "x.pt2")
    bundle(module, files, path, dtype.name)
    picture = np.full((3, 8, 9), white, dtype)
    picture[:, 2], picture[:, 3] = 0, white // 5  # 1/5 of white is a code value of 8 bits, too
    (fused,) = run(path, picture[None])
    np.testing.assert_allclose(fused.astype(int), picture.astype(int), rtol=0, atol=1)
    picture[:, 4] = round(white / 2)
    (fused,) = run(path, picture[None])
    assert not fused[:, 4].any()
    assert fused[:, 5:].min() >= white - 1


def test_states_are_those_of_one_table():
    x, y = (list(values) for values in zip(*(image(seed, 12, 14) for seed in range(2)), strict=True))
    one, other = (
        ensir.fit(x, y, method="least_squares", bin_width=width, strength=0).to_torch() for width in (32, 36)
    )
    one.load_state_dict(one.state_dict())
    with pytest.raises(
        InputError, match=r'the state is that of another table, .*"step": 36}, not .*"step": 32}'
    ):
        one.load_state_dict(other.state_dict())


def test_bundles_that_cannot_be_made(folder: Path, tmp_path: Path):
    lut, output = of_networks("least_squares"), tmp_path / "x.onnx"
    lut.save(tmp_path / "my.lut")
    both = {"a": str(folder / "a.pt2"), "b": str(folder / "b.pt2")}
    fixed = torch.export.export(NETWORKS["a"].eval(), (torch.rand(1, 3, 24, 32),))
    torch.export.save(fixed, tmp_path / "fixed.pt2")
    grey = torch.export.export(
        Network(0, channels=1).eval(), (torch.rand(1, 1, 24, 32),),
        dynamic_shapes=({2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC},),
    )  # fmt: skip
    torch.export.save(grey, tmp_path / "grey.pt2")
    small = torch.export.export(
        Padding(), (torch.rand(1, 3, 24, 32),),
        dynamic_shapes=({2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO},),
    )  # fmt: skip
    torch.export.save(small, tmp_path / "padding.pt2")
    cases: list[tuple[dict[str, str], Path, dict[str, Any], str]] = [
        (both, tmp_path / "x.pth", {}, "ends in .pth; programs end in .onnx or .pt2"),
        ({**both, "a": str(tmp_path / "fixed.pt2")}, output, {}, r"takes an input of shape \(1, 3, 24, 32\); export it"),
        ({**both, "a": str(tmp_path / "grey.pt2")}, output, {}, "channels differ: a 1, b 3, table any"),
        ({**both, "a": str(folder / "a.onnx")}, tmp_path / "x.pt2", {}, "is ONNX, which goes into an .onnx only"),
        ({**both, "a": str(tmp_path / "my.lut")}, output, {}, "is not a program for one picture"),
        (both, output, {"dtype": "uint16"}, "'uint16' is wrong for a table of 8 bits"),
        ({"a": both["a"], "c": both["b"]}, output, {}, "the table was fitted for the models a, b; given: a, c"),
        ({**both, "a": str(tmp_path / "padding.pt2")}, output, {}, "makes 40×56 of 37×53, not 37×53; export it"),
    ]  # fmt: skip
    module = lut.to_torch()
    assert isinstance(module, LutModule)
    for networks, path, options, message in cases:
        with pytest.raises(InputError, match=message):
            bundle(module, networks, path, **options)
    words = ["bundle", "--lut", tmp_path / "my.lut", "-o", output, "--model"]
    for more, message in (
        ([f"a={both['a']}"], "was fitted for the models a, b; given: a"),
        (
            [f"a={both['a']}", "--model", f"b={both['b']}", "--value-range", "c=0,1"],
            "c: no --model has this name",
        ),
        ([f"a={both['a']}", "--model", f"b={both['b']}", "--value-range", "b=255"], "write black and white"),
    ):
        assert message in command(*words, *more, code=2).stderr
    assert not output.exists()
