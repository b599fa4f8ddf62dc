"""Train one run again and measure, along the way, its cross-entropy and the published loss over positions."""

from headatlas.job import job


@job
def main(snakemake, run):
    import pandas as pd

    from headatlas import position_loss, tables, training, transformer
    from headatlas.windows import read_member_windows, read_windows

    device = run.device(run.settings["threads"])
    facts = tables.facts(snakemake.input.train)
    pad = facts["pad"]
    windows, evaluation = read_member_windows(snakemake.input.train), read_windows(snakemake.input.evaluation)
    architecture = transformer.Architecture(**run.settings["architecture"], vocabulary=facts["vocabulary"])
    settings = training.TrainingSettings(**{**run.settings["training"], "snapshots": 12})
    shown = {"train": windows[0, : len(evaluation)], "held out": evaluation}
    rows = []

    def measure(step, weights):
        own = {name: value[:1].to(device) for name, value in weights.items()}
        for split, of_split in shown.items():
            found = position_loss.both_losses(own, architecture, of_split, pad)
            flat = position_loss.flat_loss(of_split, facts["vocabulary"], pad)
            rows.append((step, split, *(float(loss[0]) for loss in found), flat))

    training.train(
        architecture, run.settings["seeds"], windows, evaluation, settings, device, pad=pad, on_snapshot=measure
    )
    columns = ["step", "split", "cross_entropy", "over_positions", "flat"]
    tables.write(run.out.losses, pd.DataFrame(rows, columns=columns), facts=facts, provenance=run.provenance)


if "snakemake" in globals():
    main(snakemake)
