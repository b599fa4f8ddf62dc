# IN:  attention, scores and knockouts of every model that a study shows; tables, figures and findings of the studies
# OUT: atlas.html, a page in which a person walks through the heads


def shown_by_studies(*kinds):
    """Files of these kinds that rules of the studies among `targets` make, for all that their wildcards may be; each
    with its wildcards and its caption in the report, if it has one."""
    found, folders = {}, (*config["targets"], "training")
    for made, output in [(rule, output) for rule in workflow.rules for output in rule.output]:
        path = str(output)
        folder = path.removeprefix(f"{config['results']}/").removeprefix("figures/").split("/")[0]
        if not path.endswith(kinds) or folder not in folders:
            continue
        choices = {name: values.split("|") for name, values in re.findall(r"\{(\w+),([^}]*)\}", path)}
        if not set(choices.get("model", [])) <= {*config["models"], "(?!)"}:  # any name: those that the study is of
            choices["model"] = SUMMARISED_TOYS if folder == "training" else models_of(folder)
        for values in itertools.product(*choices.values()):
            wildcards = dict(zip(choices, values, strict=True))
            file = re.sub(r"\{(\w+),[^}]*\}", r"{\1}", path).format(**wildcards)
            if "(?!)" not in values:
                found[file] = wildcards, get_flag_value(output, "report") if is_flagged(output, "report") else None
    return found


def captions_of_figures():
    """The caption of each figure, by its name under the folder of results."""
    found = shown_by_studies(".png")
    return {
        file.removeprefix(f"{config['results']}/"): captions.rendered(
            ROOT / "report" / flag.caption.get_path_or_uri(secret_free=True).rpartition("report/")[2],
            config,
            wildcards,
        )
        for file, (wildcards, flag) in found.items()
    }


rule write_atlas:
    """Write the atlas: one page, which needs no other file and no network, to walk through the heads of the run."""
    input:
        **{
            part: sorted({tokenizer_of(model)[part] for model in models_of("all")})
            for part in ("tokenizer", "tokenizer_config")
        },
        assets=sorted(str(path) for path in Path(SCRIPTS, "headatlas/atlas/assets").iterdir()),
        patterns=expand("<results>/attention/{model}/patterns.parquet", model=models_of("all")),
        windows=sorted({windows_of(model, "analysis") for model in models_of("all")}),
        scores=expand("<results>/scores/{model}.parquet", model=models_of("all")),
        losses=expand(
            "<results>/knockouts/{model}/losses.parquet",
            model=models_of("phrenology") if "phrenology" in config["targets"] else [],
        ),
        training=expand(
            "<results>/models/{model}/{table}.parquet", model=SUMMARISED_TOYS, table=["training", "baselines"]
        ),
        built=list(shown_by_studies(".parquet", ".png", ".pdf", ".csv", ".md")),
    output:
        page="<results>/atlas.html",
    log:
        "<logs>/write_atlas.log",
    conda:
        "../envs/figures.yaml"
    resources:
        **needs("write_atlas"),
    params:
        spec=spec(
            "write_atlas",
            about={part: config["described"][part] for part in ("models", "settings", "versions")},
            captions=captions_of_figures(),
        ),
    script:
        "../scripts/write_atlas.py"


rule atlas:
    """The page in which a person walks through the heads of the studies among `targets`."""
    input:
        "<results>/atlas.html",
