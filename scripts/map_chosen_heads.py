"""Map the queries and keys of the chosen heads at six constants, and relate their distances to dot products."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    import pandas as pd

    from headatlas.attention import queries_keys
    from headatlas.base import tables
    from headatlas.studies.attentionviz import embedding_variants, key_scaling, parts_of_speech

    settings, path = run.settings, snakemake.input.queries_keys
    facts, scales = tables.facts(path), tables.read(snakemake.input.scales)
    prompts = min(key_scaling.prompts_within(facts["prompts"], facts["size"], settings["pairs"]), settings["sentences"])
    tokens, tags = (None if part is None else part[:prompts] for part in queries_keys.read_windows(path))
    real = tokens != facts["pad"]
    how = {name: settings[name] for name in ("method", "epochs", "seed")}
    parts = []
    for identity in embedding_variants.chosen_heads(settings["heads"], facts):
        member, layer, head = identity
        _, _, queries, keys = next(queries_keys.iterate_layers(path, range(prompts), member=member, layer=layer))
        given = (queries[head], keys[head], real, facts["causal"], scales, identity)
        maps, quality = embedding_variants.scaled_maps(*given, **how)
        parts.append((maps, quality, embedding_variants.relation(*given, seed=settings["seed"])))
    maps, quality, relation = (pd.concat(part, ignore_index=True) for part in zip(*parts, strict=True))
    maps = embedding_variants.annotate(maps, tokens, real, None if tags is None else parts_of_speech.coarse_tags(tags))
    tables.write(run.out.maps, maps, facts={"method": settings["method"]}, provenance=run.provenance)
    tables.write(run.out.quality, quality, provenance=run.provenance)
    tables.write(run.out.relation, relation, provenance=run.provenance)


if "snakemake" in globals():
    main(snakemake)
