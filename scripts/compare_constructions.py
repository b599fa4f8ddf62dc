"""Judge every construction and its maps over all heads, and keep the maps of one for the global view."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from headatlas.attention import queries_keys
    from headatlas.base import tables
    from headatlas.studies.attentionviz import embedding_variants, parts_of_speech

    settings, path = run.settings, snakemake.input.queries_keys
    facts, scales = tables.facts(path), tables.read(snakemake.input.scales)
    prompts = min(facts["prompts"], settings["sentences"])
    tokens, tags = (None if part is None else part[:prompts] for part in queries_keys.read_windows(path))
    real = tokens != facts["pad"]
    table, maps = embedding_variants.compare(
        queries_keys.iterate_layers(path, range(prompts)),
        real,
        facts["causal"],
        scales,
        methods=settings["methods"],
        seed=settings["seed"],
        epochs=settings["epochs"],
        total=facts["members"] * facts["layers"] * facts["heads"],
    )
    maps = embedding_variants.annotate(maps, tokens, real, None if tags is None else parts_of_speech.coarse_tags(tags))
    tables.write(run.out.constructions, table, facts={"sentences": prompts}, provenance=run.provenance)
    tables.write(run.out.maps, maps, facts={"sentences": prompts}, provenance=run.provenance)


if "snakemake" in globals():
    main(snakemake)
