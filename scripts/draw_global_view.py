"""All heads at once: a small joint map of each."""

from headatlas.job import job


@job
def main(snakemake, run):
    from headatlas import tables
    from headatlas.figures import attentionviz, style

    maps, table = tables.read(snakemake.input.maps), tables.read(snakemake.input.constructions)
    style.save(attentionviz.global_view(maps, table, snakemake.wildcards.colour), run.out.png, run.out.pdf)


if "snakemake" in globals():
    main(snakemake)
