"""Fig 1: the token pairs that the embedding is about, and what its values decode to there."""

from headatlas.job import job


@job
def main(snakemake, run):
    from headatlas import tables
    from headatlas.figures import compression, style

    for protocol in ("published", "corrected"):
        importance = tables.read(snakemake.input.importance, protocol=protocol)
        decoded = tables.read(snakemake.input.decoded, protocol=protocol)
        width = tables.facts(snakemake.input[protocol])["width"]
        figure = compression.decoded_pairs(importance, decoded, protocol, width)
        style.save(figure, vars(run.out)[f"{protocol}_png"], vars(run.out)[f"{protocol}_pdf"])


if "snakemake" in globals():
    main(snakemake)
