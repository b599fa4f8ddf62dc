"""Write the card by which the folder of results is a data set of the Hugging Face Hub."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from pathlib import Path

    from headatlas.atlas import dataset_card
    from headatlas.atlas.results import Results

    results = Results(Path(snakemake.input.reproduction).parent, snakemake.input)
    Path(run.out.card).write_text(dataset_card.card(results, run.settings["about"]), encoding="utf-8")


if "snakemake" in globals():
    main(snakemake)
