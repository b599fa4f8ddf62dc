"""Ablate every member's strongest induction heads, one by one and together, and see which heads take over."""

from headatlas.job import job


@job
def main(snakemake, run):
    from headatlas import asking, backup, families, tables, tokens
    from headatlas.windows import read_windows

    family = families.load_family(snakemake.input.model, snakemake.input.config, run.device(run.settings["threads"]))
    tokenizer = tokens.read_tokenizer(snakemake.input.tokenizer, snakemake.input.tokenizer_config)
    count, seed = run.settings["sequences"], run.settings["seed"]
    asked = asking.of_family(family, tokenizer, trials=count, length=run.settings["length"], seed=seed)
    repeated = backup.repeated_task(asked, family.causal)
    windows = read_windows(snakemake.input.windows)[:count]
    ordinary = backup.ordinary_task(
        windows, family.causal, pad=tokenizer.pad_token_id, mask=tokenizer.mask_token_id, seed=seed
    )
    options = {"count": run.settings["ablated"], "controls": run.settings["controls"], "seed": seed}
    effects, backups = backup.effect_tables(family, repeated, ordinary, **options)
    facts = {"causal": family.causal}
    tables.write(run.out.effects, effects, facts=facts, provenance=run.provenance)
    tables.write(run.out.backups, backups, facts=facts, provenance=run.provenance)


if "snakemake" in globals():
    main(snakemake)
