"""Hold each figure and table of the four papers against what this run gives."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from headatlas.base import tables
    from headatlas.reproduction import claims, papers

    found = {}
    for study, settings in run.settings["studies"].items():
        read = [tables.read(path) for path in snakemake.input[study]]
        for table, path in zip(read, snakemake.input[study], strict=True):
            table.attrs = tables.facts(path)  # such as how patterns are packed
        found[study] = papers.claims(study, dict(zip(settings["tables"], read, strict=True)), settings["setup"])
    tables.write(run.out.table, claims.columns(found), provenance=run.provenance)
    with open(run.out.page, "w", encoding="utf-8") as file:
        file.write(claims.text(found))


if "snakemake" in globals():
    main(snakemake)
