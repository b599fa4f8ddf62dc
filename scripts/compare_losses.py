"""Measure, at the snapshots of one run's training, its cross-entropy and the published loss over positions."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    import pandas as pd

    from headatlas.base import tables
    from headatlas.data.windows import read_member_windows, read_windows
    from headatlas.models import families
    from headatlas.studies.circuits import position_loss

    device = run.device(run.settings["threads"])
    facts = tables.facts(snakemake.input.train)
    pad = facts["pad"]
    family = families.load_family(snakemake.input.snapshots, snakemake.input.described, device)
    windows, evaluation = read_member_windows(snakemake.input.train), read_windows(snakemake.input.evaluation)
    shown = {"train": windows[0, : len(evaluation)], "held out": evaluation}
    rows = []
    for position, taken in enumerate(family.config["snapshots"]):
        if taken["member"] != 0:
            continue
        weights = family.weights(position)
        for split, of_split in shown.items():
            found = position_loss.both_losses(weights, family.architecture, of_split, pad)
            flat = position_loss.flat_loss(of_split, facts["vocabulary"], pad)
            rows.append((taken["step"], split, *(float(loss[0]) for loss in found), flat))
    columns = ["step", "split", "cross_entropy", "over_positions", "flat"]
    tables.write(run.out.losses, pd.DataFrame(rows, columns=columns), facts=facts, provenance=run.provenance)


if "snakemake" in globals():
    main(snakemake)
