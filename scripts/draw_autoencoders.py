"""Table 1: what autoencoders of every width cost and leave, as published and held out; as CSV and on paper."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from headatlas.base import tables
    from headatlas.plotting import style
    from headatlas.studies.phrenology.figures import autoencoders

    table = tables.read(snakemake.input.autoencoders)
    for protocol in ("published", "corrected"):
        own = table[table["protocol"] == protocol]
        rows = autoencoders.table1(table, protocol)
        rows.to_csv(vars(run.out)[f"{protocol}_csv"], index=False, float_format="%.6g")
        seeds = own.loc[own["method"] == "autoencoder", "seed"].nunique()
        figure = autoencoders.draw_table1(rows, protocol, seeds, int(own["observations"].min()))
        style.save(figure, vars(run.out)[f"{protocol}_png"], vars(run.out)[f"{protocol}_pdf"])


if "snakemake" in globals():
    main(snakemake)
