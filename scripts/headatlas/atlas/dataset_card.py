"""The tables of a run as a data set of the Hugging Face Hub: the card that stands in its folder as README.md."""

import json
import re

from headatlas.atlas import described_tables
from headatlas.base import tables


def card(results, about=None):
    """The text of the card.

    Parameters
    ----------
    results : Results
    about : mapping, optional
        `title`, `settings` (YAML), `versions` and `models` of the run.

    Returns
    -------
    str
        Front matter with a configuration for each table, by which `datasets.load_dataset(folder, name)` reads it;
        then what each table holds, column by column, and what made it.
    """
    about = about or {}
    names = results.names("**/*.parquet")
    title = about.get("title", "Head Atlas")
    lines = ["---", f"pretty_name: {json.dumps(title)}", "tags: [interpretability, attention-heads, transformers]"]
    lines.append("configs:")
    for name in names:
        lines += [f"- config_name: {_config(name)}", f"  data_files: {json.dumps(name)}"]
    lines += ["---", "", f"# {title}", "", "Tables about every attention head of the models of one run.", ""]
    for model in results.models:
        facts = results.facts(model)
        corpus = about.get("models", {}).get(model, {}).get("corpus")
        lines.append(
            f"- `{model}`: {facts['members']} members, {facts['layers']} layers of {facts['heads']} heads, "
            f"{facts['prompts']:,} prompts of {facts['size']} tokens" + (f", corpus {corpus}" if corpus else "")
        )
    lines += ["", f"Read one with `load_dataset(folder, {_config(names[0])!r})`, or all with `headatlas.open(folder)`."]
    for name in names:
        path = results.path(name)
        notes, facts = tables.provenance(path), tables.facts(path)
        lines += ["", f"## {name}", "", f"{tables.rows(path):,} rows"]
        lines[-1] += f", made by `{notes['rule']}`." if notes.get("rule") else "."
        if row := described_tables.entry(name)[1]["row"]:
            lines[-1] += f" A row is {row}."
        if facts:
            lines.append("Facts: " + ", ".join(f"{key} {value}" for key, value in sorted(facts.items())) + ".")
        lines += ["", "| column | type | meaning |", "|---|---|---|"]
        lines += [
            f"| {column} | {kind} | {described_tables.meaning(name, column) or ''} |"
            for column, kind in tables.columns(path).items()
        ]
    if about.get("settings"):
        lines += ["", "## Configuration", "", "```yaml", about["settings"].strip(), "```"]
    return "\n".join(lines) + "\n"


def _config(name):
    return re.sub(r"[^a-z0-9]+", "-", name.removesuffix(".parquet"))
