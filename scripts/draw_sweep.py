"""Fig 2: losses and accuracies of all runs by epoch; corrected, with baselines and what each parameter does."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from headatlas.base import tables
    from headatlas.plotting import style
    from headatlas.studies.circuits import findings
    from headatlas.studies.circuits.figures import sweep

    table, axes = tables.read(snakemake.input.sweep), run.settings["axes"]
    ended = findings.in_grid(findings.outcomes(table), axes)
    style.save(sweep.sweep(table, ended, axes, "published"), run.out.published_png, run.out.published_pdf)
    style.save(sweep.sweep(table, ended, axes, "corrected"), run.out.corrected_png, run.out.corrected_pdf)


if "snakemake" in globals():
    main(snakemake)
