"""Write the atlas as a page and scripts beside it, each loaded when the head in it is looked at."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from pathlib import Path

    from headatlas.atlas import page
    from headatlas.atlas.results import Results

    results, pieces = Results(Path(snakemake.input.reproduction).parent, snakemake.input), {}
    for model, count in run.settings["pieces"].items():
        pieces[model] = [getattr(run.out, f"{model}.{number:03d}") for number in range(count)]
    about, captions = run.settings["about"], run.settings["captions"]
    page.write_folder(run.out.page, pieces, results, run.settings["prompts"], about, captions, snakemake.threads)


if "snakemake" in globals():
    main(snakemake)
