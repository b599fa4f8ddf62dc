"""Fig 14: heads placed by what knocking them out does, coloured by their cluster."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from headatlas.base import tables
    from headatlas.plotting import style
    from headatlas.studies.phrenology.figures import knockouts

    columns = ["model", "member", "layer", "head", *knockouts.COMPONENTS]
    table, facts = tables.read(snakemake.input.knockouts, columns), tables.facts(snakemake.input.knockouts)
    for protocol in ("published", "corrected"):
        clusters = tables.read(snakemake.input.clusters, protocol=protocol)
        figure = knockouts.effects(table.merge(clusters), facts, protocol)
        png, pdf = getattr(run.out, f"{protocol}_png"), getattr(run.out, f"{protocol}_pdf")
        style.save(figure, png, pdf)


if "snakemake" in globals():
    main(snakemake)
