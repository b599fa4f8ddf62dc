"""Fig 1: the token pairs that the embedding is about, and what its values decode to there."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from headatlas.base import tables
    from headatlas.plotting import style
    from headatlas.studies.phrenology.figures import autoencoders

    for protocol in ("published", "corrected"):
        importance = tables.read(snakemake.input.importance, protocol=protocol)
        decoded = tables.read(snakemake.input.decoded, protocol=protocol)
        width = tables.facts(snakemake.input[protocol])["width"]
        figure = autoencoders.decoded_pairs(importance, decoded, protocol, width)
        style.save(figure, vars(run.out)[f"{protocol}_png"], vars(run.out)[f"{protocol}_pdf"])


if "snakemake" in globals():
    main(snakemake)
