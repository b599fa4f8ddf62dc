"""What two folders find is compared by heads, names and signs, whatever their bytes and last digits are."""

import shutil

import pandas as pd
import pytest

from headatlas.base import tables
from headatlas.jobs import challenge, compared_findings
from results_folders import identity, write_results

NAMES = {0: "previous token (0.81)", 1: "induction (0.40), sharp (1.20 nats)"}


@pytest.fixture
def folders(tmp_path):
    """Two folders of the same findings, one of which is to be changed."""
    write_results(tmp_path / "mine", name="toy")
    heads = identity("toy")
    cards = heads.assign(kind_name=heads["layer"].map(NAMES), partners_name=None)
    tables.write(tmp_path / "mine/phrenology/head_cards.parquet", cards)
    shutil.copytree(tmp_path / "mine", tmp_path / "theirs")
    return tmp_path / "mine", tmp_path / "theirs"


def change(folder, name, how):
    table = tables.read(folder / name)
    tables.write(folder / name, how(pd.DataFrame(table)))


def compared(folders):
    return {found.what: found for found in compared_findings.compare(*folders)}


def test_other_numbers_find_the_same(folders):
    change(folders[1], "scores/toy.parquet", lambda table: table.assign(value=table["value"] + 1e-4))
    change(folders[1], "knockouts/toy/losses.parquet", lambda table: table.assign(effect=table["effect"] * 1.01))
    measured = {"previous token (0.81)": "previous token (0.79)"}
    change(
        folders[1],
        "phrenology/head_cards.parquet",
        lambda table: table.assign(kind_name=table["kind_name"].replace(measured)),
    )
    found = compared(folders)
    assert found["supported groups"][1:] == (1, 1, [])
    assert found["kinds that heads belong to"][1:] == (24, 24, [])
    assert found["signs of what heads are worth"].both > 80
    assert found["signs of scores about chance"].both > 60
    assert not [line for one in found.values() for line in one.differences]


def test_a_group_that_only_one_supports_is_told(folders):
    def unsupported(table):
        return table.assign(supported=False)

    change(folders[1], "phrenology/evidence.parquet", unsupported)
    assert compared(folders)["supported groups"][1:] == (
        1,
        0,
        ["kind of 12 heads (toy 0, head 0.0, ...): supported in these results alone"],
    )
    (line,) = compared(folders[::-1])["supported groups"].differences
    assert line.endswith("supported in the other results alone")


def test_groups_are_known_by_their_heads_and_not_by_their_numbers(folders):
    def swapped(table, column):
        return table.assign(**{column: 1 - table[column]})

    change(folders[1], "phrenology/kinds.parquet", lambda table: swapped(table, "kind"))
    assert len(compared(folders)["supported groups"].differences) == 2, "the other heads are supported"
    change(folders[1], "phrenology/evidence.parquet", lambda table: swapped(table, "group"))
    assert compared(folders)["supported groups"][1:] == (1, 1, [])

    def one_elsewhere(table):
        moved = table["kind"].mask((table["member"] == 0) & (table["layer"] == 0) & (table["head"] == 0), 0)
        return table.assign(kind=moved)

    change(folders[1], "phrenology/kinds.parquet", one_elsewhere)
    assert compared(folders)["supported groups"].agree == 1, "11 of 12 heads"


def test_a_head_of_another_name_is_told(folders):
    def renamed(table):
        first = (table["member"] == 1) & (table["layer"] == 0) & (table["head"] == 2)
        return table.assign(kind_name=table["kind_name"].mask(first, "mixed"))

    change(folders[1], "phrenology/head_cards.parquet", renamed)
    found = compared(folders)["kinds that heads belong to"]
    assert found[1:] == (24, 23, ["toy 1, head 0.2: 'previous token', in the other results 'mixed'"])


def test_a_sign_that_turns_is_told_and_one_that_is_not_sure_is_not_counted(folders):
    def turned(table):
        first = (table["member"] == 2) & (table["layer"] == 1) & (table["head"] == 3) & (table["kind"] == "mean")
        return table.assign(effect=table["effect"].mask(first, -table["effect"]))

    def unsure(table):
        return table.assign(standard_error=9.0)

    change(folders[1], "knockouts/toy/losses.parquet", turned)
    found = compared(folders)["signs of what heads are worth"]
    assert (found.both - found.agree, found.differences) == (1, ["toy 2, head 1.3: mean above here, not there"])
    change(folders[1], "knockouts/toy/losses.parquet", unsure)
    assert "signs of what heads are worth" not in compared(folders)


def test_findings_decide_whether_two_folders_agree(folders, capsys, monkeypatch):
    same = challenge.Comparison()
    same.add({"provenance": {"rule": "score_heads", "wildcards": {}}}, ["scores.parquet: value is off by at most 1e-7"])
    monkeypatch.setattr(challenge, "against", lambda *given: (same, []))
    arguments = [str(folders[0]), "--against", str(folders[1])]
    with pytest.raises(SystemExit) as ended:
        challenge.main(arguments)
    said = capsys.readouterr().out
    assert ended.value.code == 0, "other bytes are not other findings"
    assert "supported groups: 1 of 1 the same" in said
    change(folders[1], "phrenology/evidence.parquet", lambda table: table.assign(supported=False))
    with pytest.raises(SystemExit) as ended:
        challenge.main(arguments)
    assert ended.value.code == 1
    assert "supported groups: 0 of 1 the same\n    kind of 12 heads" in capsys.readouterr().out
