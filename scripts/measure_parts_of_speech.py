"""Measure which part of speech attends to which, for every head."""

from headatlas.job import job


@job
def main(snakemake, run):
    from headatlas import parts_of_speech, queries_keys, scaling, tables

    path = snakemake.input.queries_keys
    facts = tables.facts(path)
    prompts = scaling.prompts_within(facts["prompts"], facts["size"], run.settings["pairs"])
    tokens, tags = (part[:prompts] for part in queries_keys.read_windows(path))
    real = tokens != facts["pad"]
    seen = scaling.visible(real, facts["causal"])
    patterns = (
        (layer.member, layer.layer, head, scaling.attention(queries, keys, seen, facts["scaling"]))
        for layer in queries_keys.iterate_layers(path, range(prompts))
        for head, (queries, keys) in enumerate(zip(layer.queries, layer.keys, strict=True))
    )
    heads = facts["members"] * facts["layers"] * facts["heads"]
    categories = parts_of_speech.coarse_tags(tags)
    table = parts_of_speech.measure(patterns, categories, real, facts["causal"], total=heads)
    tables.write(run.out.parts_of_speech, table, facts={"prompts": prompts}, provenance=run.provenance)


if "snakemake" in globals():
    main(snakemake)
