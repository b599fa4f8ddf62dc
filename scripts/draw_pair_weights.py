"""Fig 6: the weight of every token pair in single patterns, split by cluster."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    import numpy as np

    from headatlas.attention import packing
    from headatlas.base import tables
    from headatlas.plotting import style
    from headatlas.studies.phrenology.figures import clusters

    paths = snakemake.input.patterns
    packed = np.concatenate([packing.first_prompts(path, clusters.SHOWN_PROMPTS) for path in paths])
    facts = tables.facts(paths[0])
    places = packing.places(facts["size"], facts["packing"])
    for protocol in ("published", "corrected"):
        own = tables.read(snakemake.input.clusters, ["cluster"], protocol=protocol)["cluster"].to_numpy()
        names = clusters.names_of(tables.read(snakemake.input.names, protocol=protocol))
        figure = clusters.pair_weights(packed, places, own, names)
        style.save(figure, vars(run.out)[f"{protocol}_png"], vars(run.out)[f"{protocol}_pdf"])


if "snakemake" in globals():
    main(snakemake)
