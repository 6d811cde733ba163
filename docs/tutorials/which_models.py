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
# # 2. Which models to keep
#
# Each model costs time for every picture, for ever. What would be lost without it? All subsets of the
# models are compared on pictures that are held out in turn, from one count of the pixels: no model runs
# again.
#
# ## Predictions
#
# Five denoisers in place of five networks, on four photographs that ship with scikit-image, with noise of σ
# = 25.

# %%
import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import gaussian_filter, median_filter
from skimage import data
from skimage.restoration import denoise_nl_means, denoise_tv_chambolle, denoise_wavelet

import ensir

MODELS = {
    "gaussian": lambda noisy: gaussian_filter(noisy, (1, 1, 0)),
    "median": lambda noisy: median_filter(noisy, (5, 5, 1)),
    "tv": lambda noisy: denoise_tv_chambolle(noisy, 0.1, channel_axis=-1),
    "wavelet": lambda noisy: denoise_wavelet(noisy, 25 / 255, channel_axis=-1),
    "nlm": lambda noisy: denoise_nl_means(
        noisy, 5, 6, 0.08, sigma=25 / 255, channel_axis=-1
    ),
}
# Of one picture; measure yours.
SECONDS = {"gaussian": 0.01, "median": 0.06, "tv": 0.2, "wavelet": 0.08, "nlm": 1.5}

random = np.random.default_rng(0)
x, y = {model: [] for model in MODELS}, []
for name in ("astronaut", "coffee", "rocket", "chelsea"):
    target = getattr(data, name)()[20:180, 120:280]
    noisy = np.clip(target + random.normal(0, 25, target.shape), 0, 255) / 255
    y.append(target.transpose(2, 0, 1))
    for model, restore in MODELS.items():
        restored = np.clip(restore(noisy) * 255, 0, 255).round().astype(np.uint8)
        x[model].append(restored.transpose(2, 0, 1))

# %% [markdown]
# ## Count once
#
# All that follows needs the pixels' [statistics](../statistics.md), not the pixels. Statistics add up:
# those of half the pictures and those of the other half are those of all.

# %%
halves = [
    ensir.count(
        {model: pictures[half] for model, pictures in x.items()},
        y[half],
        method="least_squares",
        names=names,
    )
    for half, names in (
        (slice(0, 2), ("astronaut", "coffee")),
        (slice(2, 4), ("rocket", "chelsea")),
    )
]
statistics = halves[0] + halves[1]
print(statistics)

# %% [markdown]
# ## Compare
#
# Each picture is held out in turn, and combined by a table that was fitted to the others.

# %%
found = ensir.select(statistics, seconds=SECONDS)

front = sorted(
    (row for row in found.subsets if row.on_front), key=lambda row: row.seconds
)
print(f"the best of {len(found.subsets)} subsets for their time:")
for row in front:
    print(f"{row.psnr:6.2f} dB {row.seconds:5.2f} s  {' + '.join(row.models)}")

# %%
figure, axes = plt.subplots(figsize=(6, 3.4), layout="constrained")
for rows, style in ((found.subsets, {"color": "0.6", "linestyle": ""}), (front, {})):
    seconds, psnr = [row.seconds for row in rows], [row.psnr for row in rows]
    axes.semilogx(
        seconds, psnr, marker="o", markersize=4, drawstyle="steps-post", **style
    )
axes.set_xlabel("seconds per picture")
axes.set_ylabel("PSNR, held out (dB)")
plt.show()

# %% [markdown]
# What each model adds: alone, and what is lost where it is left out of all five.

# %%
print(f"{'':<10}{'alone':>8}{'loss':>8}")
for model in found.models:
    print(f"{model.model:<10}{model.psnr:8.2f}{model.loss:8.3f}")

# %% [markdown]
# ## Keep the ones that pay
#
# `gaussian` does harm: without it, the other four are better. `wavelet` and `nlm` alone are as good as all
# of those, to 0.02 dB. Four pictures are few, so look at the intervals as well: `loss_low` and `loss_high`
# of each model, `low` and `high` of each subset.

# %%
kept = ("wavelet", "nlm")
print(ensir.fit({model: x[model] for model in kept}, y, method="least_squares"))

# %% [markdown]
# In a workflow, every run with `least_squares` makes these tables, a figure and a section of the report,
# and takes the seconds from its own jobs: [which models are worth running](../selection.md).
