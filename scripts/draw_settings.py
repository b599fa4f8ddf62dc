"""Table I: settings of the reference work, of the paper and of what was run."""

from headatlas.job import job


@job
def main(snakemake, run):
    from headatlas import sweep_report
    from headatlas.figures import circuits, style

    table = sweep_report.settings_table(run.settings["models"])
    table.to_csv(run.out.csv, index=False)
    style.save(circuits.settings(table), run.out.png, run.out.pdf)


if "snakemake" in globals():
    main(snakemake)
