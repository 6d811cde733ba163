"""`ensir plan`: a dry run in words."""

from __future__ import annotations

from ensir.cli.planned import grouped

PRINTED = """
job        count
-------  -------
seal_dataset    1
partition       1
fuse            2
total           4

Job 1: seal the dataset set5
Reason: Missing output files: a/zarr.json
Job 2: partition the reference ref of sr
Reason: Params have changed since last execution: Parameters [('results/datasets/ref.zarr/4e6436d44548', ['results/a']), …] across all output: before: [('results/datasets/ref.zarr/4e6436d44548', ['results/predictions/ref/CRAFT.zarr/4e64'])] now: [('results/datasets/ref.zarr/4e6436d44548', ['results/predictions/ref/IMDN.zarr/4e64'])]
Job 3: fuse set5 by ensir of sr, part a
Reason: Params have changed since last execution: Parameters across all output: before: 0.1 now: 0.2
Job 4: fuse set5 by ensir of sr, part b
Reason: Input files updated by another job: results/luts/sr/ensir.lut
"""


def test_jobs_are_counted_by_what_they_do_and_why():
    """Values that are long lists say nothing to people."""
    assert grouped(PRINTED) == "\n".join(
        [
            "4 jobs: seal 1, partition 1, fuse 2",
            "why:",
            "  their settings have changed: partition 1",
            "  their settings have changed (before: 0.1 now: 0.2): fuse 1",
            "  they are not there yet: seal 1",
            "  they follow from others: fuse 1",
            "which:",
            "  seal the dataset set5",
            "  partition the reference ref of sr",
            "  fuse set5 by ensir of sr, part a",
            "  fuse set5 by ensir of sr, part b",
        ]
    )
