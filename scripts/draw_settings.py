"""Table I: settings of the reference work, of the paper and of what was run."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from headatlas.plotting import style
    from headatlas.studies.circuits import findings
    from headatlas.studies.circuits.figures import sweep

    table = findings.settings_table(run.settings["models"])
    table.to_csv(run.out.csv, index=False)
    style.save(sweep.settings(table), run.out.png, run.out.pdf)


if "snakemake" in globals():
    main(snakemake)
