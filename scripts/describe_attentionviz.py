"""Write what the study of joint embeddings found, in sentences with numbers."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from headatlas.base import tables
    from headatlas.data import ngram_baselines
    from headatlas.studies.attentionviz import findings

    names = ("scales", "constructions", "invariance")
    found, tagged = {}, dict(zip(run.settings["tagged"], snakemake.input.parts_of_speech, strict=True))
    for place, model in enumerate(run.settings["models"]):
        found[model] = {name: tables.read(getattr(snakemake.input, name)[place]) for name in names}
        found[model]["parts_of_speech"] = tables.read(tagged[model]) if model in tagged else None
    with open(run.out.findings, "w", encoding="utf-8") as file:
        file.write(ngram_baselines.in_findings(findings.text(found), snakemake.input.judged))


if "snakemake" in globals():
    main(snakemake)
