# What all rules share: the checked configuration, the plan of parts, the paths, and what a job depends on.

import ensir.config_reading
from snakemake.exceptions import WorkflowError

from ensir import InputError
from ensir.layout import Layout
from ensir.plan import Plan
from ensir.provenance import file_digest_of_module, source_digest

layout = Layout("results")
try:
    settings = ensir.config_reading.parse(
        config, ", ".join(map(str, workflow.configfiles)) or "--config", workflow.configfiles
    )
    plan = Plan(settings, layout)
    plan.check()
except InputError as error:
    raise WorkflowError(str(error))

NAME = r"[A-Za-z0-9][A-Za-z0-9_-]*"


wildcard_constraints:
    dataset=NAME,
    model=NAME,
    experiment=NAME,
    method=NAME,
    part="[0-9a-f]{12}",
    shard=r"\d+",


def parts(store, dataset):
    """The parts of a store, in order. They are `ancient`: their digest files tell what changed."""
    return [ancient(f"{store}/{part}") for part in plan.parts(dataset)]


def digests(store, dataset):
    return [layout.digest(f"{store}/{part}") for part in plan.parts(dataset)]


def seal_of(store):
    return f"{store}/zarr.json"


def experiment_of(wildcards):
    return settings.experiments[wildcards.experiment]


def method_of(wildcards):
    return experiment_of(wildcards).methods[wildcards.method]


def shards_of(wildcards):
    stores = [layout.weights(wildcards.experiment, wildcards.method, i) for i in range(settings.compute.shards)]
    return {"shards": [ancient(store) for store in stores], "digests": [layout.digest(store) for store in stores]}


def lut_of(experiment, method):
    """The LUT of a method and its digest; nothing for a method without one."""
    if not settings.experiments[experiment].methods[method].needs_lut:
        return {}
    lut = layout.lut(experiment, method)
    return {"lut": ancient(lut), "lut_digest": layout.digest(lut)}


def result_store(experiment, dataset, method):
    """The store of a method's fused images, or of a base model's predictions."""
    if method in settings.experiments[experiment].models:
        return layout.predictions(dataset, method)
    return layout.fused(experiment, dataset, method)


def sealed_predictions():
    return sorted({seal_of(layout.predictions(d, m)) for _, d, models in plan.used() for m in models})


def tests():
    """Every (experiment, test dataset, method)."""
    return [
        (name, dataset, method)
        for name, experiment in settings.experiments.items()
        for dataset in experiment.tests
        for method in experiment.methods
    ]


def sealed_stores():
    datasets = sorted({seal_of(layout.dataset(d)) for _, d, _ in plan.used()})
    return datasets + sealed_predictions() + [seal_of(layout.fused(*test)) for test in tests()]


def image_folders():
    return [layout.images(*test) for test in tests() if settings.experiments[test[0]].png]


def all_luts():
    return [
        layout.lut(name, method)
        for name, experiment in settings.experiments.items()
        for method in experiment.methods
        if experiment.methods[method].needs_lut
    ]
