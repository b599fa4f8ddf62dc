"""The page that says how many clusters stand, and which do not."""

from headatlas.job import job


@job
def main(snakemake, run):
    from headatlas import tables
    from headatlas.figures import clusters, judgement, style

    nulls = tables.read(snakemake.input.nulls, protocol="corrected")
    draws = tables.read(snakemake.input.draws, protocol="corrected")
    names = clusters.names_of(tables.read(snakemake.input.names, protocol="corrected"))
    standing, facts = tables.read(snakemake.input.standing), tables.facts(snakemake.input.standing)
    figure = judgement.clusters_stand(nulls, draws, standing, names, facts["sentence"])
    style.save(figure, run.out.png, run.out.pdf)


if "snakemake" in globals():
    main(snakemake)
