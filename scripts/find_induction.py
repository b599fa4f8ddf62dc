"""Say in sentences what the study of induction heads found."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from headatlas.base import tables
    from headatlas.data import ngram_baselines
    from headatlas.studies.induction import findings

    given, models = snakemake.input, {}
    for place, model in enumerate(run.settings["models"]):
        paths = {name: given[name][place] for name in ("maps", "conditions", "pairs", "effects", "joint")}
        found = {name: tables.read(path) for name, path in paths.items()}
        models[model] = {
            **found,
            "context": tables.facts(paths["pairs"]),
            "causal": tables.facts(paths["maps"])["causal"],
        }
    traced = {model: tables.read(path) for model, path in zip(run.settings["traced"], given.dynamics, strict=True)}
    text = findings.text(models, tables.read(given.depth), tables.read(given.look_alikes), traced)
    with open(run.out.findings, "w", encoding="utf-8") as file:
        file.write(ngram_baselines.in_findings(text, given.judged))


if "snakemake" in globals():
    main(snakemake)
