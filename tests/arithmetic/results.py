"""Print a digest of everything that is computed on a CPU from predictions: `test_same_bits` runs it on many."""

import hashlib
import sys

import numpy as np
from examples import NAMES, fitted, pixels, released, silent

from ensir import registry
from ensir.cells import filter_statistics, statistics
from ensir.cells.counting import count
from ensir.cells.lut import LutMethod
from ensir.images import colours, degradations, similarity
from ensir.methods import least_squares, local_filters, refesr, settled, zzpm

SIDE = 48


def digest(*arrays):
    joined = b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)
    return hashlib.sha256(joined).hexdigest()[:16]


def show(name, *arrays):
    print(name, digest(*arrays), flush=True)


def main():
    images = [pixels(seed, size=SIDE * SIDE) for seed in range(3)]
    everything = statistics.total([count(x, y, NAMES[:3], 16, fold) for fold, (x, y) in enumerate(images)])
    squares = {"kind": "least_squares", "channels": "joint", "strength": "auto", "bin_width": 16}
    methods = {
        "ensir": released(32),
        "ensir auto": released("auto"),
        "ensir float32": released(32, precision="float32", channels="separate"),
        "ensir paper": released(64, arithmetic="paper", max_steps=300),
        "least squares": {**squares, "strength": 1e3},
        "least squares auto": squares,
    }
    shown = [image.reshape(3, 3, SIDE, SIDE) for image, _ in images]
    for name, options in methods.items():
        lut = fitted(
            everything, settled(registry.module("methods", options["kind"]), everything, options, "cpu")[0]
        )
        show(name, lut.weights, lut.iterations, lut.expected_squared_error, lut.fill_weights)
        show(f"{name}, fused", *(LutMethod({}, lut).fuse(x) for x in shown))
    show("held out", least_squares.held_out_errors(everything, [0, 1e3]))
    counter = filter_statistics.counter(NAMES[:3], 8, 3, {})
    for fold, (x, (_, y)) in enumerate(zip(shown, images, strict=True)):
        counter.add(list(x), y.reshape(3, SIDE, SIDE), fold, slice(0, SIDE))
    fit = local_filters.fit(counter.statistics(), {}, silent)
    show("local filters", *fit.values())
    for literal in (False, True):
        show(f"zzpm {literal}", *(zzpm.Method({"literal": literal}).fuse(x) for x in shown))
    target = np.moveaxis(images[0][1].reshape(3, SIDE, SIDE), 0, 2)
    low = degradations.imresize(target.astype(np.float64), 1 / 2)
    reduced = [degradations.imresize(np.moveaxis(x, 0, 2) / 255, 1 / 2).ravel() for x in shown[0]]
    show("resized", low, *reduced)
    show("refesr", refesr.solve(np.stack(reduced), low.ravel() / 255, np.full(3, 1 / 3)))
    show("prior", refesr.prior_weights(np.array([30.1, 30.15, 30.12])))
    fused = np.moveaxis(shown[0].mean(axis=0), 0, 2)
    show("luma", colours.luma(fused))
    scores = [
        measure(target, fused, as_luma=as_luma)
        for measure in (similarity.psnr, similarity.ssim)
        for as_luma in (False, True)
    ]
    show("scores", np.array(scores))


if __name__ == "__main__":
    sys.exit(main())
