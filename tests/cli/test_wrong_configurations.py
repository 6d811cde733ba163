"""Wrong configurations: each ends at once in its mistakes and how to fix them, before anything runs."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from contextlib import chdir
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from ensir import registry
from ensir.cli import app
from ensir.config.schema import Config, Experiment
from ensir.images import image_files
from ensir.networks.shipped import SHIPPED_DAES
from ensir.restorers import classical

ENSIR = Path(sys.executable).with_name("ensir")
BASE = """\
datasets:
  ref: {kind: folder, target: "ref/gt/*.png", input: "ref/lq/*.png"}
  test: {kind: folder, target: "test/gt/*.png", input: "test/lq/*.png"}
models:
  a: {kind: folder, path: "{dataset}/a/*.png"}
  b: {kind: folder, path: "{dataset}/b/*.png"}
  tv: {kind: classical, algorithm: tv_chambolle}
experiments:
  one:
    models: [a, b, tv]
    reference: ref
    tests: [test]
    score: {space: rgb, crop: 0}
    methods:
      average: {}
      ensir: {bin_width: 32}
"""
# A name; what is replaced in the text above by what, or another text; and the lines that are printed.
WRONG: dict[str, tuple] = {
    # syntax
    "tab": (
        [("  one:\n    models", "  one:\n\tmodels")],
        "line 10, column 1: a tab; YAML is indented with spaces: replace it with spaces",
        "  →models: [a, b, tv]",
        "  ^",
    ),
    "open bracket": (
        [("[a, b, tv]", "[a, b, tv")],
        "line 10, column 13: this [ is not closed; add ]",
        "      models: [a, b, tv",
        "              ^",
    ),
    "open brace": (
        [('input: "ref/lq/*.png"}', 'input: "ref/lq/*.png"')],
        "line 2, column 8: this { is not closed; add }",
        '    ref: {kind: folder, target: "ref/gt/*.png", input: "ref/lq/*.png"',
        "         ^",
    ),
    "open quote": (
        [('"ref/gt/*.png"', '"ref/gt/*.png')],
        "line 2, column 54: a comma or } is missing before this",
        '  ef: {kind: folder, target: "ref/gt/*.png, input: "ref/lq/*.png"}',
        "                                                    ^",
    ),
    "no space after colon": (
        [("reference: ref", "reference:ref")],
        "line 11, column 15: no space after the colon; write `reference: …`",
        "      reference:ref",
        "                ^",
    ),
    "indentation": (
        [("    tests: [test]", "   tests: [test]")],
        "line 12, column 4: indented unlike the lines above that it belongs to; fix the indentation",
        "     tests: [test]",
        "     ^",
    ),
    "star without quotes": (
        [('path: "{dataset}/a/*.png"', "path: *.png")],
        "line 5, column 27: a value that begins with * must be in quotes",
        "    a: {kind: folder, path: *.png}",
        "                            ^",
    ),
    "brace without quotes": (
        [('path: "{dataset}/a/*.png"', "path: {dataset}/a/*.png")],
        "line 5, column 36: text behind a closing bracket; put a value that begins with a bracket in quotes",
        "    a: {kind: folder, path: {dataset}/a/*.png}",
        "                                     ^",
    ),
    "two documents": (
        [("models:\n  a", "---\nmodels:\n  a")],
        "line 4, column 1: a second document begins here; keep one, and remove the line `---`",
        "  ---",
        "  ^",
    ),
    "unknown anchor": (
        [("average: {}", "average: *average")],
        "line 15, column 16: `*average` refers to no `&average` above; fix the name, or put the value in quotes",
        "        average: *average",
        "                 ^",
    ),
    "merge of nothing": (
        [("average: {}", "average: {<<: 3}")],
        "line 15, column 21: `<<` takes a section, such as `*name`; fix its value",
        "        average: {<<: 3}",
        "                      ^",
    ),
    "empty": (
        "",
        "is empty; give the sections SECTIONS",
    ),
    "comments only": (
        "# nothing\n",
        "is empty; give the sections SECTIONS",
    ),
    "a list": (
        "- datasets\n- models\n",
        "holds no keys; give the sections SECTIONS",
    ),
    "binary": (
        "\u0000\u0001\u0002",
        "is no text file; give a YAML file, in UTF-8",
    ),
    # nesting
    # test sets without targets
    "reference without targets": (
        [('target: "ref/gt/*.png", ', "")],
        "experiments.one.reference: 'ref' has no targets, to which methods are fitted; choose a dataset with targets, or give its `target`",
    ),
    "neither targets nor inputs": (
        [('target: "test/gt/*.png", input: "test/lq/*.png"', "scale: 1")],
        "datasets.test.target: is missing; give it, or, of a test set without targets, `input` alone",
    ),
    "inputs made of no targets": (
        [('target: "test/gt/*.png", ', "degradation: {kind: downscale, scale: 2}, ")],
        "datasets.test.degradation: 'downscale' makes inputs of targets, and there are none; remove it, or give `target`",
        "models.tv.algorithm: 'tv_chambolle' does not enlarge, but the scale of dataset 'test' is 2; choose another model",
    ),
    "prediction of another size than the input": (
        [('target: "test/gt/*.png", input: "test/lq/*.png"', 'input: "test/lq/*.png", scale: 2')],
        *(
            f"models.{model}.path: test/{model}/test0.png is 24×20, its input test/lq/test0.png 48×40 when enlarged by `scale`, 2; fix the prediction, or set `common_crop` in datasets.test where a few border pixels are missing (3 of 3 images)"
            for model in "ab"
        ),
        "models.tv.algorithm: 'tv_chambolle' does not enlarge, but the scale of dataset 'test' is 2; choose another model",
    ),
    "models in datasets": (
        [("models:\n  a:", "  models:\n  a:")],
        "datasets.models: belongs beside `datasets`, not into it; write it without indentation",
    ),
    "score beside experiments": (
        [("    score: {space: rgb, crop: 0}\n", ""), ("experiments:", "score: {space: rgb}\nexperiments:")],
        "score: unknown key; allowed: SECTIONS, results",
    ),
    "method options one up": (
        [("      ensir: {bin_width: 32}", "      ensir:\n    bin_width: 32")],
        "experiments.one.bin_width: unknown key; allowed: OF_EXPERIMENTS",
    ),
    "no experiment name": (
        [("  one:\n", "")],
        "experiments: holds `models`, `reference`, `tests` without a name above them; write `experiments: {NAME: {…}}`",
    ),
    "key twice": (
        [("    reference: ref\n", "    reference: ref\n    reference: test\n")],
        "experiments.one.reference: 'test' is one of the tests too; choose another dataset",
        "experiments.one.reference: is named twice, in lines 11 and 12; rename or remove one",
    ),
    "section is text": (
        [("  tv: {kind: classical, algorithm: tv_chambolle}", "  tv: classical")],
        "models.tv: 'classical' is wrong; allowed: section",
    ),
    "datasets missing": (
        [("datasets:", "data:")],
        "data: unknown key; allowed: SECTIONS, results",
        "datasets: is missing; allowed: named sections, at least 1",
    ),
    # types
    "text for number": (
        [("crop: 0", "crop: none")],
        "experiments.one.score.crop: 'none' is wrong; allowed: whole number, at least 0, at most 65536",
    ),
    "negative": (
        [("crop: 0", "crop: -4")],
        "experiments.one.score.crop: -4 is wrong; allowed: whole number, at least 0, at most 65536",
    ),
    "float for int": (
        [("bin_width: 32", "bin_width: 32.5")],
        "experiments.one.methods.ensir.bin_width: 32.5 is wrong; allowed: whole number, at least 1, at most 256, or auto",
    ),
    "one test": (
        [("[test]", "test")],
        "experiments.one.tests: 'test' is wrong; allowed: list of names (up to 100 letters and digits, then also - and _), at least 1",
    ),
    "unquoted no": (
        [("[a, b, tv]", "[a, b, no]")],
        "experiments.one.models: 'no' is not in models; allowed: a, b, tv",
        'experiments.one.models: without quotes, no is false in YAML; put it in quotes: "no"',
    ),
    "unquoted number name": (
        [("  a: {kind", "  007: {kind"), ("[a, b", "[007, b")],
        'experiments.one.models: without quotes, 007 is the number 7 in YAML; put it in quotes: "007"',
        'models.007: without quotes, 007 is the number 7 in YAML; put it in quotes: "007"',
    ),
    "truth": (
        [("    score:", "    png: maybe\n    score:")],
        "experiments.one.png: 'maybe' is wrong; allowed: true or false",
    ),
    "null": (
        [("reference: ref", "reference:")],
        "experiments.one.reference: null is wrong; allowed: name (up to 100 letters and digits, then also - and _)",
    ),
    # names and kinds
    "unknown key": (
        [("bin_width: 32", "binwidth: 32")],
        "experiments.one.methods.ensir.binwidth: unknown key; allowed: kind, arithmetic, precision, prior, max_steps, bin_width, channels; did you mean 'bin_width'?",
    ),
    "unknown kind": (
        [("kind: classical", "kind: classic")],
        "models.tv.kind: 'classic' is wrong; allowed: KINDS; did you mean 'classical'?",
    ),
    "unknown method": (
        [("      ensir: {bin_width: 32}", "      ensr: {bin_width: 32}")],
        "experiments.one.methods.ensr.kind: is missing, and 'ensr' is no kind; allowed: METHODS; did you mean 'ensir'?",
    ),
    "unknown metric": (
        [("crop: 0", "crop: 0, metrics: [psnr, sism]")],
        'experiments.one.score.metrics: ["psnr", "sism"] is wrong; allowed: list of ciede2000, gmsd, lpips, ms_ssim, psnr, psnr_y, ssim, ssim_y; or named sections, your own metrics among them, at least 1',
    ),
    "unknown algorithm": (
        [("tv_chambolle", "tv_chambole")],
        "models.tv.algorithm: 'tv_chambole' is wrong; allowed: ALGORITHMS; did you mean 'tv_chambolle'?",
    ),
    "unknown dataset": (
        [("reference: ref", "reference: reff")],
        "experiments.one.reference: 'reff' is not in datasets; allowed: ref, test; did you mean 'ref'?",
    ),
    "unknown model": (
        [("[a, b, tv]", "[a, b, tvv]")],
        "experiments.one.models: 'tvv' is not in models; allowed: a, b, tv; did you mean 'tv'?",
    ),
    "reference is test": (
        [("[test]", "[ref, test]")],
        "experiments.one.reference: 'ref' is one of the tests too; choose another dataset",
    ),
    "model twice": (
        [("[a, b, tv]", "[a, b, b]")],
        "experiments.one.models: 'b' is named twice; remove one",
    ),
    "name with space": (
        [("  tv: {", "  my tv: {"), ("[a, b, tv]", "[a, b, my tv]")],
        "experiments.one.models: 'my tv' is wrong; allowed: name (up to 100 letters and digits, then also - and _)",
        "models.my tv: 'my tv' is wrong; allowed: name (up to 100 letters and digits, then also - and _)",
    ),
    "M = 1": (
        [("[a, b, tv]", "[a]")],
        'experiments.one.models: ["a"] is wrong; allowed: list of names (up to 100 letters and digits, then also - and _), at least 2',
    ),
    "width 0": (
        [("bin_width: 32", "bin_width: 0")],
        "experiments.one.methods.ensir.bin_width: 0 is wrong; allowed: whole number, at least 1, at most 256, or auto",
    ),
    "sweep of nothing": (
        [("      ensir: {bin_width: 32}\n", "    sweep: {bin_width: [16]}\n")],
        "experiments.one.sweep.bin_width: varies `ensir` methods, and there is none; add one, or remove it",
    ),
    # files
    "no such folder": (
        [('"ref/gt/*.png"', '"reff/gt/*.png"')],
        "datasets.ref.target: no image matches 'reff/gt/*.png' (looked for IMAGES); fix the path",
    ),
    "folder in place of files": (
        [('"{dataset}/a/*.png"', '"{dataset}/*"')],
        "models.a.path: no image matches 'ref/*' (looked for ARRAYS); it matches folders: add /* to take the images in them",
        "models.a.path: no image matches 'test/*' (looked for ARRAYS); it matches folders: add /* to take the images in them",
    ),
    "other extension": (
        [('"ref/gt/*.png"', '"ref/gt/*.jpg"')],
        "datasets.ref.target: no image matches 'ref/gt/*.jpg' (looked for IMAGES); images of other names or kinds are there (3, the first ref/gt/ref0.png): fix the pattern, or convert them to PNG",
    ),
    "home of nobody": (
        [('"ref/gt/*.png"', '"~nobody-at-all/gt/*.png"')],
        "datasets.ref.target: '~nobody-at-all/gt/*.png': there is no user 'nobody-at-all'; fix the path",
    ),
    "home": (
        [('"ref/gt/*.png"', '"~/no/such/folder/*.png"')],
        "datasets.ref.target: no image matches '/nowhere/no/such/folder/*.png' (looked for IMAGES); fix the path",
    ),
    "unset variable": (
        [('"ref/gt/*.png"', '"${ENSIR_NO_SUCH}/gt/*.png"')],
        "datasets.ref.target: '${ENSIR_NO_SUCH}/gt/*.png' needs the environment variable ENSIR_NO_SUCH; set it",
    ),
    "no dataset in path": (
        [('"{dataset}/a/*.png"', '"ref/a/*.png"')],
        "models.a.path: 'ref/a/*.png' must contain {dataset}: ref, test use it",
    ),
    "missing predictions": (
        [('"{dataset}/b/*.png"', '"{dataset}/b/*[01].png"')],
        "models.b.path: no file for 'ref2' (1 of 3 images); add the files, or exclude the images from the dataset",
        "models.b.path: no file for 'test2' (1 of 3 images); add the files, or exclude the images from the dataset",
    ),
    "suffix": (
        [('"{dataset}/b/*.png"}', '"{dataset}/b/*.png", suffix: _x4}')],
        "models.b.path: ref/b/ref0.png does not end in the declared suffix '_x4'",
        "models.b.path: test/b/test0.png does not end in the declared suffix '_x4'",
    ),
    "exclude nothing": (
        [('input: "ref/lq/*.png"', 'input: "ref/lq/*.png", exclude: [reff0]')],
        "datasets.ref.target: `exclude` names 'reff0', which matches no image; did you mean 'ref0'?",
    ),
    "scale": (
        [('input: "ref/lq/*.png"', 'input: "ref/lq/*.png", scale: 2')],
        "datasets.ref.input: ref/lq/ref0.png is 24×20, its target ref/gt/ref0.png 24×20, and `scale` is 2; fix `scale` or the files, or set `common_crop` (3 of 3 images)",
        "models.tv.algorithm: 'tv_chambolle' does not enlarge, but the scale of dataset 'ref' is 2; choose another model",
    ),
    "two ways": (
        [('"{dataset}/b/*.png"', '"{dataset}/b/{x}{y}.png"')],
        "models.b.path: 'ref0.png' can be read in two ways, {x} = 'r', {y} = 'ef0' or {x} = 're', {y} = 'f0'; write out the text around the parts in place of wildcards, or say what a part is made of, such as {x,\\d+}",
        "models.b.path: 'test0.png' can be read in two ways, {x} = 't', {y} = 'est0' or {x} = 'te', {y} = 'st0'; write out the text around the parts in place of wildcards, or say what a part is made of, such as {x,\\d+}",
    ),
    "other parts": (
        [('"ref/gt/*.png"', '"ref/gt/{image}.png"'), ('"{dataset}/b/*.png"', '"{dataset}/b/{frame}.png"')],
        "models.b.path: names images by {frame}, but what they are matched to is named by {image}; use the same parts in both, and * for what does not tell images apart",
    ),
    "stray brace": (
        [('"{dataset}/b/*.png"', '"{dataset}/b/{}.png"')],
        "models.b.path: 'ref/b/{}.png' holds a brace that belongs to no part; parts are written {name}, with letters, digits and _, or {name,regular expression}",
        "models.b.path: 'test/b/{}.png' holds a brace that belongs to no part; parts are written {name}, with letters, digits and _, or {name,regular expression}",
    ),
    "no input": (
        [(', input: "ref/lq/*.png"', "")],
        "datasets.ref.input: is missing: model 'tv' restores inputs; give `input` or `degradation`",
    ),
    "no checkpoint": (
        [("{kind: classical, algorithm: tv_chambolle}", "{kind: checkpoint, path: none.pth}")],
        "models.tv.path: none.pth: no such file; fix the path",
    ),
    "no function": (
        [("{kind: classical, algorithm: tv_chambolle}", '{kind: function, function: "no_such:thing"}')],
        "models.tv: function no_such:thing: cannot be imported (No module named 'no_such'); fix `function`",
    ),
    "nothing to choose from": (
        [("ensir: {bin_width: 32}", "best: {}")],
        "experiments.one.methods.best: has nothing to choose from; add one or more of ensir, least_squares, "
        "local_filters, weighted",
    ),
    # what a job would say after hours of others
    "too few photographs": (
        [("{kind: classical, algorithm: tv_chambolle}", "{kind: dae, dae: own}\ndenoisers: {own: {photographs: 'ref/gt/*.png', sigma: 9}}")],
        "denoisers.own.photographs: 3 images with different names; more than 8 are needed, since 8 are held out to measure the PSNR: add images",
    ),
    "photographs in grey": (
        [("{kind: classical, algorithm: tv_chambolle}", "{kind: dae, dae: own}\ndenoisers: {own: {photographs: 'photos/*.png', sigma: 9, patch: 16}}")],
        "denoisers.own.photographs: photos/7.png: is not 8-bit RGB; a DAE is trained on 8-bit colour photographs: convert it, or leave it out (2 of 9 images)",
    ),
    "photographs without a patch": (
        [("{kind: classical, algorithm: tv_chambolle}", "{kind: dae, dae: own}\ndenoisers: {own: {photographs: 'photos/*.png', sigma: 9}}")],
        "denoisers.own.photographs: photos/0.png: is 24×20, smaller than a patch of 64 pixels; leave it out, or lower `patch` (9 of 9 images)",
    ),
    "nothing to train a refiner on": (
        [
            ("models:\n", "  train: {kind: photos, images: [coffee, china], size: 48, degradation: {kind: noise, sigma: 25}}\nmodels:\n"),
            ("[a, b, tv]", "[tv, med]"),
            ("  a: {", "  med: {kind: classical, algorithm: median}\n  a: {"),
            ("average: {}", "average: {}\n      ptgrm: {after: average, prior: {kind: none}, training: {dataset: train, validation: 2}}"),
        ],
        "experiments.one.methods.ptgrm.training.dataset: 2 images with different names; more than 2 are needed, since 2 are held out to measure the PSNR: add images, or lower `validation`",
        "experiments.one.methods.ptgrm.training.patch: image 'coffee' is 48×48, smaller than a patch of 64 pixels; leave it out, or lower `patch` (2 of 2 images)",
    ),
    "photographs too small for a metric": (
        [
            ('{kind: folder, target: "test/gt/*.png", input: "test/lq/*.png"}', "{kind: photos, images: [rocket], size: 30, degradation: {kind: noise, sigma: 25}}"),
            ("[a, b, tv]", "[c, tv]"),
            ("  a: {", "  c: {kind: classical, algorithm: bilateral}\n  a: {"),
            ("crop: 0", "crop: 10"),
        ],
        "datasets.test.images: image 'rocket' is 30×30, and with a crop of 10 too small for metric ssim of experiment one, which needs 11×11 pixels; lower `score.crop`, or leave the metric out of `score.metrics`",
    ),
    "smaller than the scale": (
        [
            ("models:\n", "  thin: {kind: folder, target: 'thin/*.png', degradation: {kind: downscale, scale: 4}}\nmodels:\n"),
            ("[a, b, tv]", "[c, d]"),
            ("  a: {", "  c: {kind: classical, algorithm: bicubic}\n  d: {kind: classical, algorithm: lanczos}\n  a: {"),
            ("reference: ref", "reference: thin"),
        ],
        "datasets.thin.target: thin/0.png is smaller than the scale, 4, and nothing is left; `exclude` the image, or lower the scale",
    ),
    "an algorithm that does not enlarge": (
        [('input: "ref/lq/*.png"', "degradation: {kind: downscale, scale: 2}"), ("[a, b, tv]", "[a, tv, b]")],
        "models.tv.algorithm: 'tv_chambolle' does not enlarge, but the scale of dataset 'ref' is 2; choose another model",
    ),
    "a network that does not enlarge": (
        [('input: "ref/lq/*.png"', "degradation: {kind: downscale, scale: 2}"), ("{kind: classical, algorithm: tv_chambolle}", "{kind: dae}")],
        "models.tv.kind: 'dae' does not enlarge, but the scale of dataset 'ref' is 2; choose another model",
    ),
    "enlarged and degraded": (
        [
            ("{kind: classical, algorithm: tv_chambolle}", "{kind: daep}"),
            ('input: "ref/lq/*.png"', 'input: "ref/lq/*.png", degradation: {kind: noise, sigma: 9}'),
            ('input: "test/lq/*.png"', 'input: "test/small/*.png", scale: 2, degradation: {kind: blur}'),
        ],
        "models.tv.kind: dataset 'test': is to be enlarged, but its input is also degraded in another way (blur); only inputs that were downscaled and nothing else can be enlarged",
    ),
    "deconvolution without a kernel": (
        [("tv_chambolle", "wiener"), ('input: "ref/lq/*.png"', 'input: "ref/lq/*.png", degradation: {kind: blur}')],
        "models.tv.algorithm: dataset 'test': this algorithm needs a known blur kernel, and its dataset has no `degradation: {kind: blur}`; give it that, or choose another algorithm",
    ),
    "options that an algorithm refuses": (
        [("algorithm: tv_chambolle", "algorithm: median, options: {size: wide}")],
        "models.tv: algorithm median: failed on image '16×16 pixels' (TypeError: 'str' object cannot be interpreted as an integer); fix `options`, or leave the image out",
    ),
    "options that a function does not take": (
        [("{kind: classical, algorithm: tv_chambolle}", '{kind: function, function: "own_models_of_wrong:smooth", options: {sigma: 3}}')],
        "models.tv: function own_models_of_wrong:smooth: is called with 1 image, sigma=…, and takes (image) (got an unexpected keyword argument 'sigma'); fix `options`, or the function",
    ),
    "a metric of one image": (
        [("crop: 0", 'crop: 0, metrics: {own: {kind: function, function: "own_models_of_wrong:smooth", higher_is_better: true}}')],
        "experiments.one.score.metrics.own: function own_models_of_wrong:smooth: is called with 2 images, and takes (image) (too many positional arguments); fix `options`, or the function",
    ),
    "weights that are a web page": (
        [("{kind: classical, algorithm: tv_chambolle}", "{kind: checkpoint, path: heads/page.pth}")],
        "models.tv: heads/page.pth: cannot be read as weights (it is something else; the download may have failed); replace the file",
    ),
    "weights of no denoiser": (
        [("{kind: classical, algorithm: tv_chambolle}", "{kind: dae, dae: heads/page.safetensors}")],
        "models.tv: heads/page.safetensors: cannot be read as .safetensors (Error while deserializing header: header too large); replace the file",
    ),
    "noise that a denoiser is not trained for": (
        [
            ("{kind: classical, algorithm: tv_chambolle}", "{kind: daep, dae: own, dae_sigma: 11.0}\ndenoisers: {own: {photographs: 'p/*', sigma: 9}}"),
            ('input: "ref/lq/*.png"', "degradation: {kind: noise, sigma: 9}"),
            ('input: "test/lq/*.png"', "degradation: {kind: noise, sigma: 9}"),
        ],
        "models.tv.dae_sigma: own: was trained for noise of σ = 9, where `dae_sigma` says 11; remove that, or choose other weights",
    ),
    "weights of no refiner": (
        [
            ("[a, b, tv]", "[a, tv]"),
            ("  b: {kind: folder, path: \"{dataset}/b/*.png\"}", ""),
            ("average: {}", f"average: {{}}\n      ptgrm: {{after: average, prior: {{kind: none}}, weights: {SHIPPED_DAES['sigma25']}}}"),
        ],
        f"experiments.one.methods.ptgrm.weights: {SHIPPED_DAES['sigma25']}: holds no refiner of `ensir ptgrm train` or of `training` (its metadata lack 'prior')",
    ),
    "networks that guide a refiner": (
        [
            ("models:\n", "  train: {kind: photos, images: [coffee, china], size: 64, degradation: {kind: noise, sigma: 25}}\nmodels:\n"),
            ("[a, b, tv]", "[tv, med]"),
            ("  a: {", "  med: {kind: classical, algorithm: median}\n  a: {"),
            ("average: {}", "average: {}\n      ptgrm: {after: average, prior: {kind: restoration, network: heads/page.pth}, training: {dataset: train, validation: 1, perceptual: heads/page.safetensors}}"),
        ],
        "experiments.one.methods.ptgrm.prior: heads/page.pth: cannot be read as weights (it is something else; the download may have failed); replace the file",
        "experiments.one.methods.ptgrm.training.perceptual: heads/page.safetensors: cannot be read as weights (Error while deserializing header: header too large); replace the file",
    ),
    "a kernel of even sides": (
        [('input: "ref/lq/*.png"', "degradation: {kind: blur, kernel: heads/even.npy}")],
        "datasets.ref.degradation.kernel: heads/even.npy: kernel 1 has 4×4 values; both sides must be odd",
    ),
    "other images than the reference's": (
        [
            ('test: {kind: folder, target: "test/gt/*.png", input: "test/lq/*.png"}', "grey: {kind: folder, target: grey/gt/*.png}"),
            ("[a, b, tv]", "[a, b]"),
            ("[test]", "[grey]"),
            ("ensir: {bin_width: 32}", "ensir: {channels: separate}\n      local_filters: {}\n      least_squares: {}"),
        ],
        "experiments.one.methods.ensir: ref → grey: a method that was fitted to each of 3 channels cannot fuse images of 1; fit it to such, or set `channels: joint`",
        "experiments.one.methods.local_filters: ref → grey: a method that was fitted to colour images cannot fuse grey ones; fit it to such, or convert them",
    ),
    "deeper images than the reference's": (
        [
            ('test: {kind: folder, target: "test/gt/*.png", input: "test/lq/*.png"}', "deep: {kind: folder, target: deep/gt/*.png}"),
            ("[a, b, tv]", "[a, b]"),
            ("[test]", "[deep]"),
            ("ensir: {bin_width: 32}", "weighted: {}\n      rforest: {}\n      zzpm: {}"),
        ],
        *(
            f"experiments.one.methods.{method}: ref → deep: a method that was fitted to images of 8 bits cannot fuse images of 16; fit it to such, or convert them"
            for method in ("rforest", "weighted")
        ),
    ),
    "pieces that share all": (
        [("{kind: classical, algorithm: tv_chambolle}", "{kind: dae, overlap: 512}")],
        "models.tv.tile: pieces of 512 pixels, which begin at multiples of 2, cannot share 512; enlarge `tile`, or lower `overlap`",
    ),
}  # fmt: skip
# The path that is given in place of a configuration's, and what is said of it.
PATHS = {
    "my.yml": "no such file; did you mean my.yaml?",
    "nowhere/my.yaml": "no such file; fix the path",
    "ref": "is a folder; give a YAML file",
    "ref/gt/ref0.png": "is no text file; give a YAML file, in UTF-8",
    "https://example.org/my.yaml": "no such file; fix the path",
}
LISTS = {
    "SECTIONS": [name for name in Config.model_fields if name != "results"],
    "OF_EXPERIMENTS": Experiment.model_fields,
    "IMAGES": (".png, .jpg and 25 other endings",),
    "ARRAYS": (".png, .jpg and 25 other endings",),
    "KINDS": registry.kinds("restorers"),
    "METHODS": registry.kinds("methods"),
    "ALGORITHMS": classical.ALGORITHMS,
}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two datasets of three images, and predictions of two models."""
    root = tmp_path_factory.mktemp("wrong")
    for dataset in ("ref", "test"):
        for kind in ("gt", "lq", "a", "b"):
            for n in range(3):
                path = root / dataset / kind / f"{dataset}{n}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                random = np.random.default_rng([*kind.encode(), *path.name.encode()])
                image_files.write(path, random.integers(0, 200, (20, 24, 3), np.uint8))
    others = {f"photos/{n}.png": (20, 24, 1 if n > 6 else 3) for n in range(9)}
    others |= {f"test/small/test{n}.png": (10, 12, 3) for n in range(3)} | {"thin/0.png": (3, 24, 3)}
    others |= {
        f"{name}/{kind}/0.png": (20, 24, n)
        for name, n in (("grey", 1), ("deep", 3))
        for kind in ("gt", "a", "b")
    }
    for name, shape in others.items():
        (root / name).parent.mkdir(exist_ok=True, parents=True)
        value, dtype = (40_000, np.uint16) if name.startswith("deep") else (100, np.uint8)
        image_files.write(root / name, np.full(shape, value, dtype))
    (root / "heads").mkdir()
    for name in ("page.pth", "page.safetensors"):
        (root / "heads" / name).write_text("<!DOCTYPE html>")
    np.save(root / "heads/even.npy", np.ones((4, 4)))
    (root / "own_models_of_wrong.py").write_text("def smooth(image):\n    return image\n")
    (root / "my.yaml").write_text(BASE, encoding="utf-8")
    with chdir(root):
        CliRunner().invoke(app, ["check", "my.yaml"])  # imports what a check needs
    return root


@pytest.fixture
def folder(images: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(images)
    monkeypatch.syspath_prepend(images)
    monkeypatch.setenv("HOME", "/nowhere")
    monkeypatch.delenv("ENSIR_NO_SUCH", raising=False)
    Path("my.yaml").write_text(BASE, encoding="utf-8")
    return images


def wrong(name: str) -> tuple[str, list[str]]:
    """Return the text of a wrong configuration, and what is to be printed."""
    edits, *lines = WRONG[name]
    text = edits if isinstance(edits, str) else BASE
    for old, new in edits if isinstance(edits, list) else []:
        assert old in text
        text = text.replace(old, new, 1)
    for word, names in LISTS.items():
        lines = [line.replace(word, ", ".join(names)) for line in lines]
    of_yaml = lines[0].startswith("line ")  # followed by the line and a caret
    return text, [line if of_yaml and n else f"my.yaml: {line}" for n, line in enumerate(lines)]


def test_the_base_is_right(folder: Path):
    done = CliRunner().invoke(app, ["check", "my.yaml"])
    assert (done.exit_code, done.stderr) == (0, "")


def test_there_are_enough():
    assert len(WRONG) + len(PATHS) >= 54


@pytest.mark.parametrize("name", WRONG)
def test_wrong_configurations(folder: Path, name: str):
    """All mistakes, each in a line, within a second of processor time; mistakes of syntax come alone."""
    text, lines = wrong(name)
    Path("my.yaml").write_text(text, encoding="utf-8")
    started = time.process_time()
    done = CliRunner().invoke(app, ["check", "my.yaml"])
    assert time.process_time() - started < 1
    assert isinstance(done.exception, SystemExit)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.splitlines() == lines


@pytest.mark.parametrize("path", PATHS)
def test_wrong_paths(folder: Path, path: str):
    done = CliRunner().invoke(app, ["check", path])
    assert (done.exit_code, done.stdout, done.stderr) == (2, "", f"{path}: {PATHS[path]}\n")


def test_all_mistakes_at_once_before_a_run(folder: Path, tmp_path: Path):
    """In a process of its own, whose start is most of the time: nothing runs, and nothing is written."""
    names = ["unknown metric", "width 0", "no such folder", "suffix", "no checkpoint"]
    text, expected = BASE, []
    for name in names:
        for old, new in WRONG[name][0]:
            text = text.replace(old, new, 1)
        expected += wrong(name)[1]
    os.chdir(tmp_path)
    for dataset in ("ref", "test"):
        Path(dataset).symlink_to(folder / dataset)
    Path("my.yaml").write_text(text, encoding="utf-8")
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    done = subprocess.run([ENSIR, "run", "my.yaml"], capture_output=True, text=True)
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < 5
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == sorted(expected)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["my.yaml", "ref", "test"]
