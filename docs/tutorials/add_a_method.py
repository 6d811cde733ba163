# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 3. Add a method
#
# A method is one file: a section, which says what it needs and what its options are, and a few functions.
# This one is an old idea: in each bin set, a model weighs the more, the smaller its mean squared error is
# on the reference. It needs no pixels of its own: the [statistics](../statistics.md) that are counted
# anyway tell the errors.
#
# ## The file

# %%
from pathlib import Path

SOURCE = '''
"""Weights that fall with the mean squared error of each model, bin set by bin set."""

from typing import Literal

import numpy as np
from pydantic import Field

from ensir.cells.lut import ESTIMATED, CellWeights, LutMethod
from ensir.methods import Binned


class InverseError(Binned):
    """Weights proportional to 1 / error^power, in each bin set."""

    kind: Literal["inverse_error"] = "inverse_error"
    power: float = Field(1.0, ge=0, description="how much a smaller error counts")


Method = LutMethod  # looks weights up, as all methods with a table do


def estimate_weights(cells, everything, settings, device, progress):
    """Return the weights of each bin set."""
    weights = weighed(errors(cells) / cells.count[:, None], settings["power"])
    steps = np.zeros(len(cells), int)  # of an iteration, which there is none of
    return CellWeights(weights, steps, np.full(len(cells), ESTIMATED, np.uint8))


def fill(everything, settings):
    """Return the weights of empty bin sets: those of all values together."""
    mean = errors(everything).sum(axis=0) / everything.count.sum()
    return "constant", weighed(mean, settings["power"])


def errors(cells):
    """Return the sums of (x_m - y)^2 = x_m^2 - 2 x_m y + y^2, in squared levels."""
    squares = np.diagonal(cells.gram, axis1=1, axis2=2)
    return (squares - 2 * cells.cross + cells.target_square[:, None]) / cells.unit**2


def weighed(error, power):
    """Return weights that sum to one."""
    weight = 1 / (error + 1e-3) ** power
    return weight / weight.sum(axis=-1, keepdims=True)
'''
package = Path("packages/my_methods")
package.mkdir(parents=True, exist_ok=True)
file = package / "inverse_error.py"
file.write_text(SOURCE, encoding="utf-8")
print(file)

# %% [markdown]
# ## The package
#
# A package tells about its methods by entry points. In yours, these are lines of `pyproject.toml`, and pip
# installs it:
#
# ```toml
# [project.entry-points."ensir.methods"]
# inverse_error = "my_methods.inverse_error"
# ```
#
# Here, in place of an installation, a folder looks like one:

# %%
import sys

about = Path("packages/my_methods-1.0.dist-info")
about.mkdir(exist_ok=True)
(about / "METADATA").write_text(
    "Metadata-Version: 2.1\nName: my-methods\nVersion: 1.0\n"
)
(about / "entry_points.txt").write_text(
    "[ensir.methods]\ninverse_error = my_methods.inverse_error\n"
)
sys.path.insert(0, "packages")

# %% [markdown]
# ## Use it
#
# Three denoisers, three photographs as reference, one as test; noise of σ = 25.

# %%
import matplotlib.pyplot as plt
import numpy as np
from skimage import data
from skimage.restoration import denoise_nl_means, denoise_tv_chambolle, denoise_wavelet

import ensir

MODELS = {
    "tv": lambda noisy: denoise_tv_chambolle(noisy, 0.1, channel_axis=-1),
    "wavelet": lambda noisy: denoise_wavelet(noisy, 25 / 255, channel_axis=-1),
    "nlm": lambda noisy: denoise_nl_means(
        noisy, 5, 6, 0.08, sigma=25 / 255, channel_axis=-1
    ),
}
random = np.random.default_rng(0)


def restored(name):
    """Return the predictions of a photograph, by model, and its target."""
    target = getattr(data, name)()[20:180, 120:280]
    noisy = np.clip(target + random.normal(0, 25, target.shape), 0, 255) / 255
    predictions = {
        model: np.clip(restore(noisy) * 255, 0, 255)
        .round()
        .astype(np.uint8)
        .transpose(2, 0, 1)
        for model, restore in MODELS.items()
    }
    return predictions, target.transpose(2, 0, 1)


reference = [restored(name) for name in ("astronaut", "coffee", "rocket")]
x, y = (
    {model: [pictures[model] for pictures, _ in reference] for model in MODELS},
    [target for _, target in reference],
)
x_test, y_test = restored("chelsea")

table = ensir.fit(x, y, method="inverse_error", bin_width=32, power=2)
print(table)

# %% [markdown]
# How good is it, and what does the power do?

# %%
powers = [0, 0.5, 1, 2, 4, 8]
found = [
    ensir.score(
        y_test,
        ensir.fit(x, y, method="inverse_error", power=power).fuse(x_test),
        value_range=(0, 255),
    )["psnr"]
    for power in powers
]
others = {
    method: ensir.fit(x, y, method=method).fuse(x_test)
    for method in ("ensir", "least_squares")
}
others = {
    method: ensir.score(y_test, fused, value_range=(0, 255))["psnr"]
    for method, fused in others.items()
}
for power, psnr in zip(powers, found, strict=True):
    print(f"inverse_error, power {power:<5}{psnr:6.2f} dB")
for method, psnr in others.items():
    print(f"{method:<25} {psnr:6.2f} dB")

# %%
figure, axes = plt.subplots(figsize=(5, 3), layout="constrained")
axes.plot(powers, found, "o-", label="inverse_error")
for (method, psnr), style in zip(others.items(), ("--", ":"), strict=True):
    axes.axhline(psnr, linestyle=style, color="0.3", label=method)
axes.set_xlabel("power")
axes.set_ylabel("PSNR (dB)")
axes.legend()
plt.show()

# %% [markdown]
# Power 0 is the plain average. On this picture, all are within 0.1 dB of each other, and of EnsIR: what a
# comparison is for.
#
# An option that nobody declared is an error that names it; so is a wrong value:

# %%
for options in ({"pwer": 2}, {"power": -1}):
    try:
        ensir.fit(x, y, method="inverse_error", **options)
    except ensir.InputError as error:
        print(error)

# %% [markdown]
# ## In a workflow
#
# Nothing more is to be done. A configuration may now say `inverse_error: {power: 2}` under `methods`; its
# options are checked, `ensir reference methods` lists them, the report shows its scores and its weight
# maps, and what it has made is made anew when its code changes. The kinds of methods that need more, and
# metrics, models, figures and datasets: [CONTRIBUTING.md](../../CONTRIBUTING.md).
