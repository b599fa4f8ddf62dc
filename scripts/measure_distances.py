"""Measure how far apart the attention patterns of all heads of a study lie."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    import torch

    from headatlas.attention import patterns
    from headatlas.base import tables
    from headatlas.studies.phrenology import head_distances

    torch.set_num_threads(run.settings["threads"])
    paths = dict(zip(run.settings["models"], snakemake.input.patterns, strict=True))
    heads, packed, size, packing = patterns.read_models(paths)
    real = tables.read_lists(snakemake.input.windows, "tokens") != tables.facts(snakemake.input.windows)["pad"]
    columns = {name: heads[name].to_numpy() for name in heads}
    columns["euclidean"] = head_distances.euclidean(packed)
    columns["jensen_shannon"] = head_distances.jensen_shannon(packed, size, packing, weights=real)
    tables.write(run.out.distances, columns, provenance=run.provenance)


if "snakemake" in globals():
    main(snakemake)
