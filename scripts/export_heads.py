"""Write the heads of a model in the folder layout of HeadVis."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from pathlib import Path

    from headatlas.atlas import headvis
    from headatlas.atlas.results import Results

    headvis.write_archive(
        run.out.archive, Results(Path(snakemake.input.reproduction).parent, snakemake.input), run.settings["model"]
    )


if "snakemake" in globals():
    main(snakemake)
