"""Measure attention on random repeated tokens: the induction maps, several masks at once, words and pieces."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from headatlas.base import tables
    from headatlas.data import tokenizer_reading
    from headatlas.models import families
    from headatlas.studies.induction import repeated_token_setup, repeated_tokens

    family = families.load_family(snakemake.input.model, snakemake.input.config, run.device(run.settings["threads"]))
    tokenizer = tokenizer_reading.read_tokenizer(snakemake.input.tokenizer, snakemake.input.tokenizer_config)
    sizes = {name: run.settings[name] for name in ("trials", "length", "seed")}
    asked = repeated_token_setup.of_family(family, tokenizer, **sizes)
    facts = {"causal": family.causal, "trials": repeated_token_setup.shown(asked, family.causal, tokenizer)}
    maps = repeated_tokens.map_table(family, asked)
    tables.write(run.out.maps, maps, facts=facts, provenance=run.provenance)
    conditions = repeated_tokens.condition_table(family, asked, repeated_token_setup.continuations(tokenizer))
    schema = {"condition": "string", "level": "string", "reading": "string"}
    tables.write(
        run.out.conditions, conditions, facts={"causal": family.causal}, provenance=run.provenance, schema=schema
    )


if "snakemake" in globals():
    main(snakemake)
