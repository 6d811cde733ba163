# What all rules share: the checked configuration, the plan, and how a job is told what it reads; see ensir.planning.reads.

import gc
import json
import os
import shlex
import sys
from functools import cache

from snakemake.exceptions import WorkflowError
from snakemake.io import sourcecache_entry
from snakemake.settings.types import RerunTrigger

from ensir import registry
from ensir.errors import InputError
from ensir.execution import workflow_files
from ensir.networks.shipped import SHIPPED_DAES
from ensir.planning import check, jobs
from ensir.planning.code import figure_code, functions_code, stage_code
from ensir.planning.figure_reads import FigureReads
from ensir.planning.lost import Lost
from ensir.planning.made_of import MadeOf
from ensir.planning.memory import Memory
from ensir.planning.reads import Read, Reads
from ensir.planning.report_reads import ReportReads
from ensir.planning.targets import FIGURE_FILES
from ensir.report.opening import COMMAND
from ensir.storage import formats
from ensir.storage.digests import sha256
from ensir.storage.provenance import installed_digest, templates_digest
from ensir.storage.shared import SharedStore

# Nearly all that planning makes is kept: Python would spend a fifth of the time looking for garbage among it.
gc.set_threshold(100_000)

# Of a module with a `prefix`, the results folder is below it. Snakemake alone would prepend it to the paths of the user's
# files as well, and not to those in params. The configuration of a module is part of another file.
modifier = workflow.modifier
modifier.path_modifier.skip_properties.update(["input", "output", "log", "benchmark"])
config_files = [] if modifier.namespace else workflow.configfiles
try:
    plan = check.plan(
        config,
        ", ".join(map(str, config_files)) or "config",
        config_files,
        modifier.path_modifier.prefix or "",
    )
except InputError as error:
    raise WorkflowError(str(error))
settings, layout = plan.config, plan.layout
reads = Reads(plan)
figure_reads = FigureReads(reads)
report_reads = ReportReads(reads)
made_of = MadeOf(reads)
lost = Lost(
    reads,
    lambda results: workflow.persistence._filter_incomplete_keys(results),
    lambda result: workflow.persistence._read_record(result),
)
memory = Memory(plan)

# With --sdm conda, an environment holds the libraries; the package itself is the one that plans. Where that is installed
# in the environment of Snakemake, jobs find it there.
environment = workflow.source_path(f"../../envs/{'gpu' if settings.compute.device == 'cuda' else 'cpu'}.yaml")
if source := workflow_files.source_folder():
    os.environ.update(PYTHONPATH=os.pathsep.join(filter(None, [str(source), os.getenv("PYTHONPATH")])))

# The page tells how the run was started; jobs of this process inherit it.
os.environ.setdefault(COMMAND, shlex.join(["snakemake", *sys.argv[1:]]))

# What Snakemake calls the weights that ship with the package, wherever they are: their names and digests.
shipped = {path: f"{name} {sha256(path)}" for name, path in SHIPPED_DAES.items()}

# With `--cache`, results of the expensive rules are shared between working directories.
caching = workflow.workflow_settings.cache is not None and "SNAKEMAKE_OUTPUT_CACHE" in os.environ
NAME = r"[A-Za-z0-9][A-Za-z0-9_-]*"
NOTHING = "(?!)"  # a pattern that matches no name


wildcard_constraints:
    dataset=NAME,
    denoiser=NAME,
    refiner=rf"{NAME}(?:/{NAME})?",
    model=NAME,
    experiment=NAME,
    method=NAME,
    statistics=NAME,
    part="[0-9a-f]{12}",
    shard=r"\d+",
    level=r"\d+",
    target=NAME,


def growing(megabytes):
    """The memory of a job: where it is started anew, it gets more."""
    return lambda wildcards, attempt: megabytes * attempt


def reading(read):
    """The input of a rule: results and files of the user's are `ancient`, for digests and records tell what changed.

    Where planning does not know that, as it would take too long, a job compares files first, and all is planned after it.
    """

    def inputs(wildcards):
        let_content_decide()
        if workflow.is_main_process and made_of.is_unknown():
            checkpoints.renew_sources.get()
        found = read(wildcards)
        results = {name: old(paths) for name, paths in found.results.items()}
        sources = {name: list(map(source_file, paths)) for name, paths in found.sources.items()}
        digests = [layout.digest(path) for path in found.paths()]
        return {**results, "digests": digests, **found.files, **sources}

    return inputs


def collected(target, files):
    """The input of a target: what is lost of what it is made of is made again first, and all is planned after that.

    Snakemake alone does not see that a result is missing whose descendants are there, or a file in a folder; and what it
    makes counts as changed until all is planned again, whatever its content.
    """

    def inputs(wildcards):
        let_content_decide()
        if workflow.is_main_process and (levels := lost.levels(target, files)):
            workflow.dag.forcefiles.update(result for level in levels for result in level)
            checkpoints.repair.get(target=target, level=len(levels) - 1)
        return files

    return inputs


def to_repair(wildcards):
    """What is lost of a target and needs nothing else that is, once what it needs is there again."""
    if not workflow.is_main_process:
        return []
    if level := int(wildcards.level):
        checkpoints.repair.get(target=wildcards.target, level=level - 1)
    return lost.levels(wildcards.target)[level]


@cache
def let_content_decide():
    """Not dates: params hold digests of the code, and inputs up to a gigabyte are compared by content.

    Whatever the profile says. Snakemake knows its own settings when it asks for the first inputs, not before.
    """
    workflow.dag_settings.rerun_triggers = set(workflow.rerun_triggers) - {RerunTrigger.CODE}
    workflow.dag.max_checksum_file_size = max(workflow.dag.max_checksum_file_size, 10**9)


def source_file(path):
    """A file of the user's or of the package; where the package is installed reruns nothing, but its content does."""
    if path.startswith(f"{layout.root}/"):
        return path  # made by another job
    return sourcecache_entry(ancient(path), shipped[path]) if path in shipped else ancient(path)


def old(paths):
    return ancient(paths) if isinstance(paths, str) else [ancient(path) for path in paths]


def results_folder(wildcards, output):
    """Another folder alone reruns nothing: params that depend on the output are not compared."""
    return layout.root


def dask_settings():
    """A resource, as no result depends on them."""
    return json.dumps({**settings.dask.model_dump(), "logs": layout.worker_logs})


@cache
def results_to_record():
    return jobs.digested(reads)


def what_is_recorded(wildcards):
    """Provenance: the digests of all results, once there are scores."""
    digests = [layout.digest(result) for result in results_to_record()]
    return Read(files={"scores": layout.all_scores, "of_results": digests})


def experiment_of(wildcards):
    return settings.experiments[wildcards.experiment]


def method_of(wildcards):
    return reads.method(wildcards.experiment, wildcards.method)


def network_threads():
    """Predict, fuse: on one machine, two networks share the cores; a job of a cluster has its own."""
    alone = workflow.non_local_exec or workflow.remote_exec
    return max(1, min(4, (workflow.cores or 1) // (1 if alone else 2)))


def identity(wildcards, input):
    """What Snakemake's hash of a cached job leaves out: its names, which file is which, and the installed versions."""
    if not caching:
        return None  # caching or not reruns nothing: params that depend on the input are not compared
    files = [file for file in map(str, input) if not file.startswith(f"{layout.root}/")]
    return [dict(wildcards.items()), [sha256(file) for file in files], installed_digest()]


def shared_dataset(wildcards, output):
    """Adopt dataset: where the store is. It reruns nothing: params that depend on the output are not compared."""
    return settings.datasets[wildcards.dataset].shared(f"datasets.{wildcards.dataset}")


def published(wildcards):
    """Seal: of a dataset, the digest of the shared store that it was copied from; else nothing."""
    is_dataset = list(wildcards.keys()) == ["dataset"]
    return (
        settings.datasets[wildcards.dataset].digest if is_dataset and plan.index(wildcards.dataset) else None
    )


def adopted_identity(wildcards, input):
    """Adopt: the same, and which store is there: the one thing that planning asks of a URL, and with --cache alone."""
    store = caching and shared_digest(plan.shared(wildcards.dataset, wildcards.model)["location"])
    return [identity(wildcards, input), store]


@cache
def shared_digest(location):
    return SharedStore(location).digest
