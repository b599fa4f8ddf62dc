"""Measure attention on random repeated tokens: the induction maps, several masks at once, words and pieces."""

from headatlas.job import job


@job
def main(snakemake, run):
    from headatlas import asking, families, repeats, tables, tokens

    family = families.load_family(snakemake.input.model, snakemake.input.config, run.device(run.settings["threads"]))
    tokenizer = tokens.read_tokenizer(snakemake.input.tokenizer, snakemake.input.tokenizer_config)
    sizes = {name: run.settings[name] for name in ("trials", "length", "seed")}
    asked = asking.of_family(family, tokenizer, **sizes)
    facts = {"causal": family.causal, "trials": asking.shown(asked, family.causal, tokenizer)}
    maps = repeats.map_table(family, asked)
    tables.write(run.out.maps, maps, facts=facts, provenance=run.provenance)
    conditions = repeats.condition_table(family, asked, asking.continuations(tokenizer))
    schema = {"condition": "string", "level": "string", "reading": "string"}
    tables.write(
        run.out.conditions, conditions, facts={"causal": family.causal}, provenance=run.provenance, schema=schema
    )


if "snakemake" in globals():
    main(snakemake)
