"""Decompose the heads of a study into principal components, as maps of the first prompts."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    import numpy as np

    from headatlas.attention.pattern_streams import PatternStream
    from headatlas.base import tables
    from headatlas.studies.phrenology import projections

    paths = dict(zip(run.settings["models"], snakemake.input.patterns, strict=True))
    packed = PatternStream(paths)
    weights, ratios = projections.components(packed)
    component, prompt = np.indices(weights.shape[:2], dtype=np.int32).reshape(2, -1)
    columns = {"component": component, "prompt": prompt, "weights": weights.reshape(len(prompt), -1)}
    facts = {"packing": packed.packing, "size": packed.size, "explained_variance_ratio": ratios.tolist()}
    tables.write(run.out.components, columns, facts=facts, provenance=run.provenance)


if "snakemake" in globals():
    main(snakemake)
