# IN:  attention, scores and knockouts of every model that a study shows; tables, figures and findings of the studies
# OUT: atlas.html, a page in which a person walks through the heads; on demand atlas/, the same in pieces, headvis/{model}.zip
#      and README.md, the card of the tables as a data set

ATLAS_PROMPTS = 512  # that all heads of a model show where the atlas is a folder, at most
ATLAS_ABOUT = {part: config["described"][part] for part in ("models", "settings", "versions")}
# Relative, so that a checkout that was moved has the same inputs, and by content: the times of a checkout's files say nothing
ATLAS_ASSETS = sorted(os.path.relpath(path) for path in Path(SCRIPTS, "headatlas/atlas/assets").iterdir())
ATLAS_DIGESTS = {Path(file).name: contents.file_digest(file) for file in ATLAS_ASSETS}
TABLES_DESCRIBED = os.path.relpath(Path(SCRIPTS, "headatlas/atlas/tables.yaml"))  # in the same way
ATLAS_PIECES = artifacts.pieces(256)  # scripts that the heads of each model are split over
TABLES_OF_HEADS = artifacts.of_heads() | {"tables": TABLES_MADE, "reproduction": "<results>/reproduction.parquet"}
FIGURES_AND_FINDINGS = [file for file in SHOWN_BY_STUDIES if file.endswith((".png", ".pdf", ".csv", ".md"))]
ATLAS_CAPTIONS = captions.of_figures(SHOWN_BY_STUDIES, config, ROOT / "report")


rule write_atlas:
    """Write the atlas: one page, which needs no other file and no network, to walk through the heads of the run."""
    input:
        **TABLES_OF_HEADS,
        figures=FIGURES_AND_FINDINGS,
        assets=ancient(ATLAS_ASSETS),
    output:
        page="<results>/atlas.html",
    threads: config["threads"]
    params:
        spec=spec("write_atlas", about=ATLAS_ABOUT, captions=ATLAS_CAPTIONS, assets=ATLAS_DIGESTS),
    script:
        "../scripts/write_atlas.py"


rule split_atlas:
    """Write the atlas as a page and scripts beside it that are loaded when looked at, for runs too large for one file."""
    input:
        **TABLES_OF_HEADS,
        figures=FIGURES_AND_FINDINGS,
        assets=ancient(ATLAS_ASSETS),
    output:
        **{
            f"{model}.{number:03d}": f"<results>/atlas/{model}/{number:03d}.js"
            for model, count in ATLAS_PIECES.items()
            for number in range(count)
        },
        page="<results>/atlas/index.html",
    threads: config["threads"]
    params:
        spec=spec(
            "split_atlas",
            about=ATLAS_ABOUT,
            captions=ATLAS_CAPTIONS,
            prompts=ATLAS_PROMPTS,
            pieces=ATLAS_PIECES,
            assets=ATLAS_DIGESTS,
        ),
    script:
        "../scripts/split_atlas.py"


rule export_heads:
    """Write a model's heads in the folder layout of HeadVis."""
    input:
        **TABLES_OF_HEADS,
    output:
        archive="<results>/headvis/{model}.zip",
    wildcard_constraints:
        model=one_of(models_of("all")),
    params:
        spec=lambda wildcards: spec("export_heads", model=wildcards.model),
    script:
        "../scripts/export_heads.py"


rule describe_tables:
    """Write the card by which the folder of results is a data set of the Hugging Face Hub."""
    input:
        **TABLES_OF_HEADS,
        described=ancient(TABLES_DESCRIBED),
    output:
        card="<results>/README.md",
    params:
        spec=spec("describe_tables", about=ATLAS_ABOUT, described=contents.file_digest(TABLES_DESCRIBED)),
    script:
        "../scripts/describe_tables.py"


rule atlas:
    """The page in which a person walks through the heads of the studies among `targets`."""
    input:
        "<results>/atlas.html",


rule atlas_folder:
    """The same as a folder: a page, and scripts with the attention of each head that are loaded when looked at."""
    input:
        "<results>/atlas/index.html",


rule exports:
    """What other tools read: the heads in HeadVis's folder layout, and the card of the tables as a data set."""
    input:
        expand("<results>/headvis/{model}.zip", model=models_of("all")),
        "<results>/README.md",
