"""`ensir fit`, `ensir fuse`, `ensir score`: plain folders of images."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from pydantic import ValidationError

from ensir.cells import support
from ensir.cells.lut import LUT
from ensir.cli import plain_fits
from ensir.cli import plain_folders as on_folders
from ensir.cli.luts import describe
from ensir.cli.outputs import check_outputs
from ensir.cli.progress import shown
from ensir.cli.together import Reading
from ensir.config.schema import DEFAULT_METRICS, METRICS, Score
from ensir.errors import InputError
from ensir.library.options import fitted_methods
from ensir.library.reading import is_pattern
from ensir.methods.ensir import Ensir
from ensir.section import unknown

METHODS = fitted_methods()

Predictions = Annotated[
    list[str],
    typer.Option(
        "--prediction",
        metavar="NAME=DIR",
        help="a model and the folder of its predictions, or a pattern: 'IMDN=out/{scene}-{frame}.png'; repeat",
    ),
]
Target = Annotated[
    Path,
    typer.Option(
        metavar="DIR", help="folder of the targets (ground truth), or a pattern: 'gt/{scene}/{frame}.png'"
    ),
]

Suffix = Annotated[
    str,
    typer.Option(help="end of the file stems of predictions that is not part of the image name, such as _x4"),
]

CommonCrop = Annotated[
    Literal["topleft", "center"] | None,
    typer.Option(
        help="where files of one name differ by a few pixels: which part is kept of the larger ones (default: an error)"
    ),
]

ValueRange = Annotated[
    tuple[float, float] | None,
    typer.Option(
        metavar="BLACK WHITE",
        help="black and white of floats, such as 0 1, or of 12 bits in uint16, 0 4095; these become integers, as in a "
        "workflow",
    ),
]

Array = Annotated[
    str | None, typer.Option(metavar="NAME", help="which array is meant, in files that hold several")
]

MetricOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--metric-option",
        metavar="METRIC.OPTION=FILE",
        help="weights of dists and lpips: 'dists.vgg=vgg16-397923af.pth'; repeat",
    ),
]


def named(texts: list[str], option: str, form: str) -> dict[str, str]:
    """Return what texts NAME=… of an option give, by the names."""
    values: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise InputError(f"{option} {text}: write {form}")
        if name in values:
            raise InputError(f"{option} {text}: {name} is named twice")
        values[name] = value
    return values


def _folders(predictions: list[str]) -> dict[str, Path]:
    """Return the folder of each model, by name, from texts NAME=DIR."""
    folders = {name: Path(folder) for name, folder in named(predictions, "--prediction", "NAME=DIR").items()}
    models: dict[str, str] = {}
    for name, folder in folders.items():
        if (twin := models.setdefault(os.path.realpath(folder), name)) != name:
            raise InputError(f"--prediction {name}={folder}: is the folder of {twin}, too; fix one of them")
    return folders


def _read_whole(target: Path | None, predictions: dict[str, Path]) -> dict[str, Path | None]:
    """Return the folders that are read, by their options, without patterns, which take single files."""
    given = {"--target": target} | {f"--prediction {model}": folder for model, folder in predictions.items()}
    return {option: path for option, path in given.items() if path and not is_pattern(path)}


def _reading(
    suffix: str, common_crop: str | None, value_range: tuple[float, float] | None, array: str | None
) -> Reading:
    if value_range and not -math.inf < value_range[0] < value_range[1] < math.inf:
        raise InputError("--value-range {:g} {:g}: write black, then white".format(*value_range))
    return Reading(suffix, common_crop, value_range, array)


def _default(option: str) -> str:
    return f"(default: {Ensir.model_fields[option].default})"


def fit(
    target: Target,
    predictions: Predictions,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="the LUT or fit to write")],
    method: Annotated[
        str, typer.Option(metavar="|".join(METHODS), help="what combines the models")
    ] = "ensir",
    bin_width: Annotated[
        str | None,
        typer.Option(metavar="N|auto", help=f"width of a bin in levels of 0–255 {_default('bin_width')}"),
    ] = None,
    channels: Annotated[
        Literal["joint", "separate"] | None,
        typer.Option(help=f"pool R, G and B, or fit each on its own {_default('channels')}"),
    ] = None,
    arithmetic: Annotated[
        Literal["released", "paper"] | None,
        typer.Option(
            help=f"ensir: as the published code computes, or as the paper prints it {_default('arithmetic')}"
        ),
    ] = None,
    precision: Annotated[
        Literal["float64", "float32"] | None,
        typer.Option(help=f"ensir: precision of the responsibilities {_default('precision')}"),
    ] = None,
    suffix: Suffix = "",
    common_crop: CommonCrop = None,
    value_range: ValueRange = None,
    array: Array = None,
) -> None:
    """Fit a method to a reference: targets, and each model's predictions for them; best chooses among all others.

    Example: ensir fit --target ref/gt --prediction IMDN=ref/IMDN --prediction CRAFT=ref/CRAFT -o my.lut
    """
    if method not in METHODS:
        raise InputError(f"--method {method}: no such method; allowed: {', '.join(METHODS)}")
    given = {
        "bin_width": int(bin_width) if bin_width and bin_width.isdigit() else bin_width,
        "channels": channels,
        "arithmetic": arithmetic,
        "precision": precision,
    }
    options = {name: value for name, value in given.items() if value is not None}
    folders = _folders(predictions)
    check_outputs({"--output": output}, _read_whole(target, folders))
    reading = _reading(suffix, common_crop, value_range, array)
    made = plain_fits.fit(target, folders, reading, method, options, shown)
    made.save(output)
    typer.echo(describe(str(output)))
    if isinstance(made.table, LUT) and (held_out := support.held_out_of(made.table)):
        _warn(held_out.warning("the values of held-out reference images"))


def fuse(
    lut: Annotated[
        Path,
        typer.Option(
            exists=True,
            metavar="FILE",
            help="a LUT or a fit, made by `ensir fit`, the workflow or `ensir lut import`",
        ),
    ],
    predictions: Predictions,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="folder of the fused images")],
    error_map: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="folder for maps of the expected squared error: float TIFF files, NaN where it is not known",
        ),
    ] = None,
    suffix: Suffix = "",
    jobs: Annotated[
        int,
        typer.Option(
            "--jobs", "-j", min=1, max=1024, help="images at a time; each takes the memory of its predictions"
        ),
    ] = 1,
    common_crop: CommonCrop = None,
    value_range: ValueRange = None,
    array: Array = None,
) -> None:
    """Fuse predictions into PNG files of the same names.

    Example: ensir fuse --lut my.lut --prediction IMDN=test/IMDN --prediction CRAFT=test/CRAFT -o test/fused
    """
    folders = _folders(predictions)
    check_outputs(
        {},
        {"--lut": lut, **_read_whole(None, folders)},
        folders={"--output": output, "--error-map": error_map},
    )
    reading = _reading(suffix, common_crop, value_range, array)
    fused = on_folders.fuse(lut, folders, reading, output, error_map, shown, jobs)
    by_cells = f"; values by their cells in the LUT: {fused.support}" if fused.support else ""
    typer.echo(f"wrote {fused.images} images to {output}{by_cells}")
    if fused.others:
        _warn(
            f"{output}: holds other images, too, {len(fused.others)} in all (first: {fused.others[0]}): if they are of "
            "an earlier run, remove them"
        )
    if fused.support:
        _warn(fused.support.warning("the values"))
    if fused.of_reference is None:
        _warn(
            f"{lut}: does not record its reference predictions; whether it was fitted on these images is not checked"
        )
    elif fused.of_reference:
        _warn(
            f"{len(fused.of_reference)} of {fused.images} images are those that the LUT was fitted on "
            f"(first: {fused.of_reference[0]}): their results are no test"
        )


def _warn(message: str) -> None:
    if message:
        typer.echo(f"warning: {message}", err=True)


def score(
    target: Target,
    predictions: Predictions,
    space: Annotated[
        Literal["rgb", "y"], typer.Option(help="mean over the channels, or BT.601 luma")
    ] = "rgb",
    crop: Annotated[int, typer.Option(min=0, help="border pixels to leave out on each side")] = 0,
    metrics: Annotated[
        str, typer.Option(metavar="NAME,…", help=f"what is computed: {', '.join(METRICS)}")
    ] = ",".join(DEFAULT_METRICS),
    metric_options: MetricOptions = None,
    suffix: Suffix = "",
    common_crop: CommonCrop = None,
    value_range: ValueRange = None,
    array: Array = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="CSV", help="write the value of every image, too")
    ] = None,
) -> None:
    """Print the scores of predictions, or of fused images; best bold, second underlined.

    Example: ensir score --target test/gt --prediction IMDN=test/IMDN --prediction fused=test/fused --space y --crop 4
    """
    from ensir.cli.score_table import Means, compared, show
    from ensir.scoring.rows import write_csv
    from ensir.scoring.scores import Scores
    from ensir.storage.atomic import replaced

    settings = Score(space=space, crop=crop, metrics=_metrics(metrics, metric_options or [])).model_dump(
        mode="json"
    )
    folders = _folders(predictions)
    check_outputs({"--output": output}, _read_whole(target, folders))
    reading = _reading(suffix, common_crop, value_range, array)
    rows = list(on_folders.score(target, folders, reading, settings, shown))
    values: dict[tuple[str, ...], dict[str, float]] = {}
    for model, image, metric, value in rows:
        values.setdefault(("", "", model, metric), {})[image] = value
    scores, means = Scores({}, values), Means("", compared(space, crop))
    for (_, _, model, metric), images in values.items():
        left_out = scores.left_out("", "", metric)
        kept = [value for image, value in images.items() if image not in left_out]
        means.add(model, "", metric, sum(kept) / len(kept), len(kept))
    show(means, scores)
    if output:
        with replaced(output) as partial:
            write_csv(partial, ("method", "image", "metric", "value"), rows)
        typer.echo(f"wrote {len(rows)} values to {output}")


def _metrics(text: str, options: list[str]) -> Any:
    """Return the sections of metrics, as in the `score` section of a configuration."""
    sections: dict[str, dict[str, str]] = {}
    for name in text.split(","):
        if name not in METRICS:
            raise InputError(f"--metrics {text}: {unknown(f'no metric {name!r}', name, METRICS)}")
        sections[name] = {}
    fields = {
        f"{name}.{key}": field
        for name in sections
        for key, field in METRICS[name].model_fields.items()
        if key != "kind"
    }
    form = "METRIC.OPTION=FILE"
    given = named(options, "--metric-option", form)
    for name, value in given.items():
        if name not in fields:
            raise InputError(
                f"--metric-option {name}={value}: {unknown(f'no option {name!r} of --metrics {text}', name, fields)}"
            )
        if not Path(value).is_file():
            raise InputError(f"--metric-option {name}={value}: no such file")
        metric, _, key = name.partition(".")
        sections[metric][key] = value
    if missing := [name for name, field in fields.items() if field.is_required() and name not in given]:
        raise InputError(
            f"--metrics {text}: needs {' and '.join(f'--metric-option {n}=FILE' for n in missing)}"
        )
    for name, section in sections.items():
        try:
            METRICS[name].model_validate({"kind": name, **section})
        except ValidationError as error:
            key = f"{name}.{error.errors()[0]['loc'][-1]}"
            raise InputError(f"--metric-option {key}={given[key]}: must be a {fields[key].title}") from None
    return sections
