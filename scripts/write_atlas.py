"""Write the page in which a person walks through the heads of a run."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from pathlib import Path

    from headatlas.atlas import page
    from headatlas.atlas.results import Results

    results = Results(Path(snakemake.input.reproduction).parent, snakemake.input)
    about, captions = run.settings["about"], run.settings["captions"]
    page.write_page(run.out.page, results, about, captions, snakemake.threads)


if "snakemake" in globals():
    main(snakemake)
