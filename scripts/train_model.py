"""Train the members of a toy family as one stacked ensemble."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    from dataclasses import asdict

    from headatlas.base import tables
    from headatlas.data.windows import read_member_windows, read_windows
    from headatlas.models import families, tensorboard, training, transformer

    device = run.device(run.settings["threads"])
    facts = tables.facts(snakemake.input.train)
    windows = read_member_windows(snakemake.input.train)  # (member, window, size)
    evaluation = read_windows(snakemake.input.evaluation)  # (window, size)
    architecture = transformer.Architecture(**run.settings["architecture"], vocabulary=facts["vocabulary"])
    settings, seeds = training.TrainingSettings(**run.settings["training"]), run.settings["seeds"]
    options = {"pad": facts["pad"], "mask": facts["mask"], "scratch": run.scratch}
    taken = {}
    options |= {"on_snapshot": taken.__setitem__}
    with tensorboard.curves(run.watched and run.watched / snakemake.wildcards.model) as write:
        weights, history = training.train(
            architecture, seeds, windows, evaluation, settings, device, on_record=write, **options
        )
    config = {"kind": "toy", "architecture": asdict(architecture), "seeds": seeds}
    config |= {key: facts[key] for key in ("pad", "mask", "vocabulary")}
    snapshots, described = training.snapshots_as_family(taken, config, settings.batch * architecture.context)
    families.save_family(run.out.model, run.out.config, weights, config)
    families.save_family(run.out.snapshots, run.out.described, snapshots, described)
    tables.write(run.out.training, history, provenance=run.provenance)


if "snakemake" in globals():
    main(snakemake)
