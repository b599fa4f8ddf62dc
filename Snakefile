# Head Atlas: which attention heads of which transformers do the same thing.
#
# What stands where, under results/ (or the folder named by `results:` in the configuration):
#   corpora/{corpus}/documents.parquet             passages of text with their split
#   tokenizers/{tokenizer}/tokenizer.json          trained here or fetched
#   windows/{model}/{train,evaluation,analysis}.parquet
#   models/{model}/model.safetensors               every tensor with a leading member axis
#   attention/{model}/{patterns,queries_keys}.parquet   one row per member, layer, head and prompt; and position
#   {scores,token_circuits}/{model}.parquet, knockouts/{model}/{losses,prompt}.parquet   what each head does, in numbers
#   {study}/{step}.parquet                         a study's tables; {step}.md its findings in words
#   figures/{study}/{published,corrected}/figNN_{slug}.{png,pdf}
#   reproduction.md, atlas.html                    the four papers beside this run; a page to walk through the heads in
from pathlib import Path

from snakemake.utils import min_version

min_version("9.27")

ROOT = Path(workflow.current_basedir)  # this checkout; results and store lie where Snakemake is run


configfile: str(ROOT / "config.yaml")


include: "rules/common.smk"
include: "rules/figures.smk"
include: "rules/corpora.smk"
include: "rules/tokens.smk"
include: "rules/models.smk"
include: "rules/attention.smk"
include: "rules/scores.smk"


if "phrenology" in config["studies"]:

    include: "rules/phrenology.smk"
    include: "rules/phrenology_clusters.smk"
    include: "rules/phrenology_cluster_figures.smk"
    include: "rules/phrenology_knockouts.smk"
    include: "rules/phrenology_validation.smk"


if "attentionviz" in config["studies"]:

    include: "rules/attentionviz.smk"


if "circuits" in config["studies"]:

    include: "rules/circuits.smk"


if "induction" in config["studies"]:

    include: "rules/induction.smk"


include: "rules/summary.smk"
include: "rules/atlas.smk"
include: "rules/every_rule.smk"


rule all:
    """Everything that the studies among `targets` show, and its summary."""
    default_target: True
    input:
        "<results>/summary.md",
        "<results>/summary.html",
        "<results>/reproduction.md",
        "<results>/atlas.html",
