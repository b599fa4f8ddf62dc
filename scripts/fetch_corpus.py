"""Read a corpus from wherever it comes and write its passages."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    import sys

    from headatlas.base import tables
    from headatlas.data import corpora

    key = f"corpora.{snakemake.wildcards.corpus}"
    columns = corpora.load_corpus(run.settings["corpus"], run.mirror, run.downloads, run.temporary, key)
    print("corpus:", corpora.describe_corpus(columns), file=sys.stderr)
    tables.write(run.out.documents, columns, provenance=run.provenance)


if "snakemake" in globals():
    main(snakemake)
