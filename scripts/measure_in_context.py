"""Measure in-context learning: losses in a short and in a long context, and the curve between them."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from headatlas.base import tables
    from headatlas.data import tokenizer_reading
    from headatlas.models import families
    from headatlas.studies.induction import in_context_learning, repeated_token_setup

    family = families.load_family(snakemake.input.model, snakemake.input.config, run.device(run.settings["threads"]))
    tokenizer = tokenizer_reading.read_tokenizer(snakemake.input.tokenizer, snakemake.input.tokenizer_config)
    documents = tables.read(snakemake.input.documents, ["document", "split", "text"])
    short, long, seed = (run.settings[name] for name in ("short", "long", "seed"))
    texts = in_context_learning.read_texts(
        documents,
        tokenizer,
        long=long,
        count=run.settings["texts"],
        seed=seed,
        corpus=f"corpora.{run.settings['corpus']}",
        key="studies.induction.long",
    )
    around = repeated_token_setup.frame(family, tokenizer)
    pairs, curve = in_context_learning.score_table(
        family, texts, short=short, mask=tokenizer.mask_token_id, seed=seed, **around
    )
    facts = {"short": short, "long": long, "causal": family.causal}
    facts |= {"texts": len(texts.tokens), "skipped": texts.skipped, "across": texts.across}
    tables.write(run.out.pairs, pairs, facts=facts, provenance=run.provenance)
    tables.write(run.out.curve, curve, facts=facts, provenance=run.provenance)


if "snakemake" in globals():
    main(snakemake)
