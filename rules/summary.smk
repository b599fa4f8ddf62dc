# IN:  every model's training and baselines, all that the studies build: figures, tables, and findings in words
# OUT: summary.md, which a person reads at the end; the same as a page of the report, summary.html;
#      reproduction.{parquet,md}, what the four papers report beside it


if workflow.modifier.is_main_snakefile():  # a module leaves the report's front page to whoever uses it

    report: "../report/workflow.rst"


SUMMARISED = artifacts.summarised()
SUMMARISED_TOYS = [model for model in SUMMARISED if model in TOY_MODELS]

SHOWN_BY_STUDIES = targets.shown(
    workflow.rules,
    config["results"],
    {"training": SUMMARISED_TOYS} | {study: models_of(study) for study in config["targets"]},
)
TABLES_MADE = [file for file in SHOWN_BY_STUDIES if file.endswith(".parquet")]
# Tables that the claims of each study's paper are held against, as far as this configuration makes them
COMPARED = {
    study: papers_of_a_run.inputs(config, study, {table.removeprefix(f"{config['results']}/") for table in TABLES_MADE})
    for study in papers_of_a_run.compared(config)
}


rule write_summary:
    """Write the summary of the run that a person reads at the end, and the same as a page of the report."""
    input:
        training=expand("<results>/models/{model}/training.parquet", model=SUMMARISED_TOYS),
        baselines=expand("<results>/models/{model}/baselines.parquet", model=SUMMARISED_TOYS),
        curves=expand("<results>/figures/training/{model}.png", model=SUMMARISED_TOYS),
        scores=expand("<results>/scores/{model}.parquet", model=SUMMARISED),
        built=[getattr(rules, study).input for study in sorted(config["targets"])],
    output:
        summary="<results>/summary.md",
        page=report(
            "<results>/summary.html",
            caption="../report/summary.rst",
            category="summary",
            labels={"result": "What was found"},
        ),
    params:
        spec=spec(
            "write_summary",
            models=SUMMARISED,
            trained=SUMMARISED_TOYS,
            asked=[[study, config["described"]["asked"][study]] for study in config["targets"]],
        ),
    script:
        "../scripts/write_summary.py"


rule compare_with_papers:
    """Hold each figure and table of the papers against this run: what they report, as published here, as corrected."""
    input:
        **{study: [f"<results>/{path}" for path in tables.values()] for study, tables in COMPARED.items()},
    output:
        table="<results>/reproduction.parquet",
        page="<results>/reproduction.md",
    params:
        spec=spec(
            "compare_with_papers",
            studies={
                study: {"tables": list(tables), "setup": papers_of_a_run.setup(config, study)}
                for study, tables in COMPARED.items()
            },
        ),
    script:
        "../scripts/compare_with_papers.py"


for study in config["left_out"]:  # none of `targets`, so that it stops nobody who asks for another

    rule:
        name:
            study
        input:
            refused(study),
