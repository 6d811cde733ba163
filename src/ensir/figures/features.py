"""Features with PCA: what a pre-trained network sees in the target, the predictions and the results.

The network is a program from a file. Without one, the features are those of scikit-image's
`multiscale_basic_features`: intensity, edges and texture (the eigenvalues of the Hessian) at four scales.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field

from ensir.drawing import panels
from ensir.drawing.panels import Column, Panel
from ensir.drawing.pictures import displayed, reduced
from ensir.drawing.style import Drawing
from ensir.errors import InputError
from ensir.figures import PaperFigure, Reading, Subject
from ensir.storage import reading
from ensir.storage.paths import existing

if TYPE_CHECKING:
    from jaxtyping import Float, UInt8
    from matplotlib.figure import Figure

LONGEST = 384  # pixels of the longer side; of a larger image, the middle is used
SCALES = (1, 8)  # pixels: standard deviations of the finest and the coarsest of the four scales
TARGET = "the target"  # names of models and methods have no spaces
DISTANCE = "distance to the target"


class Features(PaperFigure):
    """What a network sees in the target, the predictions and the results."""

    network: str | None = Field(
        None,
        pattern=r"\.(pt2|onnx)$",
        title="path that ends in .pt2 or .onnx",
        description="program whose output is drawn as features: it gets (image, channel, height, width) in [0, 1]; "
        "null: intensity, edges and texture at four scales, by scikit-image",
    )

    reads: ClassVar[tuple[Reading, ...]] = ("sample",)
    caption: ClassVar[str] = (
        "First principal component of the features, and the distance of each picture's features to the target's, on "
        "**{dataset}**'s pictured image. Features: {network}."
    )
    whole_pictures: ClassVar[bool] = True

    def captioned(self, dataset: str, method: str) -> str:
        """Return the caption, with where the features come from."""
        what = self.network or "intensity, edges and texture at four scales"
        return self.caption.format(dataset=dataset, network=what)

    def files(self, key: str) -> list[str]:
        """Return the file of the network."""
        return [existing(self.network, f"{key}.network")] if self.network else []

    def try_out(self) -> None:
        """Check the file of the network, as far as that needs no PyTorch."""
        from ensir.restorers import exported

        if self.network and os.path.isfile(self.network):  # else reported by the plan
            exported.check_file(self.network)


def draw(subject: Subject) -> Drawing:
    """Draw the features of one image.

    Raises
    ------
    InputError
        The network cannot be read, or does not make features of a picture.
    """
    sample, network = subject.results["sample"], subject.options["network"]
    part, name = reading.Part(sample["dataset_part"]), sample["image"]
    images = {TARGET: part.image(name)}
    images |= {
        key: reading.Part(path).image(name)
        for kind in ("predictions", "fused")
        for key, path in sample[kind].items()
    }
    shown = {key: displayed(_middle(image), part.bits) for key, image in images.items()}
    return drawing(shown, from_network(shown, network) if network else from_filters(shown))


def _middle(image: np.ndarray) -> np.ndarray:
    top, left = ((side - min(side, LONGEST)) // 2 for side in image.shape[:2])
    return image[top : top + LONGEST, left : left + LONGEST]


def from_filters(
    images: dict[str, UInt8[np.ndarray, "height width channel"]],
) -> dict[str, Float[np.ndarray, "height width feature"]]:
    """Return intensity, edges and texture at four scales."""
    from skimage.feature import multiscale_basic_features

    return {
        name: multiscale_basic_features(
            image.astype(np.float32) / 255,
            sigma_min=SCALES[0],
            sigma_max=SCALES[1],
            num_sigma=4,
            workers=1,
            channel_axis=2,
        )
        for name, image in images.items()
    }


def from_network(
    images: dict[str, UInt8[np.ndarray, "height width channel"]], path: str
) -> dict[str, Float[np.ndarray, "rows columns feature"]]:
    """Return the output of a program; grey images get three channels where it takes three.

    Raises
    ------
    InputError
        The program cannot be read, or does not take such images.
    """
    from ensir.restorers import exported

    program = exported.read(path, "cpu")
    channels = program.shape[1]
    features = {}
    for name, image in images.items():
        x = image.transpose(2, 0, 1)[None].astype(program.dtype) / 255
        if channels == 3 and x.shape[1] == 1:
            x = np.repeat(x, 3, axis=1)
        try:
            y = program.run(x)
        except Exception as error:
            raise InputError(
                f"{path}: takes no image of shape {x.shape} ({' '.join(str(error).split())[:200]}); export it for any "
                "height and width"
            ) from error
        if y.ndim != 4 or y.shape[0] != 1:
            raise InputError(
                f"{path}: makes {y.shape} of an image of {x.shape}; features are (1, channel, height, width)"
            )
        features[name] = y[0].transpose(1, 2, 0).astype(np.float32)
    return features


def components(
    features: dict[str, Float[np.ndarray, "height width feature"]],
) -> tuple[dict[str, Float[np.ndarray, "height width"]], dict[str, Float[np.ndarray, "height width"]], float]:
    """Return, for each image, the first principal component of the target's features and the distance to them.

    Features are scaled to variance one in the target; a distance is the root mean square over the features.

    Returns
    -------
    first, distance : dict of arrays
    explained : float
        Share of the target's variance in the component.
    """
    from sklearn.decomposition import PCA

    target = features[TARGET].reshape(-1, features[TARGET].shape[2]).astype(np.float64)
    varying = target.std(axis=0) > 1e-4
    if not varying.any():  # a picture of one colour
        none = {name: np.zeros(feature.shape[:2]) for name, feature in features.items()}
        return none, none, 0.0
    centre, scale = target.mean(axis=0)[varying], target.std(axis=0)[varying]
    scaled = {name: (feature[..., varying] - centre) / scale for name, feature in features.items()}
    pca = PCA(1, svd_solver="covariance_eigh").fit(scaled[TARGET].reshape(len(target), -1))
    first = {name: feature @ pca.components_[0] for name, feature in scaled.items()}
    distance = {
        name: np.sqrt(((feature - scaled[TARGET]) ** 2).mean(axis=2)) for name, feature in scaled.items()
    }
    return first, distance, float(pca.explained_variance_ratio_[0])


def drawing(
    images: dict[str, UInt8[np.ndarray, "height width channel"]],
    features: dict[str, Float[np.ndarray, "height width feature"]],
) -> Drawing:
    """Return the figure: a column per image; picture, first component, distance to the target's features."""
    first, distance, explained = components(features)
    columns = [
        Column(
            name,
            [
                Panel(reduced(image, panels.LONGEST)),
                Panel(reduced(first[name], panels.LONGEST)),
                None
                if name == TARGET
                else Panel(reduced(distance[name], panels.LONGEST), f"mean {distance[name].mean():.3f}"),
            ],
        )
        for name, image in images.items()
    ]
    rows = ["picture", "first component", "distance"]
    everything = np.stack(list(first.values()))
    low, high = map(float, np.quantile(everything, [0.01, 0.99]))
    far = float(np.quantile(np.stack(list(distance.values())), 0.99))
    scales = [
        None,
        (f"first component ({explained:.0%} of the target's variance)", low, high),
        (DISTANCE, 0.0, far),
    ]
    shape = next(iter(images.values())).shape
    width, height = panels.size(columns, shape, len(rows))

    def plot(figure: Figure) -> None:
        panels.show(figure, columns, rows, scales)

    return Drawing(width, height, plot, *panels.table(columns, rows, lambda row: row > 0))
