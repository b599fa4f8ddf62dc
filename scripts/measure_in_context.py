"""Measure in-context learning: losses in a short and in a long context, and the curve between them."""

from headatlas.job import job


@job
def main(snakemake, run):
    from headatlas import asking, families, in_context, tables, tokens

    family = families.load_family(snakemake.input.model, snakemake.input.config, run.device(run.settings["threads"]))
    tokenizer = tokens.read_tokenizer(snakemake.input.tokenizer, snakemake.input.tokenizer_config)
    documents = tables.read(snakemake.input.documents, ["document", "split", "text"])
    short, long, seed = (run.settings[name] for name in ("short", "long", "seed"))
    texts = in_context.read_texts(documents, tokenizer, long=long, count=run.settings["texts"], seed=seed)
    around = asking.frame(family, tokenizer)
    pairs, curve = in_context.score_table(family, texts, short=short, mask=tokenizer.mask_token_id, seed=seed, **around)
    facts = {"short": short, "long": long, "causal": family.causal}
    facts |= {"texts": len(texts.tokens), "skipped": texts.skipped}
    tables.write(run.out.pairs, pairs, facts=facts, provenance=run.provenance)
    tables.write(run.out.curve, curve, facts=facts, provenance=run.provenance)


if "snakemake" in globals():
    main(snakemake)
