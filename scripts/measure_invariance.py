"""Measure how much attention changes when queries and keys are scaled or translated."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from headatlas.attention import queries_keys
    from headatlas.base import tables
    from headatlas.studies.attentionviz import key_scaling

    path = snakemake.input.queries_keys
    facts = tables.facts(path)
    prompts = key_scaling.prompts_within(facts["prompts"], facts["size"], run.settings["pairs"])
    seen = key_scaling.visible(queries_keys.read_windows(path)[0][:prompts] != facts["pad"], facts["causal"])
    layers = queries_keys.iterate_layers(path, range(prompts))
    table = key_scaling.invariances(layers, seen, facts["scaling"])
    tables.write(run.out.invariance, table, provenance=run.provenance)


if "snakemake" in globals():
    main(snakemake)
