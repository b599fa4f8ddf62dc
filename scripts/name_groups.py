"""Name kinds and partners by what their heads do beyond chance; a card of every head, and what was found in words."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    import pandas as pd

    from headatlas.base import tables
    from headatlas.data import ngram_baselines
    from headatlas.studies.phrenology.correspondence import findings, names

    files = dict(zip(run.settings["models"], snakemake.input.scores, strict=True))
    scores = pd.concat([tables.read(path).assign(model=model) for model, path in files.items()], ignore_index=True)
    kinds, partners = tables.read(snakemake.input.kinds), tables.read(snakemake.input.partners)
    described = names.describe_all({"kind": kinds.rename(columns={"kind": "group"}), "partner": partners}, scores)
    tables.write(run.out.names, described, provenance=run.provenance)
    clusters = tables.read(snakemake.input.clusters)
    cards = findings.head_cards(kinds, partners, clusters, described, scores)
    tables.write(run.out.cards, cards, provenance=run.provenance)
    cards.to_csv(run.out.csv, index=False, float_format="%.4g")
    plateaus = tables.read(snakemake.input.plateaus, ["kinds", "length", "chosen", "rival"])
    measured = [tables.read(snakemake.input[name]) for name in ("stability", "agreement")]
    facts = tables.facts(snakemake.input.kinds)
    sentences = findings.kinds_sentences(facts, kinds, plateaus, *measured, described)
    sentences += findings.partner_sentences(partners, *measured)
    sentences.append(findings.published_sentence(tables.facts(snakemake.input.clusters)))
    with open(run.out.findings, "w", encoding="utf-8") as file:
        text = "\n".join([sentences[0], "", *(f"- {sentence}" for sentence in sentences[1:]), ""])
        file.write(ngram_baselines.in_findings(text, snakemake.input.judged))


if "snakemake" in globals():
    main(snakemake)
