"""Examples of README and docs as they are written, on data made here; docs/extending.md has a test of its own."""

import csv
import importlib.util
import random
import re
import shlex
import subprocess
import sys
import zipfile

import pytest
import yaml

from checkout import ROOT
from headatlas.base import tables
from headatlas.data.tokenizer_training import load_tokenizer
from results_folders import write_results
from toy_families import toy, windows

PAGES = [ROOT / "README.md", ROOT / "config" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES.remove(ROOT / "docs" / "extending.md")  # its test follows it block by block
TEXTS = {page.relative_to(ROOT).as_posix(): page.read_text(encoding="utf-8") for page in PAGES}
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# A command line of `snakemake`, within a sentence or in a block of its own, there with its comment
COMMAND = re.compile(r"^(?:\w+=\S+ )*snakemake [^\n]*|`((?:\w+=\S+ )*snakemake [^`]*)`", re.MULTILINE)
STANDS_FOR = {"<yours>": "any", "<folder>": "elsewhere", "<checkout>": ".", "MODEL": "toy", "...": "mine.yaml"}
TOLD = re.compile("|".join(map(re.escape, STANDS_FOR)))
# Not planned: what asks for no target or runs nothing, and what cluster and software tests do
ELSEWHERE = {"-s", "--list-rules", "--unlock", "--software-deployment-method", "--workflow-profile", "-f", "fetch"}
ELSEWHERE |= {"--summary", "--list-changes"}
NO_EXAMPLES = {  # blocks that nobody runs, by how they begin, and what they are
    "Snakefile ": "README's tree of files",
    "brown/brown.zip ": "the layout of a mirror",
}
OF_A_SHELL = re.compile(r"(PYTHONPATH=scripts )?(snakemake|make|python|docker)\b")


def blocks(kind):
    """(page, text) of every block of a kind."""
    return [(page, text) for page, whole in TEXTS.items() for name, text in BLOCK.findall(whole) if name == kind]


def commands():
    """Arguments of every command line of `snakemake` in the pages, once."""
    found = {}
    for whole in TEXTS.values():
        for match in COMMAND.finditer(whole.replace("\\\n", " ")):
            words = shlex.split(TOLD.sub(lambda told: STANDS_FOR[told[0]], match[1] or match[0]), comments=True)
            arguments = tuple(words[words.index("snakemake") + 1 :])
            if arguments and not ELSEWHERE & set(arguments):
                found[arguments] = None
    return list(found)


def planned_together():
    """(options, targets) of all command lines; those with the same options are one plan."""
    found = {}
    for arguments in commands():
        words = [word for word in arguments if word not in ("-n", "--report-after-run")]
        if "--report" in words:
            place = words.index("--report")
            del words[place : place + 2]
        first = next((place for place, word in enumerate(words) if word.startswith("-")), len(words))
        found.setdefault(tuple(words[first:]), {}).update(dict.fromkeys(words[:first] or ["all"]))
    return [(options, tuple(targets)) for options, targets in found.items()]


def some_text(words, seed=0):
    """Sentences of made-up words, a paragraph every ten."""
    rng = random.Random(seed)
    known = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 9))) for _ in range(800)]
    drawn = [" ".join(rng.choices(known, k=12)) + "." for _ in range(words // 12)]
    return "\n\n".join(" ".join(drawn[place : place + 10]) for place in range(0, len(drawn), 10))


def write_texts(folder):
    """The files that README's corpus of one's own and docs/data.md name."""
    (folder / "texts").mkdir()
    (folder / "texts" / "one.txt").write_text(some_text(60_000))
    rows = [some_text(60, seed) for seed in range(1, 200)]
    (folder / "texts" / "more.jsonl").write_text("".join(f'{{"text": "{row}"}}\n' for row in rows))
    (folder / "novel.txt").write_text(some_text(3000))
    (folder / "sentences.txt").write_text("\n".join(some_text(12, seed) for seed in range(50)))
    for side in ("neg", "pos"):
        (folder / "reviews" / side).mkdir(parents=True)
        for number in range(8):
            (folder / "reviews" / side / f"{number}.txt").write_text(some_text(60, number))
    (folder / "letters" / "1890").mkdir(parents=True)
    for number in range(12):
        (folder / "letters" / "1890" / f"{number}.txt").write_text(some_text(60, number))
    with zipfile.ZipFile(folder / "archive.zip", "w") as archive:
        archive.writestr("one.txt", some_text(60, 99))
    with open(folder / "reviews.csv", "w", newline="") as file:
        csv.writer(file).writerows([["stars", "review"], *([3, row] for row in rows)])


@pytest.fixture(scope="module")
def place(untouched_folder):
    """A checkout with the texts that examples name, and README's configuration of one's own corpus as mine.yaml."""
    write_texts(untouched_folder.folder)
    own, _ = (text for page, text in blocks("yaml") if page == "README.md")
    (untouched_folder.folder / "mine.yaml").write_text(own)
    return untouched_folder


def test_there_are_examples():
    assert len(commands()) > 15
    assert len(blocks("python")) > 3
    assert len(blocks("yaml")) > 2


def test_every_block_is_run_or_is_no_example():
    """A new kind of block, or a page's first one, needs a test that runs it as it is written."""
    run = {
        "python": set(TEXTS),
        "yaml": {"README.md", "docs/data.md"},
        "json": {"docs/data.md"},
        "snakemake": {"docs/elsewhere.md"},
    }
    for page, whole in TEXTS.items():
        assert whole.count("\n```") == 2 * len(BLOCK.findall(whole)), f"{page}: a block that is not found"
        for kind, text in BLOCK.findall(whole):
            if kind:
                assert page in run.get(kind, ()), f"{page}: no test runs its {kind} of {text[:60]!r}"
            else:
                known = OF_A_SHELL.match(text) or text.startswith(tuple(NO_EXAMPLES))
                assert known, f"{page}: what is {text[:60]!r}, and which test runs it?"
    assert [page for page, _ in blocks("yaml")] == ["README.md", "README.md", "docs/data.md"]  # each in a test below
    assert len(blocks("json")) == len(blocks("snakemake")) == 1


def test_a_tokenizer_written_by_hand_is_one(tmp_path):
    ((_, text),) = blocks("json")
    (tmp_path / "tokenizer.json").write_text(text)
    tokenizer = load_tokenizer(str(tmp_path))
    assert tokenizer.names(tokenizer.encode("201")) == ["2", "0", "1"]
    assert tokenizer.names(tokenizer.encode("2x")) == ["2", "?"]


def test_a_module_in_a_workflow_of_ones_own_is_planned(place, tmp_path):
    ((_, text),) = blocks("snakemake")
    (tmp_path / "Snakefile").write_text(text.replace("<checkout>", str(place.folder)))
    (tmp_path / "theirs.yaml").write_text(yaml.safe_dump({"headatlas": {"threads": 1}}))
    said = subprocess.run(
        [sys.executable, "-m", "snakemake", "strongest_heads", "-n", "--quiet", "rules", "--configfile", "theirs.yaml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    for rule in ("strongest_heads", "headatlas_score_heads", "headatlas_train_model"):
        assert re.search(rf"^{rule} +1$", said.stdout + said.stderr, re.MULTILINE), said.stderr


@pytest.mark.parametrize(("options", "targets"), planned_together(), ids=" ".join)
def test_every_command_line_is_planned(place, options, targets):
    said = place.snakemake(*targets, *options, "-n", "--quiet", "rules", config=()).said
    for rule in set(targets) & {"phrenology", "attentionviz", "induction", "circuits", "all"}:
        assert re.search(rf"^{rule} +1$", said, re.MULTILINE), rule


def test_the_pretrained_model_of_the_readme_is_planned_for_all_studies_that_look_at_it(place):
    _, text = (text for page, text in blocks("yaml") if page == "README.md")
    (place.folder / "pretrained.yaml").write_text(text)
    said = place.snakemake("-n", "--quiet", "rules", config="pretrained.yaml").said
    for rule in ("fetch_model", "find_kinds", "find_induction", "choose_scales"):
        assert re.search(rf"^{rule} +1$", said, re.MULTILINE), rule


def test_a_corpus_of_ones_own_is_read_and_trained_on(place):
    """The embedded default's sizes are for its text and patience; all else is as README has it."""
    small = {"seeds": [0, 1], "training": {"windows": 200, "epochs": 1, "evaluations": 2, "evaluation_windows": 32}}
    small |= {"analysis": {"windows": 8}, "scores": {"sequences": 4}}
    (place.folder / "small.yaml").write_text(yaml.safe_dump({"models": {"toy": small}}))
    place.snakemake("results/mine/scores/toy.parquet", config=("mine.yaml", "small.yaml"))
    assert set(tables.read(place.folder / "results" / "mine" / "scores" / "toy.parquet")["member"]) == {0, 1}


def test_every_corpus_of_the_docs_is_read(place):
    ((_, text),) = [found for found in blocks("yaml") if found[0] == "docs/data.md"]
    corpora = yaml.safe_load(text)["corpora"]
    (place.folder / "corpora.yaml").write_text(text)
    place.snakemake(*(f"results/corpora/{name}/documents.parquet" for name in corpora), config="corpora.yaml")
    for name in corpora:
        found = tables.read(place.folder / "results" / "corpora" / name / "documents.parquet")
        assert set(found["split"]) == {"train", "validation", "test"}, name
    assert len(found) == 199, "a row of the table is a text"


@pytest.mark.parametrize(("page", "text"), blocks("python"))
def test_python_runs_as_it_is_written(page, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    write_results(tmp_path / "results", name="toy")
    toy(tmp_path, context=16)
    names = {"tokens": windows(3, size=16)}
    exec(compile(text, page, "exec"), names)
    assert len(names) > 3


def test_every_module_and_target_of_make_that_is_named_is_there():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page, whole in TEXTS.items():
        for module in re.findall(r"python -m (headatlas[\w.]*\w)", whole):
            assert importlib.util.find_spec(module), f"{page}: {module}"
        for target in re.findall(r"`make ([a-z-]+)", whole):
            assert target in targets, f"{page}: make {target}"
