"""Which tables, columns and facts of a folder of results docs/tables.md says nothing of."""

from headatlas.atlas import described_tables
from headatlas.base import tables


def undescribed(results):
    """Their names, by table."""
    found = {}
    for path in sorted(results.rglob("*.parquet")):
        name = path.relative_to(results).as_posix()
        bare = [column for column in tables.columns(path) if described_tables.meaning(name, column) is None]
        bare += [fact for fact in tables.facts(path) if fact not in described_tables.load()["facts"]]
        if bare or described_tables.entry(name)[0] is None:
            found[name] = bare
    return found
