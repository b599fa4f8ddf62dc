"""Draw a figure: a function of the library, which the rule names, makes it of the rule's inputs and settings."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from importlib import import_module
    from inspect import signature
    from shutil import copyfile

    from headatlas.data import ngram_baselines
    from headatlas.plotting import style

    settings = dict(run.settings)
    module, _, function = settings.pop("drawn_by").rpartition(".")
    given = dict(snakemake.input.items())
    untaught = ngram_baselines.too_little_training(given.pop("judged", []))
    draw, out = getattr(import_module(module), function), vars(run.out)
    pngs = [name for name in out if name.endswith("png")]  # published_png and corrected_png, or one of them
    for png in pngs:
        protocol = png.removesuffix("png")
        if "protocol" in signature(draw).parameters:
            settings["protocol"] = protocol.rstrip("_")
        elif png != pngs[0]:  # it looks the same under both
            for kind in ("png", "pdf"):
                copyfile(out[pngs[0].removesuffix("png") + kind], out[protocol + kind])
            continue
        drawn = draw(**given, **settings)
        figure, table = drawn if isinstance(drawn, tuple) else (drawn, None)
        if untaught:
            style.warn(figure, untaught)
        style.save(figure, out[png], out[f"{protocol}pdf"])
        if table is not None:
            table.to_csv(out[f"{protocol}csv"], index=False, float_format="%.6g")


if "snakemake" in globals():
    main(snakemake)
