"""Measure the loss of unigram and bigram models on the windows a toy family was trained and judged on."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from headatlas.base import tables
    from headatlas.data import ngram_baselines
    from headatlas.data.windows import read_member_windows, read_windows

    facts = tables.facts(snakemake.input.train)
    baselines = ngram_baselines.baselines(
        read_member_windows(snakemake.input.train),
        read_windows(snakemake.input.evaluation),
        facts["vocabulary"],
        facts["pad"],
        causal=run.settings["causal"],
    )
    tables.write(run.out.baselines, baselines, provenance=run.provenance)


if "snakemake" in globals():
    main(snakemake)
