"""The package as a library: what `import ensir` offers works on arrays, without files and stores.

The functions of the stages, and the kinds of methods and metrics, do the work: results are those of the workflow.
"""
