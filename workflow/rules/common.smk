# What all rules share: the checked configuration, the plan, and how a job is told what it reads; see ensir.planning.reads.

import os
from functools import cache

from snakemake.exceptions import WorkflowError

from ensir import registry
from ensir.errors import InputError
from ensir.planning import check
from ensir.planning.code import figure_code, functions_code, stage_code
from ensir.planning.made_of import MadeOf
from ensir.planning.reads import Reads
from ensir.planning.targets import FIGURE_FILES
from ensir.storage.digests import sha256
from ensir.storage.layout import Layout
from ensir.storage.reading import FUSED_FORMAT_VERSION
from ensir.storage.provenance import installed_digest, source_digest, templates_digest
from ensir.storage.shared import SharedStore

layout = Layout("results")
try:
    plan = check.plan(
        config,
        ", ".join(map(str, workflow.configfiles)) or "--config",
        workflow.configfiles,
        layout,
    )
except InputError as error:
    raise WorkflowError(str(error))
settings = plan.config
reads = Reads(plan)
made_of = MadeOf(reads)

# With --sdm conda, an environment holds the libraries; the package itself comes from this repository.
environment = workflow.source_path(f"../../envs/{'gpu' if settings.compute.device == 'cuda' else 'cpu'}.yaml")
source_folders = [os.path.join(workflow.basedir, "src"), os.getenv("PYTHONPATH")]
os.environ.update(PYTHONPATH=os.pathsep.join(filter(None, source_folders)))

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


def growing(megabytes):
    """The memory of a job: where it is started anew, it gets more."""
    return lambda wildcards, attempt: megabytes * attempt


def reading(read):
    """The input of a rule: results and files of the user's are `ancient`, for digests and records tell what changed."""

    def inputs(wildcards):
        found = read(wildcards)
        results = {name: old(paths) for name, paths in found.results.items()}
        sources = {
            name: [path if path.startswith(f"{layout.root}/") else ancient(path) for path in paths]
            for name, paths in found.sources.items()
        }
        digests = [layout.digest(path) for path in found.paths()]
        return {**results, "digests": digests, **found.files, **sources}

    return inputs


def old(paths):
    return ancient(paths) if isinstance(paths, str) else [ancient(path) for path in paths]


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


def adopted_identity(wildcards, input):
    """Adopt: the same, and which store is there: the one thing that planning asks of a URL, and with --cache alone."""
    store = caching and shared_digest(plan.shared(wildcards.dataset, wildcards.model)["location"])
    return [identity(wildcards, input), store]


@cache
def shared_digest(location):
    return SharedStore(location).digest
