"""Choose the constant that scales queries against keys, for every head by every criterion."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from threadpoolctl import threadpool_limits

    from headatlas.attention import queries_keys
    from headatlas.base import tables
    from headatlas.studies.attentionviz import key_scaling, scale_selection

    settings, path = run.settings, snakemake.input.queries_keys
    facts = tables.facts(path)
    prompts = key_scaling.prompts_within(facts["prompts"], facts["size"], settings["pairs"])
    real = queries_keys.read_windows(path)[0][:prompts] != facts["pad"]
    layers = queries_keys.iterate_layers(path, range(prompts))
    with threadpool_limits(1):
        scores, scales = scale_selection.choose(
            layers,
            real,
            facts["causal"],
            constants=key_scaling.CONSTANTS,
            percentile=settings["percentile"],
            minimum=settings["minimum_pairs"],
            draws=settings["draws"],
            seed=settings["seed"],
            total=facts["members"] * facts["layers"] * facts["heads"],
        )
    tables.write(run.out.scores, scores, facts={"prompts": prompts}, provenance=run.provenance)
    tables.write(run.out.scales, scales, facts={"prompts": prompts}, provenance=run.provenance)


if "snakemake" in globals():
    main(snakemake)
