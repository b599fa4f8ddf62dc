"""Figs 3 and 4: joint maps of an early and a later head at six constants."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from headatlas.base import tables
    from headatlas.plotting import style
    from headatlas.studies.attentionviz.figures import joint_embeddings

    maps, quality = tables.read(snakemake.input.maps), tables.read(snakemake.input.quality)
    place = int(snakemake.wildcards.figure == "fig04_late_head")
    for protocol in ("published", "corrected"):
        figure = joint_embeddings.scaled_embeddings(maps, quality, protocol, place)
        style.save(figure, getattr(run.out, f"{protocol}_png"), getattr(run.out, f"{protocol}_pdf"))


if "snakemake" in globals():
    main(snakemake)
