"""Ablate every member's induction heads, one by one and together, and see which heads take over."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from dataclasses import replace

    from headatlas.base import tables
    from headatlas.data import tokenizer_reading
    from headatlas.data.windows import read_windows
    from headatlas.models import families
    from headatlas.studies.induction import repeated_token_setup, self_repair

    family = families.load_family(snakemake.input.model, snakemake.input.config, run.device(run.settings["threads"]))
    tokenizer = tokenizer_reading.read_tokenizer(snakemake.input.tokenizer, snakemake.input.tokenizer_config)
    count, seed = run.settings["sequences"], run.settings["seed"]
    asked = repeated_token_setup.of_family(family, tokenizer, trials=count, length=run.settings["length"], seed=seed)
    repeated = self_repair.repeated_task(asked, family.causal)
    choosing = self_repair.repeated_task(replace(asked, seed=seed + 1), family.causal)  # other sequences
    windows = read_windows(snakemake.input.windows)[:count]
    ordinary = self_repair.ordinary_task(
        windows, family.causal, pad=tokenizer.pad_token_id, mask=tokenizer.mask_token_id, seed=seed
    )
    options = {"count": run.settings["ablated"], "controls": run.settings["controls"], "seed": seed}
    effects, backups = self_repair.effect_tables(family, choosing, repeated, ordinary, **options)
    facts = {"causal": family.causal}
    options = {"facts": facts, "provenance": run.provenance}
    tables.write(run.out.effects, effects, schema=self_repair.EFFECTS, **options)
    tables.write(run.out.backups, backups, schema=self_repair.BACKUPS, **options)


if "snakemake" in globals():
    main(snakemake)
