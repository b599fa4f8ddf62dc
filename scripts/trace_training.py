"""Trace the birth of induction heads: scores at every snapshot of a training."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from headatlas.base import tables
    from headatlas.data import tokenizer_reading
    from headatlas.data.windows import read_windows
    from headatlas.models import families
    from headatlas.studies.induction import repeated_token_setup, training_dynamics

    device = run.device(run.settings["threads"])
    family = families.load_family(snakemake.input.snapshots, snakemake.input.described, device)
    tokenizer = tokenizer_reading.read_tokenizer(snakemake.input.tokenizer, snakemake.input.tokenizer_config)
    count, seed = run.settings["sequences"], run.settings["seed"]
    asked = repeated_token_setup.of_family(family, tokenizer, trials=count, length=run.settings["length"], seed=seed)
    windows = read_windows(snakemake.input.evaluation)
    sizes = {name: run.settings[name] for name in ("short", "long")}
    table = training_dynamics.trace(family, asked, windows, mask=tokenizer.mask_token_id, seed=seed, **sizes)
    tables.write(run.out.dynamics, table, facts={"causal": family.causal, **sizes}, provenance=run.provenance)


if "snakemake" in globals():
    main(snakemake)
