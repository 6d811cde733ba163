"""Time tables in ONNX Runtime, and two networks bundled with one beside the networks: rows of `bench.py`.

CPU time of one core: nothing else on the machine counts.
"""

import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime
import torch

import ensir
from ensir.deploy import programs
from ensir.deploy.bundle import bundle

MODELS = ("a", "b", "c")
HEIGHT, WIDTH = 256, 384  # of the picture that goes through networks


def denoiser(seed):
    """Return a network of the size of DnCNN: 17 convolutions of 64 channels."""
    torch.manual_seed(seed)
    layers = [torch.nn.Conv2d(3, 64, 3, padding=1), torch.nn.ReLU()]
    for _ in range(15):
        layers += [torch.nn.Conv2d(64, 64, 3, padding=1), torch.nn.ReLU()]
    return torch.nn.Sequential(*layers, torch.nn.Conv2d(64, 3, 3, padding=1)).eval()


def seconds(path, x):
    """Return the least CPU time of a few runs of a program, on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options)
    times = []
    for _ in range(4):
        start = time.process_time()
        session.run(None, {session.get_inputs()[0].name: x})
        times.append(time.process_time() - start)
    return min(times)


def main():
    random = np.random.default_rng(0)
    y = random.integers(20, 230, (3, 3, 96, 128)).astype(np.uint8)
    x = [np.clip(one + random.integers(-9, 10, (3, *one.shape)), 0, 255).astype(np.uint8) for one in y]
    free = {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    with tempfile.TemporaryDirectory() as root:
        folder, networks = Path(root), {}
        for seed, name in enumerate(MODELS[:2]):
            networks[name] = str(folder / f"{name}.onnx")
            example = (torch.rand(1, 3, 32, 48),)
            program = torch.export.export(denoiser(seed), example, dynamic_shapes=(free,))
            torch.onnx.export(program, f=networks[name], verbose=False, external_data=False)
        picture = random.integers(0, 256, (1, 3, HEIGHT, WIDTH)).astype(np.uint8)
        alone = sum(seconds(path, picture / np.float32(255)) for path in networks.values())
        print(f"| two networks, {WIDTH}×{HEIGHT} | {alone:.2f} s | | |")
        frame = random.integers(0, 256, (3, 3, 720, 1280)).astype(np.uint8)
        for method in ("least_squares", "local_filters"):
            two = ensir.fit([image[:2] for image in x], list(y), method=method, models=MODELS[:2])
            bundle(two.to_torch(), networks, folder / "both.onnx")
            print(f"| with {method} in one program | {seconds(folder / 'both.onnx', picture):.2f} s | | |")
            module = ensir.fit(x, list(y), method=method, models=MODELS).to_torch()
            programs.save(programs.table_program(module, "uint8"), folder / "table.onnx", ("x", "fused"))
            print(
                f"| {method} alone, 3 models, 1280×720 | {seconds(folder / 'table.onnx', frame):.2f} s | | |"
            )


if __name__ == "__main__":
    main()
