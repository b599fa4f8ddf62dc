"""Measure how far apart the attention patterns of all heads of a study lie, on all prompts and on parts of them."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    import torch

    from headatlas.attention.pattern_streams import PatternStream
    from headatlas.base import tables
    from headatlas.studies.phrenology import head_distances, head_tables, parts_of

    torch.set_num_threads(run.settings["threads"])
    paths = dict(zip(run.settings["models"], snakemake.input.patterns, strict=True))
    packed = PatternStream(paths)
    heads = packed.heads
    real = tables.read_lists(snakemake.input.windows, "tokens") != tables.facts(snakemake.input.windows)["pad"]
    count = parts_of(*packed.shape[:2])
    parts = head_distances.jensen_shannon(packed, packed.size, packed.packing, weights=real, parts=count)
    columns = {name: heads[name].to_numpy() for name in heads}
    columns["euclidean"] = head_distances.euclidean(packed)
    columns["jensen_shannon"] = parts.mean(0)
    tables.write(run.out.distances, columns, provenance=run.provenance)
    tables.write(run.out.parts, head_tables.part_columns(heads, parts), provenance=run.provenance)


if "snakemake" in globals():
    main(snakemake)
