"""How much memory the job of each rule takes, in MB, from the sizes of its images and the number of models.

Measured (docs/sizing.md), with a margin: a job really takes between two thirds of these numbers and all of them.
"""

from __future__ import annotations

from functools import cache

from ensir import registry
from ensir.errors import InputError
from ensir.planning.plan import Plan

MARGIN = 1.25
HEADERS = 64  # files of a part whose headers are read; of more, every second, third, …
UNKNOWN = 8.3  # millions of pixels, where no header tells: an image of 3840×2160
NETWORK = 16000  # whatever the network
CHUNK = 4.2  # millions of values
PYTHON, COMPILED = 85, 190  # MB of a process with its libraries, without Numba and with it


class Memory:
    """The memory of jobs.

    Parameters
    ----------
    plan : Plan
    """

    def __init__(self, plan: Plan):
        self.plan, self.config = plan, plan.config
        self.largest = cache(self._largest)

    def _largest(self, dataset: str, part: str) -> tuple[float, int]:
        """Return millions of values of the largest image of a part, and the bytes of a value."""
        if known := self.plan.headers(dataset):
            headers = [known[name] for name in self.plan.parts(dataset)[part]]
            most = max(header.height * header.width * header.channels for header in headers)
            return most / 1e6, (headers[0].bits or 8) // 8
        files, enlarged = self.plan.files(self.plan.targets(dataset), dataset, part), 1
        if not self.plan.has_targets(dataset):
            files = self.plan.files(self.plan.inputs(dataset), dataset, part)
            enlarged = self.plan.input_scale(dataset) ** 2
        values, width = 0.0, 1
        for file in files[:: max(1, len(files) // HEADERS)]:
            try:
                header = self.config.datasets[dataset].header(file)
            except InputError:  # the job that reads it says what is wrong
                continue
            values = max(values, header.height * header.width * header.channels / 1e6)
            width = max(width, (header.bits or 8) // 8)
        return enlarged * values or 3 * UNKNOWN, width

    def ingest(self, dataset: str, part: str) -> int:
        """Ingest: an image and its input, and one of them once more, channel by channel."""
        values, width = self.largest(dataset, part)
        scale = self.plan.input_scale(dataset)
        images = values * width * (2 + self.plan.has_inputs(dataset) / scale**2)
        made = self.plan.makes_inputs(dataset)
        return _megabytes(PYTHON, images + made * 24 * values)  # degraded in float64

    def predict(self, dataset: str, model: str, part: str) -> int:
        """Predict: an image as read, and channel by channel; whole images in float64, where a function makes them."""
        if self.plan.network(model):
            return NETWORK
        values, width = self.largest(dataset, part)
        read = bool(self.plan.predictions(dataset, model))
        return _megabytes(PYTHON, values * (2 * width if read else 100))

    def partition(self, experiment: str, threads: int) -> int:
        """Partition: in each thread, two chunks of the target and of each prediction, and what is counted."""
        section = self.config.experiments[experiment]
        parts = self.plan.parts(section.reference)
        width = max(self.largest(section.reference, part)[1] for part in parts)
        return _megabytes(COMPILED, threads * 2 * CHUNK * width * (1 + len(section.models)) + 80)

    def fuse(self, experiment: str, dataset: str, method: str, part: str) -> int:
        """Fuse: a few chunks, or whole images in float64 where a method needs them."""
        section = self.config.experiments[experiment]
        options = section.methods[method]
        values, width = self.largest(dataset, part)
        models = len(section.models)
        if options.network(f"{experiment}/{method}", self.plan.networks):
            return NETWORK
        if options.pointwise:
            process = COMPILED if options.made == "fit" else PYTHON
            return _megabytes(process, 3 * CHUNK * width * models + 9 * min(CHUNK, values) + 40)
        return _megabytes(PYTHON, (20 + width * models) * values + 2 * CHUNK * width * models)

    def score(self, experiment: str, dataset: str, part: str) -> int:
        """Score: two chunks of the target and of the result, and some rows; for some metrics whole images."""
        values, width = self.largest(dataset, part)
        metrics = self.config.experiments[experiment].score.metrics.items()
        whole = max(
            (
                metric.bytes_per_value
                for name, metric in metrics
                if not hasattr(registry.module("metrics", getattr(metric, "kind", name)), "running")
            ),
            default=0,
        )
        process = COMPILED if whole else PYTHON
        return _megabytes(process, 6 * width * min(CHUNK, values) + 55 + whole * values)

    def write_images(self, dataset: str) -> int:
        """Write images: an image and its file, and two chunks."""
        values, width = max(self.largest(dataset, part) for part in self.plan.parts(dataset))
        return _megabytes(PYTHON, 2 * width * values + 5 * min(CHUNK, values))


def _megabytes(process: float, data: float) -> int:
    """Return the memory of a process and of its data, with a margin."""
    return round(MARGIN * (process + data))
