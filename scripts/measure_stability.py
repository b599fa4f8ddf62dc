"""Ask of kinds and of partners whether they are found again on other prompts, and without any one member."""

from headatlas.jobs.job import job


@job
def main(snakemake, run):
    import pandas as pd

    from headatlas.base import tables
    from headatlas.studies.phrenology import head_tables
    from headatlas.studies.phrenology.correspondence import kinds, partners, stability

    heads, seed = tables.read(snakemake.input.kinds, head_tables.IDENTITY), run.settings["seed"]
    parts, members = head_tables.read_parts(snakemake.input.parts), head_tables.member_labels(heads)
    facts = tables.facts(snakemake.input.kinds)
    kind = "kind" if facts["are_kinds"] else "candidate"  # what the plateau finds of a continuum is no kind
    groups = {
        kind: tables.read(snakemake.input.kinds, ["candidate"])["candidate"].to_numpy(),
        "partner": tables.read(snakemake.input.partners, ["group"])["group"].to_numpy(),
    }
    find = {
        kind: kinds.finder(facts["neighbours"], seed=seed),
        "partner": partners.finder(members, heads["layer"].to_numpy(), seed=seed),
    }
    groups = {what: labels for what, labels in groups.items() if (labels >= 0).any()}
    given, of_groups, of_all, shared = {"halvings": run.settings["kinds"]["halvings"], "seed": seed}, [], [], {}
    for what, labels in groups.items():
        resampled = stability.resample(find[what], parts, members, **given, description=f"{what}s found again")
        of_groups.append(stability.stability_table(what, labels, resampled, members))
        of_all.append(stability.agreement_table(what, labels, resampled))
        shared[what] = stability.together(resampled.prompts)
    tables.write(run.out.stability, pd.concat(of_groups, ignore_index=True), provenance=run.provenance)
    tables.write(run.out.agreement, pd.concat(of_all, ignore_index=True), provenance=run.provenance)
    consensus = stability.consensus_table(heads, shared)
    tables.write(run.out.consensus, consensus, provenance=run.provenance)


if "snakemake" in globals():
    main(snakemake)
