"""Measure how much attention changes when queries and keys are scaled or translated."""

from headatlas.job import job


@job
def main(snakemake, run):
    from headatlas import queries_keys, scaling, tables

    path = snakemake.input.queries_keys
    facts = tables.facts(path)
    prompts = scaling.prompts_within(facts["prompts"], facts["size"], run.settings["pairs"])
    seen = scaling.visible(queries_keys.read_windows(path)[0][:prompts] != facts["pad"], facts["causal"])
    layers = queries_keys.iterate_layers(path, range(prompts))
    table = scaling.invariances(layers, seen, facts["scaling"])
    tables.write(run.out.invariance, table, provenance=run.provenance)


if "snakemake" in globals():
    main(snakemake)
