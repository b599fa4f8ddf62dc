"""What every table of a run holds: docs/tables.md is made of it by python -m headatlas.atlas.described_tables."""

import re
from functools import cache
from pathlib import Path

import yaml

from headatlas.scores.catalogue import SCORES

TABLES = Path(__file__).with_name("tables.yaml")
PAGE = TABLES.parents[3] / "docs" / "tables.md"
_OPENING = """# Tables: every file, every column

Made from [tables.yaml](../scripts/headatlas/atlas/tables.yaml) and [scores](../scripts/headatlas/scores/catalogue.py):
edit them there, then `PYTHONPATH=scripts python -m headatlas.atlas.described_tables`.

All are Parquet, under `results/` (or the folder that `results:` names): `pandas.read_parquet` reads each, and
`snakemake exports` writes a card with the same words beside the tables of a run. Five lines read the heads of a run,
with scores, groups and ablation costs joined, and one head's attention:

```python
import headatlas  # PYTHONPATH=scripts, of the checkout

run = headatlas.open("results")
heads = run.heads()  # a row for each head
pattern = run.patterns("toy", member=2, layer=0, head=3)  # rows (prompt, query, token), columns keys
```

**Packing.** In `attention/{model}/patterns.parquet` a row's `pattern` is a list of numbers. Under packing `full`
(bidirectional models) it has size x size of them, row after row of queries. Under `lower` (causal models) it has
size (size + 1) / 2: the first query's one key, the second's two, and so on; the weight from query i to key j lies at
i (i + 1) / 2 + j. They are float32, or float16 where `analysis.patterns` of the model says so: then each weight is off
by at most 2^-12 (0.00024), and one above 6e-5 by at most 2^-11 of itself. `size`, `packing` and other *facts* stand in
the file's footer as JSON under `headatlas.facts`, what made it under `headatlas.provenance`:
`pyarrow.parquet.read_schema(path).metadata` shows both.

Losses are natural logarithms, in nats per token. Numbers that a run does not have are missing (NaN or null).
"""


@cache
def load():
    """The file as it is: `columns` and `facts` that mean the same everywhere, `tables` with what is their own."""
    return yaml.safe_load(TABLES.read_text(encoding="utf-8"))


def entry(name):
    """What is said of a table.

    Parameters
    ----------
    name : str
        Of the file, under the folder of results.

    Returns
    -------
    pattern : str or None
        The entry's own name, such as "scores/{model}.parquet"; None where nothing is said of the table.
    dict
        `row`: what a row is; `columns`: those that mean something of their own.
    """
    for pattern, said in load()["tables"].items():
        if re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(pattern)), name):
            return pattern, {"columns": {}, **said}
    return None, {"row": "", "columns": {}}


def meaning(name, column):
    """What a column of a table means, or None where nothing is said of it; a score's column is that score."""
    own, shared = entry(name)[1]["columns"], load()["columns"]
    if column in own or column in shared:
        return own.get(column) or shared[column]
    return f"the score {SCORES[column].words}" if column in SCORES else None


def page():
    """The page, as Markdown."""
    found = load()
    lines = [_OPENING, "## Scores of heads", ""]
    lines += [
        "A[i, j] is the attention from query i to key j; means are over queries that have a choice, then over prompts.",
        "",
    ]
    lines += ["| score | in words | formula | measured on | source | may name a head |", "|---|---|---|---|---|---|"]
    for name, score in SCORES.items():
        names = "yes" if score.names_heads else "no"
        if score.names_heads and score.first_layer:
            names += f", from layer {score.first_layer}"
        cells = (f"`{name}`", score.words, score.formula.replace("|", r"\|"), score.measured_on, score.source, names)
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "## Columns that mean the same everywhere", "", "Unless a table below says otherwise.", ""]
    lines += _meanings("column", found["columns"])
    lines += ["", "## Facts in the footer", "", *_meanings("fact", found["facts"])]
    for name, said in found["tables"].items():
        lines += ["", f"## `{name}`", "", f"One row: {said['row']}.".replace("One row: one ", "A row is one ")]
        if said.get("columns"):
            lines += ["", *_meanings("column of its own", said["columns"])]
    return "\n".join(lines) + "\n"


def _meanings(what, meanings):
    return [f"| {what} | meaning |", "|---|---|", *(f"| `{name}` | {said} |" for name, said in meanings.items())]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
