"""Ablate every member's induction heads, one by one and together, and see which heads take over."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from headatlas.base import tables
    from headatlas.data import tokenizer_reading
    from headatlas.data.windows import read_windows
    from headatlas.models import families
    from headatlas.studies.induction import joint_effects, repeated_token_setup, repeated_tokens, self_repair

    family = families.load_family(snakemake.input.model, snakemake.input.config, run.device(run.settings["threads"]))
    tokenizer = tokenizer_reading.read_tokenizer(snakemake.input.tokenizer, snakemake.input.tokenizer_config)
    causal, count, seed = family.causal, run.settings["sequences"], run.settings["seed"]
    heads = repeated_tokens.induction_heads(tables.read(snakemake.input.maps), causal)
    # other sequences than those on which the heads were chosen
    sizes = {"trials": count, "length": run.settings["length"], "seed": seed + 1}
    repeated = self_repair.repeated_task(repeated_token_setup.of_family(family, tokenizer, **sizes), causal)
    windows = read_windows(snakemake.input.windows)[:count]
    special = {"pad": tokenizer.pad_token_id, "mask": tokenizer.mask_token_id}
    ordinary = self_repair.ordinary_task(windows, causal, **special, seed=seed)
    options = {"count": run.settings["ablated"], "seed": seed}
    joint = joint_effects.joint_table(family, heads, repeated, **options)
    options["controls"] = run.settings["controls"]
    effects, backups = self_repair.effect_tables(family, heads, repeated, ordinary, **options)
    options = {"facts": {"causal": causal}, "provenance": run.provenance}
    tables.write(run.out.effects, effects, schema=self_repair.EFFECTS, **options)
    tables.write(run.out.backups, backups, schema=self_repair.BACKUPS, **options)
    tables.write(run.out.joint, joint, schema=joint_effects.COLUMNS, **options)


if "snakemake" in globals():
    main(snakemake)
