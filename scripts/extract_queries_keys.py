"""Extract queries and keys of every head over the first analysis windows."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from headatlas.attention import queries_keys
    from headatlas.data.windows import read_tags, read_windows
    from headatlas.models import families

    family = families.load_family(snakemake.input.model, snakemake.input.config, run.device(run.settings["threads"]))
    prompts = slice(run.settings["prompts"])
    windows = read_windows(snakemake.input.windows)[prompts]
    tags = read_tags(snakemake.input.windows)
    chosen = None if tags is None else tags[prompts]
    queries_keys.write(run.out.queries_keys, family, windows, tags=chosen, provenance=run.provenance)


if "snakemake" in globals():
    main(snakemake)
