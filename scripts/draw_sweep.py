"""Fig 2: losses and accuracies of all runs by epoch; corrected, with floors and what each parameter does."""

from headatlas.job import job


@job
def main(snakemake, run):
    from headatlas import sweep_report, tables
    from headatlas.figures import circuits, style

    table, axes = tables.read(snakemake.input.sweep), run.settings["axes"]
    ended = sweep_report.in_grid(sweep_report.outcomes(table), axes)
    style.save(circuits.sweep(table, ended, axes, "published"), run.out.published_png, run.out.published_pdf)
    style.save(circuits.sweep(table, ended, axes, "corrected"), run.out.corrected_png, run.out.corrected_pdf)


if "snakemake" in globals():
    main(snakemake)
