"""Compare the expected squared error with the actual one, in tenths of the values by expected error.

`python tests/bench/calibration.py [DATA]` prints a table; DATA is a folder with images/.
"""

import os
import sys
from pathlib import Path

import numpy as np

from ensir import registry
from ensir.cells import lut, statistics
from ensir.cells.counting import count
from ensir.images import image_files
from ensir.storage import writing

CASES = {
    "super-resolution ×4": ("sr_x4", "bsds12", "set5", ("IMDN", "MobileSR", "CRAFT")),
    "deraining": ("derain", "rain100h_ref", "rain100h_test", ("PReNet6", "PReNet6_r", "BRN")),
}
SETTINGS = {"kind": "ensir", "bin_width": 32, "channels": "joint", "arithmetic": "released"}
SETTINGS |= {"precision": "float64", "prior": None, "max_steps": 1000}


def read(folder, models):
    """Yield predictions (model, channel, pixel) and target (channel, pixel) of each image."""
    for path in sorted((folder / "gt").iterdir()):
        y, *x = (
            writing.flatten(image_files.read(str(folder / kind / path.name)))
            for kind in ("gt", *(f"pred/{model}" for model in models))
        )
        yield np.stack(x), y


def fitted(folder, models):
    """Fit a LUT."""
    pieces = [count(x, y, models, SETTINGS["bin_width"]) for x, y in read(folder, models)]
    cells = statistics.cells_of(statistics.total(pieces), SETTINGS).without_folds()
    module = registry.module("methods", SETTINGS["kind"])
    found = module.estimate_weights(cells, cells, SETTINGS, "cpu", lambda done, total: None)
    return lut.assemble(cells, found, module.fill(cells, SETTINGS))


def errors(folder, models, method):
    """Return expected and actual squared error of every value."""
    pairs = []
    for x, y in read(folder, models):
        fused, expected = method.fuse_with_error(x)
        pairs.append((expected.ravel(), ((fused - y) ** 2).ravel()))
    return np.concatenate(pairs, axis=1)


def main():
    data = Path(sys.argv[1] if len(sys.argv) > 1 else os.environ["ENSIR_TEST_DATA"])
    for name, (folder, reference, test, models) in CASES.items():
        root = data / "images" / folder
        method = lut.LutMethod({}, fitted(root / reference, models))
        expected, actual = errors(root / test, models, method)
        empty = np.isnan(expected)
        print(f"{name}: {empty.mean():.3%} of the values lie in empty cells")
        order = np.argsort(expected[~empty], kind="stable")
        tenths = [np.array_split(error[~empty][order], 10) for error in (expected, actual)]
        for kind, parts in zip(("expected", "actual"), tenths, strict=True):
            print(
                f"| {name}, {kind} | " + " | ".join(f"{part.mean(dtype=float):.1f}" for part in parts) + " |"
            )
        ranks = np.argsort(np.argsort(np.sqrt(actual[~empty]))), np.argsort(order)
        print(
            f"mean {expected[~empty].mean(dtype=float):.1f} {actual[~empty].mean(dtype=float):.1f}, "
            f"rank correlation {np.corrcoef(*ranks)[0, 1]:.2f}"
        )


if __name__ == "__main__":
    main()
