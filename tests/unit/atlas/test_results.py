"""A folder of results as a notebook reads it."""

import numpy as np
import pytest

import headatlas
from headatlas.base import tables
from headatlas.base.errors import InputError
from results_folders import HEADS, LAYERS, MEMBERS, NASTY, SIZE, write_results


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    return folder, *write_results(folder)


def test_patterns_of_a_head_are_labelled(planted):
    folder, weights, tokens = planted
    found = headatlas.open(folder).patterns("planted", member=2, layer=1, head=3, prompts=[4, 0])
    assert found.index.names == ["prompt", "query", "token"]
    assert found.columns.name == "key"
    np.testing.assert_array_equal(found.loc[4].to_numpy(), weights[2, 1, 3, 4])
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    assert found.loc[0].index.get_level_values("token")[0] == NASTY[tokens[0, 0]]


def test_heads_join_scores_kinds_partners_and_costs(planted):
    run = headatlas.open(planted[0])
    heads = run.heads()
    assert len(heads) == MEMBERS * LAYERS * HEADS
    row = heads.query("member == 1 and layer == 1 and head == 2").iloc[0]
    assert (row["kind"], row["partner"]) == (1, 1 * HEADS + 2)
    scores = tables.read(planted[0] / "scores/planted.parquet", member=1, layer=1, head=2).set_index("score")["value"]
    assert row["induction"] == scores["induction"]
    costs = tables.read(planted[0] / "knockouts/planted/losses.parquet", member=1, layer=1, head=2)
    assert row["cost_mean"] == costs.query("kind == 'mean'")["effect"].item()


def test_evidence_is_joined_to_kinds(tmp_path):
    write_results(tmp_path)
    kinds = headatlas.open(tmp_path).kinds()
    assert kinds.groupby("kind")["supported"].unique().map(list).to_dict() == {0: [True], 1: [False]}
    (tmp_path / "phrenology/evidence.parquet").unlink()
    assert "supported" not in headatlas.open(tmp_path).kinds()


def test_a_run_without_studies_still_opens(tmp_path):
    write_results(tmp_path, study=False)
    run = headatlas.open(tmp_path)
    assert run.kinds() is None
    assert run.partners() is None
    assert list(run.heads()) == ["model", "member", "layer", "head", "previous_token", "induction", "copying"]


def test_a_run_that_keeps_no_patterns_has_its_heads(tmp_path):
    _, tokens = write_results(tmp_path, study=False, kept=False)
    run = headatlas.open(tmp_path)
    assert run.models == ["planted"]
    assert len(run.heads()) == MEMBERS * LAYERS * HEADS
    np.testing.assert_array_equal(run.tokens("planted"), tokens)
    with pytest.raises(InputError, match="model 'planted': no attention in"):
        run.patterns("planted")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (lambda run: run.patterns("other"), r"model 'other'.*allowed: planted"),
        (lambda run: run.patterns("planted", head=HEADS), f"no head {HEADS}; allowed: 0 to {HEADS - 1}"),
        (lambda run: run.patterns("planted", member=9), f"no member 9.*below {MEMBERS}"),
    ],
)
def test_what_is_not_there_is_said_in_one_line(planted, asked, said):
    with pytest.raises(InputError, match=said):
        asked(headatlas.open(planted[0]))


def test_a_folder_that_is_not_there_is_said():
    with pytest.raises(InputError, match="no such folder"):
        headatlas.open("nowhere")


def test_files_that_may_not_be_looked_at_are_not_there(planted):
    from headatlas.atlas.results import Results

    folder = planted[0]
    given = [folder / "attention/planted/patterns.parquet", folder / "scores/planted.parquet"]
    run = Results(folder, given)
    assert run.names("**/*.parquet") == ["attention/planted/patterns.parquet", "scores/planted.parquet"]
    assert run.windows("planted") is None
    assert run.patterns("planted", prompts=[0]).index.names == ["prompt", "query"]
    assert len(run.patterns("planted", prompts=[0])) == SIZE
