"""Figs 3 to 9: what heads look at in a sampled text; published, the chosen heads; corrected, all, with their scores."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from headatlas.base import tables
    from headatlas.plotting import style
    from headatlas.studies.circuits.figures import heat_maps

    settings, given = run.settings["figure"], snakemake.input

    def of(name, model):
        table = tables.read(getattr(given, name), model=model)
        return table[table["sample"] == 0] if name == "text" else table

    published, corrected = settings["runs"]["published"], settings["runs"]["corrected"]
    histories = [of("sweep", model) if settings["curves"] else None for model in (published, corrected)]
    shown = of("attention", published), of("text", published), published, settings, histories[0]
    style.save(heat_maps.chosen_heads(*shown), run.out.published_png, run.out.published_pdf)
    shown = of("attention", corrected), of("text", corrected), corrected, settings
    scores = of("heads", corrected), of("names", corrected)
    figure = heat_maps.all_heads(*shown, *scores, histories[1])
    style.save(figure, run.out.corrected_png, run.out.corrected_pdf)


if "snakemake" in globals():
    main(snakemake)
