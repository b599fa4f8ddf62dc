"""Measure which part of speech attends to which, for every head."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from headatlas.attention import queries_keys
    from headatlas.base import tables
    from headatlas.studies.attentionviz import key_scaling, parts_of_speech

    path = snakemake.input.queries_keys
    facts = tables.facts(path)
    prompts = key_scaling.prompts_within(facts["prompts"], facts["size"], run.settings["pairs"])
    tokens, tags = (part[:prompts] for part in queries_keys.read_windows(path))
    real = tokens != facts["pad"]
    seen = key_scaling.visible(real, facts["causal"])
    patterns = (
        (layer.member, layer.layer, head, key_scaling.attention(queries, keys, seen, facts["scaling"]))
        for layer in queries_keys.iterate_layers(path, range(prompts))
        for head, (queries, keys) in enumerate(zip(layer.queries, layer.keys, strict=True))
    )
    heads = facts["members"] * facts["layers"] * facts["heads"]
    categories = parts_of_speech.coarse_tags(tags)
    table = parts_of_speech.measure(patterns, categories, real, facts["causal"], total=heads)
    tables.write(run.out.parts_of_speech, table, facts={"prompts": prompts}, provenance=run.provenance)


if "snakemake" in globals():
    main(snakemake)
