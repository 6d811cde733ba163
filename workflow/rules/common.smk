# What all rules share: the checked configuration, the plan of parts, the paths, and what a job depends on.

import os
from functools import cache

import ensir.config_reading
from snakemake.exceptions import WorkflowError

from ensir import InputError
from ensir.digests import sha256
from ensir.garbage import NOT_DIGESTED, needed
from ensir.layout import Layout
from ensir.methods import module_name
from ensir.plan import Plan
from ensir.provenance import file_digest_of_module, installed_digest, source_digest, templates_digest
from ensir.shared import SharedStore

layout = Layout("results")
try:
    settings = ensir.config_reading.parse(
        config,
        ", ".join(map(str, workflow.configfiles)) or "--config",
        workflow.configfiles,
    )
    plan = Plan(settings, layout)
    plan.check()
except InputError as error:
    raise WorkflowError(str(error))

# With --sdm conda, an environment holds the libraries; the package itself comes from this repository.
environment = workflow.source_path(f"../../envs/{'gpu' if settings.compute.device == 'cuda' else 'cpu'}.yaml")
source_folders = [os.path.join(workflow.basedir, "src"), os.getenv("PYTHONPATH")]
os.environ.update(PYTHONPATH=os.pathsep.join(filter(None, source_folders)))

# With `--cache`, results of the expensive rules are shared between working directories.
caching = workflow.workflow_settings.cache is not None and "SNAKEMAKE_OUTPUT_CACHE" in os.environ
FIGURE_FILES = (".svg", ".pdf", ".png", ".csv")
NAME = r"[A-Za-z0-9][A-Za-z0-9_-]*"
NOTHING = "(?!)"  # a pattern that matches no name


wildcard_constraints:
    dataset=NAME,
    denoiser=NAME,
    refiner=rf"{NAME}(?:/{NAME})?",
    model=NAME,
    experiment=NAME,
    method=NAME,
    part="[0-9a-f]{12}",
    shard=r"\d+",


def growing(megabytes):
    """The memory of a job: where it is started anew, it gets more."""
    return lambda wildcards, attempt: megabytes * attempt


# ── parts and digests ────────────────────────────────────────────────────────────────────────────────────────


def parts(store, dataset):
    """The parts of a store, in order. They are `ancient`: their digest files tell what changed."""
    return [ancient(layout.part(store, part)) for part in plan.parts(dataset)]


def digests(store, dataset):
    return [layout.digest(layout.part(store, part)) for part in plan.parts(dataset)]


def experiment_of(wildcards):
    return settings.experiments[wildcards.experiment]


def method_of(wildcards):
    return experiment_of(wildcards).methods[wildcards.method]


def identity(wildcards, input):
    """What Snakemake's hash of a cached job leaves out: its names, which file is which, and the installed versions."""
    if not caching:
        return (
            None  # caching or not reruns nothing: Snakemake does not compare params that depend on the input
        )
    files = [file for file in map(str, input) if not file.startswith(f"{layout.root}/")]
    return [dict(wildcards.items()), [sha256(file) for file in files], installed_digest()]


def adopted_identity(wildcards, input):
    """Adopt: the same, and which store is there: the one thing that planning asks of a URL, and with --cache alone."""
    store = caching and shared_digest(plan.shared(wildcards.dataset, wildcards.model)["location"])
    return [identity(wildcards, input), store]


@cache
def shared_digest(location):
    return SharedStore(location).digest


# ── what each stage reads, in the order of the stages ────────────────────────────────────────────────────────


def shared_models():
    """Adopt: the models whose predictions stand in shared stores."""
    return [model for model, section in settings.models.items() if section.kind == "store"]


def device_of(wildcards):
    """Predict: where a network runs, which shows in no result: a resource, so that a change reruns nothing."""
    return getattr(settings.models[wildcards.model], "device", None) or settings.compute.device


def learned_of(wildcards):
    """Train refiner: all parts of its training set and of what it refines there, and the networks that it looks at."""
    refinement = plan.refiners()[wildcards.refiner]
    name = refinement.settings.training.dataset
    stores = [layout.dataset(name), refinement.store(layout, name)]
    return {
        "dataset": parts(stores[0], name),
        "base": parts(stores[1], name),
        "digests": [digest for store in stores for digest in digests(store, name)],
        "prior": plan.prior_files(wildcards.refiner),
        "perceptual": plan.perceptual(wildcards.refiner),
    }


def refined_of(wildcards):
    """Predict: the part with the predictions that a refiner refines, and its digest."""
    refinement = plan.refiners().get(wildcards.model)
    if refinement is None:
        return {}
    part = layout.part(refinement.store(layout, wildcards.dataset), wildcards.part)
    return {"base": ancient(part), "base_digest": layout.digest(part)}


def refiner_of(wildcards):
    """Fuse: the refiner that a method is; None where it is another."""
    return plan.refiners().get(f"{wildcards.experiment}/{wildcards.method}")


def network_threads():
    """Predict: on one machine, two networks share the cores; a job of a cluster has its own."""
    alone = workflow.non_local_exec or workflow.remote_exec
    return max(1, min(4, (workflow.cores or 1) // (1 if alone else 2)))


def function_digest(model):
    """Predict: a function model depends on the file that it is imported from."""
    function = getattr(settings.models[model], "function", None)
    return file_digest_of_module(function.partition(":")[0]) if function else ""


def reference_of(wildcards):
    """Partition, fit: all parts of the reference, and of each model's predictions for it."""
    return predicted(experiment_of(wildcards).reference, experiment_of(wildcards).models)


def predicted(name, models):
    """Partition, fit, figures: all parts of a dataset, and of each model's predictions for it."""
    dataset, stores = layout.dataset(name), [layout.predictions(name, model) for model in models]
    return {
        "dataset": parts(dataset, name),
        "predictions": [part for store in stores for part in parts(store, name)],
        "digests": [digest for store in [dataset, *stores] for digest in digests(store, name)],
    }


def shards_of(wildcards):
    """Merge: the weights of all shards."""
    stores = [
        layout.weights(wildcards.experiment, wildcards.method, i) for i in range(settings.compute.shards)
    ]
    return {
        "shards": [ancient(store) for store in stores],
        "digests": [layout.digest(store) for store in stores],
    }


def fitted(experiment, method):
    """The LUT or the fit of a method; None where it needs neither."""
    path = {"lut": layout.lut, "fit": layout.fit}.get(settings.experiments[experiment].methods[method].needs)
    return path and path(experiment, method)


def test_part_of(wildcards):
    """Fuse: one part of a test set and of each model's predictions, and the LUT or fit where the method needs one.

    Of a refiner: its network, and what it refines.
    """
    refiner = refiner_of(wildcards)
    if refiner:
        stores = [refiner.store(layout, wildcards.dataset)]
    else:
        stores = [layout.predictions(wildcards.dataset, model) for model in experiment_of(wildcards).models]
    dataset, *predictions = [
        layout.part(store, wildcards.part) for store in [layout.dataset(wildcards.dataset), *stores]
    ]
    read = {
        "dataset": ancient(dataset),
        "predictions": [ancient(part) for part in predictions],
        "digests": [layout.digest(part) for part in [dataset, *predictions]],
    }
    if made := fitted(wildcards.experiment, wildcards.method):
        read |= {"fitted": ancient(made), "fitted_digest": layout.digest(made)}
    if refiner:
        read["network"] = plan.refiner_files(f"{wildcards.experiment}/{wildcards.method}")
    return read


def scored_of(wildcards):
    """Score: one part of a test set, and of a method's fused images or a base model's predictions."""
    if wildcards.method in experiment_of(wildcards).models:
        store = layout.predictions(wildcards.dataset, wildcards.method)
    else:
        store = layout.fused(wildcards.experiment, wildcards.dataset, wildcards.method)
    dataset, result = [
        layout.part(store, wildcards.part) for store in (layout.dataset(wildcards.dataset), store)
    ]
    return {
        "dataset": ancient(dataset),
        "result": ancient(result),
        "digests": [layout.digest(dataset), layout.digest(result)],
    }


def scores_of(experiment, dataset):
    """Summarize, figures: the scores of all base models and methods on one test set."""
    section = settings.experiments[experiment]
    return [
        layout.scores(experiment, dataset, method, part)
        for method in [*section.models, *section.methods]
        for part in plan.parts(dataset)
    ]


def metric_digests(wildcards):
    """Score: own metrics depend on the files that they are imported from."""
    functions = [metric.function for metric in experiment_of(wildcards).score.metrics.values()]
    modules = {function.partition(":")[0] for function in functions} - {"ensir.metrics"}
    return {module: file_digest_of_module(module) for module in sorted(modules)}


def experiment_sections():
    """Report: the sections of all experiments, as plain data; what figures show is no business of the tables."""
    return {
        name: experiment.model_dump(mode="json", exclude={"figures"})
        for name, experiment in settings.experiments.items()
    }


def all_seconds():
    """Summarize: how long fits and fusing took. Times differ from run to run: no store or digest depends on them."""
    found = [layout.fuse_seconds(*test, part) for test in tests() for part in plan.parts(test[1])]
    for name, experiment in settings.experiments.items():
        for method, options in experiment.methods.items():
            if options.needs == "fit":
                found.append(layout.fit_seconds(name, method))
            if options.needs == "lut":
                shards = range(settings.compute.shards)
                found += [layout.estimate_seconds(name, method, shard) for shard in shards]
    return found


def refiner_curves():
    """Report: of each experiment, the curves of the refiners that are trained here."""
    return {
        name: {
            refiner: layout.refiner_curve(refiner)
            for refiner, refinement in plan.refiners_of(name)
            if refinement.settings.training
        }
        for name in settings.experiments
    }


def samples():
    """Report: of each test set, the image that is pictured."""
    return [
        sample(name, dataset)
        for name, experiment in settings.experiments.items()
        for dataset in experiment.tests
    ]


def sample(name, dataset):
    """Report, figures: the image of a test set that is pictured, its part, and all that was made of it."""
    image, part = plan.pictured(name, dataset)
    experiment = settings.experiments[name]
    return {
        "experiment": name,
        "dataset": dataset,
        "image": image,
        "dataset_part": layout.part(layout.dataset(dataset), part),
        "predictions": {m: layout.part(layout.predictions(dataset, m), part) for m in experiment.models},
        "fused": {m: layout.part(layout.fused(name, dataset, m), part) for m in experiment.methods},
        "fitted": {m: fitted(name, m) for m in experiment.methods},
    }


def drawn(figure, what, **labels):
    """Figures: the files of one; Snakemake's report shows the SVG, and the numbers unless they are whole pictures."""
    stem = layout.figure("{experiment}", figure, what)
    reported = {
        ending: report(
            stem + ending,
            category="Figures",
            subcategory="{experiment}",
            caption=f"../report/{figure}.rst",
            labels={"figure": figure.replace("_", " "), **labels, "shown": shown},
        )
        for ending, shown in ((".svg", "drawing"), (".csv", "numbers"))
        if shown == "drawing" or figure not in ("weight_maps", "features")
    }
    return [reported.get(ending, stem + ending) for ending in FIGURE_FILES]


def methods_source(*modules, experiments=None):
    """Figures, report: the code of some modules and of all methods of experiments, which they load by name."""
    kinds = {
        method.kind
        for name in experiments or settings.experiments
        for method in settings.experiments[name].methods.values()
    }
    return source_digest(*modules, *sorted(map(module_name, kinds)))


def weighing(experiment):
    """Figures: the methods whose results are weighted sums."""
    methods = settings.experiments[experiment].methods
    return [name for name, options in methods.items() if options.weighs]


def sampled(sample):
    """Report, figures: all results that a sample names, and their digests."""
    found = [
        sample["dataset_part"],
        *sample["predictions"].values(),
        *sample["fused"].values(),
        *filter(None, sample["fitted"].values()),
    ]
    return {"results": [ancient(path) for path in found], "digests": [layout.digest(path) for path in found]}


def digested():
    """Provenance: every result that has a digest."""
    return sorted(path for path in map(str, needed(plan)) if path.split("/")[1] not in NOT_DIGESTED)


def used_sections():
    """Provenance: what of the configuration the results depend on."""
    return {
        "datasets": {dataset: plan.dataset_settings(dataset) for _, dataset, _ in plan.used()},
        "models": {model: plan.model_settings(model) for _, _, models in plan.used() for model in models},
        "experiments": experiment_sections(),
    }


# ── targets ──────────────────────────────────────────────────────────────────────────────────────────────────


def tests():
    """Every (experiment, test dataset, method)."""
    return [
        (name, dataset, method)
        for name, experiment in settings.experiments.items()
        for dataset in experiment.tests
        for method in experiment.methods
    ]


def sealed_predictions():
    return sorted({layout.seal(layout.predictions(d, m)) for _, d, models in plan.used() for m in models})


def sealed_stores():
    datasets = sorted({layout.seal(layout.dataset(d)) for _, d, _ in plan.used()})
    return datasets + sealed_predictions() + [layout.seal(layout.fused(*test)) for test in tests()]


def image_folders():
    return [layout.images(*test) for test in tests() if settings.experiments[test[0]].png]


def figures():
    """The files of every figure of all experiments, by kind of figure."""
    found = {}
    for name, experiment in settings.experiments.items():
        binned = [method for method, options in experiment.methods.items() if options.needs == "lut"]
        fitted_by_em = [method for method in binned if experiment.methods[method].kind == "ensir"]
        for figure, shown in {
            "weight_maps": experiment.tests if weighing(name) else [],
            "distribution": fitted_by_em,
            "features": experiment.tests,
            "occupancy": binned,
            "convergence": fitted_by_em,
            "gain": experiment.tests,
            "calibration": [f"{dataset}/{method}" for dataset in experiment.tests for method in binned],
        }.items():
            stems = [layout.figure(name, figure, what) for what in shown]
            found.setdefault(figure, []).extend(stem + ending for stem in stems for ending in FIGURE_FILES)
    return found


def all_luts():
    return [
        layout.lut(name, method)
        for name, experiment in settings.experiments.items()
        for method, options in experiment.methods.items()
        if options.needs == "lut"
    ]
