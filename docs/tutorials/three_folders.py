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
# # 1. Three folders to a better picture
#
# Several models have restored the same pictures, none of them well enough. This tutorial fits a table to a
# few pictures whose targets are known, and combines the predictions for another one.
#
# ## Folders
#
# You have folders already. Here they are made: photographs that ship with scikit-image, noise of σ = 25,
# and three denoisers in place of three networks.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from skimage import data, io
from skimage.restoration import denoise_nl_means, denoise_tv_chambolle, denoise_wavelet

import ensir

MODELS = {
    "tv": lambda noisy: denoise_tv_chambolle(noisy, 0.1, channel_axis=-1),
    "wavelet": lambda noisy: denoise_wavelet(noisy, 25 / 255, channel_axis=-1),
    "nlm": lambda noisy: denoise_nl_means(
        noisy, 5, 6, 0.08, sigma=25 / 255, channel_axis=-1
    ),
}
PICTURES = {"reference": ["astronaut", "coffee", "rocket"], "test": ["chelsea"]}


def save(path, picture):
    path.parent.mkdir(parents=True, exist_ok=True)
    io.imsave(path, picture, check_contrast=False)


random = np.random.default_rng(0)
for part, names in PICTURES.items():
    for name in names:
        target = getattr(data, name)()[20:212, 120:312]
        noisy = np.clip(target + random.normal(0, 25, target.shape), 0, 255) / 255
        save(Path("images", part, "target", f"{name}.png"), target)
        for model, restore in MODELS.items():
            restored = np.clip(restore(noisy) * 255, 0, 255).round().astype(np.uint8)
            save(Path("images", part, model, f"{name}.png"), restored)

for path in sorted(Path("images/test").rglob("*.png")):
    print(path)

# %% [markdown]
# ## Fit
#
# `ensir.read` makes arrays (channel, height, width) of a folder, by the names of the pictures, which pair
# those of the models and their targets. `method` is what combines them: `ensir`, or `least_squares`, or
# `local_filters`, which look at a pixel's neighbours, too.

# %%
x = {model: ensir.read(f"images/reference/{model}") for model in MODELS}
y = ensir.read("images/reference/target")
tables = {
    method: ensir.fit(x, y, method=method)
    for method in ("ensir", "least_squares", "local_filters")
}
print(tables["least_squares"])

# %% [markdown]
# In a notebook, a table shows itself: its options, its reference, and how the weights depend on the
# brightness.

# %%
tables["least_squares"]

# %% [markdown]
# ## Fuse, and compare

# %%
x_test = {model: ensir.read(f"images/test/{model}")["chelsea"] for model in MODELS}
y_test = ensir.read("images/test/target")["chelsea"]
results = dict(x_test)
results["average"] = ensir.fuse(x_test, "average")
for method, table in tables.items():
    results[method] = table.fuse(x_test)

print(f"{'':<15}{'PSNR':>6}{'SSIM':>8}")
for name, picture in results.items():
    found = ensir.score(y_test, picture, value_range=(0, 255))
    print(f"{name:<15}{found['psnr']:6.2f}{found['ssim']:8.4f}")

# %%
shown = {
    "target": y_test,
    "nlm, the best model": x_test["nlm"],
    "local_filters": results["local_filters"],
}
figure, axes = plt.subplots(1, 3, figsize=(7.5, 2.7), layout="constrained")
for panel, (title, picture) in zip(axes, shown.items(), strict=True):
    panel.imshow(np.clip(picture.transpose(1, 2, 0) / 255, 0, 1))
    panel.set_title(title, fontsize=9)
    panel.axis("off")
plt.show()

# %% [markdown]
# ## Keep it
#
# The table is one file; whoever has the same three models needs nothing else.

# %%
tables["local_filters"].save("denoise.fit")
again = ensir.Lut.load("denoise.fit").fuse(x_test)
print("equal:", np.array_equal(again, results["local_filters"]))

# %% [markdown]
# ## Without Python, and further
#
# `ensir fit` and `ensir fuse` do the same on folders
# ([compare my models](../compare.md#on-plain-folders-without-a-workflow)). For a comparison with all methods,
# intervals and a report, the same three folders go into a configuration, on the same page. A gain on one
# picture is an anecdote: [when it helps, and when not](../results.md).
