"""Project all heads of a study, beside three artificial ones, onto planes."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    import pandas as pd

    from headatlas.attention.pattern_streams import PatternStream
    from headatlas.base import tables
    from headatlas.studies.phrenology import projections

    paths = dict(zip(run.settings["models"], snakemake.input.patterns, strict=True))
    packed = PatternStream(paths)
    real = tables.read_lists(snakemake.input.windows, "tokens") != tables.facts(snakemake.input.windows)["pad"]
    found = projections.project(packed, packed.size, packed.packing, seed=run.settings["seed"], real=real)
    artificial = [("artificial", -1, -1, head) for head in range(len(projections.ARTIFICIAL))]
    identity = pd.concat([packed.heads, pd.DataFrame(artificial, columns=packed.heads.columns)], ignore_index=True)
    rows = pd.concat(
        identity.assign(method=method, component_1=points[:, 0], component_2=points[:, 1])
        for method, points in found.coordinates.items()
    )
    facts = {"quality": found.quality, "explained_variance": found.explained_variance.tolist()}
    types = dict.fromkeys(("member", "layer", "head"), "int32")
    tables.write(run.out.projections, rows, facts=facts, provenance=run.provenance, schema=types)


if "snakemake" in globals():
    main(snakemake)
