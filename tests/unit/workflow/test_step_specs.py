"""Specs of steps: what they read counts by content, and one written order of settings."""

from pathlib import Path

import pytest

from headatlas.workflow import step_specs

SCRIPTS = str(Path(__file__).parents[3] / "scripts")


@pytest.fixture
def specs(tmp_path):
    return step_specs.Specs(SCRIPTS, str(tmp_path / "store"))


def test_sources_are_what_is_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tok").mkdir()
    (tmp_path / "tok" / "tokenizer.json").write_text("")

    def files(kind, **settings):
        found = step_specs.sources(kind, settings)
        return found["files"], found["mirrored"]

    assert files("tokenizer", load="tok") == (["tok"], [])
    assert files("tokenizer", load="tok/tokenizer.json") == (["tok"], [])  # the files beside it are read too
    assert files("tokenizer", load="openai-community/gpt2") == ([], ["models/gpt2"])
    assert files("tokenizer", train="words", corpus="x") == ([], [])
    assert files("checkpoint", name="tok") == (["tok"], [])
    assert files("checkpoint", name="some/model") == ([], ["models/model"])
    assert files("corpus", source="datasets", name="tok") == (["tok"], [])
    assert files("corpus", source="datasets", name="stanfordnlp/imdb") == ([], [])  # the mirror's are known by sha256
    assert files("corpus", source="files", files=["a.txt"]) == (["a.txt"], [])
    assert step_specs.sources("corpus", {"source": "python-docs"})["interpreter"]


def test_what_is_read_counts_by_content(specs, tmp_path):
    text = tmp_path / "a.txt"
    text.write_text("one")
    one = {"source": "files", "files": [str(text)]}
    read = specs.reads("corpus", one, {"source": "python-docs"})
    assert list(read["files"]) == [str(text)]
    assert read["interpreter"]
    text.write_text("two")
    assert step_specs.Specs(SCRIPTS, str(tmp_path / "store")).reads("corpus", one)["files"] != read["files"]


def test_a_figure_depends_on_the_module_that_draws_it(specs):
    function = "studies.induction.figures.masks.draw_masks"
    drawn, other = (
        specs.drawn_by(function, models=("b", "a")),
        specs.drawn_by(function.replace("masks.", "model_sizes.")),
    )
    assert (drawn["script"], drawn["rule"]) == ("draw_figure", "draw_masks")
    assert drawn["modules"] == ("headatlas.studies.induction.figures.masks",)
    assert drawn["settings"] == {"drawn_by": f"headatlas.{function}", "models": ["b", "a"]}
    assert drawn["code"] != other["code"]
