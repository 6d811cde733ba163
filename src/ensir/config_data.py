"""The first half of the schema: what experiments work on, datasets and models."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", title="name (letters and digits, then also - and _)")
]
Function = Annotated[str, Field(pattern=r"^[\w.]+:\w+$", title="package.module:name")]
Photo = Literal["astronaut", "chelsea", "china", "coffee", "flower", "hubble", "motorcycle", "rocket"]


class Strict(BaseModel):
    """A section of the configuration: unknown keys and loose types are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


# ── datasets ────────────────────────────────────────────────────────────────────────────────────────────────


class Noise(Strict):
    """Additive white Gaussian noise, rounded to integers and clipped to the range of the image."""

    kind: Literal["noise"]
    sigma: float = Field(gt=0, description="standard deviation, in levels of 0–255")
    seed: int = Field(0, ge=0, description="seed; each image draws its own noise from the seed and its name")


class Blur(Strict):
    """Blur by a kernel of sum one (borders replicated), then noise."""

    kind: Literal["blur"]
    kernel: Literal["gaussian", "disk", "motion"] = Field("gaussian", description="shape of the kernel")
    width: float = Field(
        1.6,
        gt=0,
        description="standard deviation (gaussian), radius (disk) or length (motion, at 45°), in pixels",
    )
    sigma: float = Field(2.55, ge=0, description="standard deviation of the noise, in levels of 0–255")
    seed: int = Field(0, ge=0, description="seed of the noise")


class Downscale(Strict):
    """Bicubic downscaling as MATLAB's `imresize` does it; targets are cropped to a multiple of the scale."""

    kind: Literal["downscale"]
    scale: int = Field(ge=2, le=8, description="factor")


Degradation = Annotated[Noise | Blur | Downscale, Field(discriminator="kind")]


class Dataset(Strict):
    """What all datasets have."""

    images_per_part: int = Field(
        16, ge=1, description="images of one job; a later change holds for images that have no part yet"
    )
    licence: str | None = Field(None, description="licence of the images, stored with them")
    citation: str | None = Field(None, description="citation of the images, stored with them")


class FolderDataset(Dataset):
    """Images in folders: targets and, where models run here, their degraded inputs."""

    kind: Literal["folder"]
    target: str = Field(description="glob of the target images; sub-folders belong to the name")
    input: str | None = Field(None, description="glob of the degraded inputs, matched to the targets by name")
    target_suffix: str = Field("", description="end of the target stems that is not part of the name")
    input_suffix: str = Field(
        "", description="end of the input stems that is not part of the name, e.g. `x4`"
    )
    exclude: list[str] = Field([], description="names (or wildcards of names) to leave out")
    scale: int = Field(1, ge=1, description="size of a target over the size of its input")
    crop: Literal["center", "topleft"] | None = Field(
        None,
        description="where predictions are a few border pixels smaller than the targets: what is kept of a "
        "larger image; without it, sizes that differ are an error",
    )
    degradation: Degradation | None = Field(
        None, description="makes the inputs from the targets, instead of `input`"
    )


class PhotosDataset(Dataset):
    """Photographs that ship inside scikit-image and scikit-learn, degraded on the fly."""

    kind: Literal["photos"]
    images: list[Photo] = Field(min_length=1, description="which photographs")
    size: int | None = Field(None, ge=16, description="crop the middle to at most this many pixels each way")
    degradation: Degradation = Field(description="how the inputs are made from the photographs")


AnyDataset = Annotated[FolderDataset | PhotosDataset, Field(discriminator="kind")]


# ── models ──────────────────────────────────────────────────────────────────────────────────────────────────


class FolderModel(Strict):
    """Predictions that exist already: images, or arrays (height, width, channel) in `.npy` and HDF5 files."""

    kind: Literal["folder"]
    path: str = Field(description="glob of the predictions; `{dataset}` stands for the dataset's name")
    suffix: str = Field("", description="end of the file stems that is not part of the image name")
    value_range: list[float] | None = Field(None, description="black and white of arrays of floats")
    array: str | None = Field(None, description="path of the array in HDF5 files that hold more than one")


class FunctionModel(Strict):
    """A Python function: (height, width, channel) input → prediction of the target's size."""

    kind: Literal["function"]
    function: Function = Field(
        description="a function of a module that can be imported from the working directory"
    )
    options: dict[str, Any] = Field({}, description="keyword arguments of the function")


class ClassicalModel(Strict):
    """A classical algorithm of scikit-image or SciPy."""

    kind: Literal["classical"]
    algorithm: Literal[
        "identity", "tv_chambolle", "wavelet", "nl_means", "bilateral", "median", "gaussian", "wiener",
        "richardson_lucy", "unsharp", "nearest", "bilinear", "bicubic", "lanczos", "back_projection",
    ] = Field(description="which; the last five upscale")  # fmt: skip
    options: dict[str, Any] = Field({}, description="keyword arguments of the algorithm")


class Network(Strict):
    """What all networks have."""

    tile: int | None = Field(
        None, ge=32, description="longest side of a piece, in input pixels; null: 512, or whole images"
    )
    overlap: int = Field(64, ge=0, description="pixels that neighbouring pieces share")
    batch: int = Field(1, ge=1, description="images or pieces of one size that go through at once")
    device: Literal["auto", "cpu", "cuda"] | None = Field(
        None, description="where it runs; null: as `compute.device` says"
    )


class CheckpointModel(Network):
    """Weights of a network whose architecture spandrel knows; needs `pip install 'ensir-flow[pretrained]'`."""

    kind: Literal["checkpoint"]
    path: str = Field(
        pattern=r"\.(pth|pt|ckpt|safetensors)$",
        title="path that ends in .pth, .pt, .ckpt or .safetensors",
        description="file of the weights",
    )
    precision: Literal["float32", "float16", "bfloat16"] = Field(
        "float32", description="precision of the network's arithmetic"
    )


class ExportedModel(Network):
    """A network without its source: a program of `torch.export`, or ONNX (needs `pip install 'ensir-flow[onnx]'`)."""

    kind: Literal["exported"]
    path: str = Field(
        pattern=r"\.(pt2|onnx)$", title="path that ends in .pt2 or .onnx", description="file of the program"
    )
    value_range: list[float] = Field([0.0, 1.0], description="black and white, as the network was trained")
    multiple: int = Field(1, ge=1, description="what both sides of an input must be multiples of")


Model = Annotated[
    FolderModel | FunctionModel | ClassicalModel | CheckpointModel | ExportedModel,
    Field(discriminator="kind"),
]
