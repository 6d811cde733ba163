# 9 · FIGURES: what a paper shows, as files, each with its numbers; made when they are asked for
#
# REQUIRED INPUTS
#   what the figure declares: scores, the part with the pictured image and all that was made of it, all parts of the
#   reference or of a test set with the predictions, statistics, the LUT
# OUTPUTS
#   results/figures/{experiment}/{figure}/{dataset|method|dataset/method}.{svg,pdf,png,csv}
#       vector, as wide as a column or the text of a two-column paper; PNG with 300 dpi; the CSV holds what is drawn


def drawn(figure, kind, what):
    """The files of a figure; Snakemake's report shows the SVG, and the numbers unless they are whole pictures."""
    stem, labels = layout.figure("{experiment}", figure, what), {axis: f"{{{axis}}}" for axis in kind.of}
    reported = {
        ending: report(
            stem + ending,
            category="Figures",
            subcategory="{experiment}",
            caption="../report/figure.rst",
            labels={"figure": figure.replace("_", " "), **labels, "shown": shown},
        )
        for ending, shown in ((".svg", "drawing"), (".csv", "numbers"))
        if shown == "drawing" or not kind.whole_pictures
    }
    return [reported.get(ending, stem + ending) for ending in FIGURE_FILES]


for figure, kind in registry.sections("figures").items():
    what = os.path.join(*(f"{{{axis}}}" for axis in kind.of))

    rule:
        name:
            f"draw_{figure}"
        input:
            unpack(reading(lambda w, figure=figure: figure_reads.read(figure, w.experiment, *subject(w)))),
        output:
            drawn(figure, kind, what),
        log:
            layout.log(f"{figure}/{{experiment}}/{what}"),
        benchmark:
            layout.benchmark(f"{figure}/{{experiment}}/{what}")
        conda:
            environment
        threads: 1
        resources:
            mem_mb=growing(4000),
            runtime=60,
        params:
            results_folder=results_folder,
            figure=figure,
            subject=lambda w, figure=figure: figure_reads.subject(figure, w.experiment, *subject(w)),
            made_of=lambda w, figure=figure, what=what: made_of.record(
                layout.figure(w.experiment, figure, what.format(**w)) + FIGURE_FILES[0],
                figure_reads.read(figure, w.experiment, *subject(w)),
            ),
            # how captions are worded reruns nothing: params that depend on the output are not compared
            caption=lambda w, output, figure=figure: figure_reads.caption(figure, w.experiment, *subject(w)),
            source=lambda w, figure=figure: figure_code(figure, experiment_of(w).methods.values()),
        message:
            f"draw the {figure.replace('_', ' ')} of {what.replace('{', '{wildcards.')} in {{wildcards.experiment}}"
        script:
            "../scripts/draw.py"


def subject(wildcards):
    """The test set and the method that a figure is drawn of."""
    return wildcards.get("dataset", ""), wildcards.get("method", "")
