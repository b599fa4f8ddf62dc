"""No stale input, no poisoned store, nobody locked out: each as a user would meet it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
import yaml

import opened_files
import stand_in_hub
from checkout import Checkout, copy_of_tree
from headatlas.base import tables
from headatlas.data import tokenizer_reading, tokenizer_training

CORPUS = "results/corpora/mine/documents.parquet"
CONFIG = "mine.yaml"
MINE = {"source": "datasets", "name": "mine", "splits": {"train": "train"}}
STUDY = "tests/study.yaml"
WATCHED = """
import os, sys

def refuse(event, arguments):
    asked = event == "socket.getaddrinfo" or (event == "socket.connect" and isinstance(arguments[1], tuple))
    if asked:
        with open(os.environ["ATTEMPTS"], "a") as file:
            file.write(f"{event} {arguments} {sys.argv}\\n")
        raise OSError("the network is cut")

sys.addaudithook(refuse)
"""


@pytest.fixture
def fresh(tmp_path):
    """A checkout in which nothing has run, with a corpus in a data-set folder of the user's own."""
    folder = tmp_path / "checkout"
    copy_of_tree(folder)
    checkout = Checkout(folder)
    data = folder / "mine" / "data"
    data.mkdir(parents=True)
    write(data / "train.jsonl", "first")
    configure(checkout, MINE)
    return checkout


def write(file, word):
    rows = (json.dumps({"text": f"{word} passage of number {number}"}) for number in range(40))
    file.write_text("".join(f"{row}\n" for row in rows))


def configure(checkout, corpus, **others):
    (checkout.folder / CONFIG).write_text(yaml.safe_dump({"corpora": {"mine": corpus}, **others}))


def corpus(checkout, *arguments):
    """Run up to the corpus; the first word of its texts, and what was said."""
    ran = checkout.snakemake(CORPUS, "--cores", "1", *arguments, config=CONFIG)
    words = {text.split()[0] for text in tables.read(checkout.folder / CORPUS)["text"]}
    assert len(words) == 1
    return words.pop(), ran


def test_a_file_of_a_data_set_folder_counts_by_content_alone(fresh):
    file = fresh.folder / "mine" / "data" / "train.jsonl"
    assert corpus(fresh)[0] == "first"
    os.utime(file)
    assert not corpus(fresh)[1].jobs
    times = file.stat()
    write(file, "other")  # of the same length
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert corpus(fresh)[0] == "other"
    (fresh.folder / CORPUS).unlink()
    assert corpus(fresh)[0] == "other"
    write(file, "first")
    word, ran = corpus(fresh)
    assert word == "first"
    assert ran.done.restored


def test_forced_is_computed_and_compared_and_a_restore_leaves_the_benchmark(fresh):
    corpus(fresh)
    benchmark = fresh.folder / "results" / "benchmarks" / "fetch_corpus" / "mine.tsv"
    measured = benchmark.read_text()
    (fresh.folder / CORPUS).unlink()
    _, ran = corpus(fresh)
    assert ran.done.restored
    assert benchmark.read_text() == measured
    _, ran = corpus(fresh, "-f")
    assert ran.done.computed
    assert "forced: fetch_corpus was computed; all bytes equal what the store held" in ran.said
    _, ran = corpus(fresh, "-R", "fetch_corpus")
    assert ran.done.computed
    (fresh.folder / CORPUS).unlink()
    assert corpus(fresh)[1].done.restored


def test_a_store_that_cannot_be_written_is_said_once_with_the_remedy(fresh):
    (fresh.folder / "taken").write_text("a file where the store should lie")
    configure(fresh, MINE, store="taken/store")
    word, ran = corpus(fresh)
    assert word == "first"
    assert ran.said.count("cannot be written") == 1
    assert "give `store:` a folder of your own" in ran.said


def read_only(folder):
    """The command that starts a program to which a folder lies on a read-only disk; empty where there can be none."""
    mounted = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'
    command = ["unshare", "--mount", "sh", "-c", mounted, str(folder)]
    if not shutil.which("unshare") or subprocess.run([*command, "true"], capture_output=True).returncode:
        return []
    return command


def test_a_read_only_store_serves_results_and_costs_neither_a_corpus_nor_a_download(fresh, tmp_path, monkeypatch):
    """As a disk of others', for to root no file is closed; what is downloaded lies in the user's own cache."""
    store, cache, hub = tmp_path / "store", tmp_path / "cache", tmp_path / "hub"
    hub.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tokenizer_of_a_word(tmp_path) / name, hub / name)
    both = {"mine": MINE, "more": {**MINE, "name": "more"}}
    (fresh.folder / "more").mkdir()
    write(fresh.folder / "more" / "train.jsonl", "second")
    loaded = {"tokenizers": {"own": {"load": "someone/tiny", "revision": stand_in_hub.COMMIT}}}
    (fresh.folder / CONFIG).write_text(yaml.safe_dump({"corpora": both, "store": str(store), **loaded}))
    corpus(fresh)
    before = held(store)
    (fresh.folder / CORPUS).unlink()
    if not read_only(store):
        pytest.skip("needs mounts of one's own")
    fresh.through = read_only(store)
    targets = [CORPUS, CORPUS.replace("mine", "more"), "results/tokenizers/own/tokenizer.json"]
    with stand_in_hub.serving(hub) as address:
        for name, value in {"HF_ENDPOINT": address, "XDG_CACHE_HOME": str(cache), "NO_PROXY": "127.0.0.1"}.items():
            monkeypatch.setenv(name, value)
        ran = fresh.snakemake(*targets, "--cores", "1", config=CONFIG)
    assert {rule for rule, _ in ran.done.restored} == {"fetch_corpus"}
    assert {rule for rule, _ in ran.done.computed} == {"fetch_corpus", "fetch_tokenizer"}
    assert all((fresh.folder / target).is_file() for target in targets)
    assert ran.said.count("cannot be written (Read-only file system)") == 1
    assert "give `store:` a folder of your own" in ran.said
    assert list((cache / "headatlas" / "downloads").rglob("tokenizer.json"))
    assert held(store) == before


def held(folder):
    """All that lies in a folder, with its times of change."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def tokenizer_of_a_word(folder):
    tokenizer = tokenizer_training.train_tokenizer(["a word"], "words", 9)
    tokenizer_reading.save_tokenizer(tokenizer, folder / "tokenizer.json", folder / "tokenizer_config.json")
    return folder


def test_a_corpus_of_3_gb_is_read_once_and_once_more_when_it_is_touched(fresh, tmp_path):
    """By who opens it: nothing else would read 3 GB; the second plan, and every job, looks its digest up."""
    large = tmp_path / "large.txt"
    with large.open("wb") as file:
        file.truncate(3 << 30)
    configure(fresh, {"source": "files", "files": [str(large)]})
    if not opened_files.watching(tmp_path / "opened"):
        pytest.skip("needs strace")

    def opened():
        time.sleep(2.1)  # what changed a moment ago is not remembered
        fresh.through = opened_files.watching(tmp_path / "opened")
        fresh.snakemake("-n", CORPUS, config=CONFIG)
        return (tmp_path / "opened").read_text().count(f'"{large}"')

    assert (opened(), opened()) == (1, 0)
    os.utime(large)
    assert (opened(), opened()) == (1, 0)


def test_what_is_left_after_fetching_opens_no_connection(fresh, mirror, tmp_path):
    """Python's own sockets are watched, and where a network can be taken away, it is."""
    (tmp_path / "sitecustomize.py").write_text(WATCHED)
    places = {"mirror": str(mirror), "tokenizers": {"own": {"load": "karpathy/stories260K"}}}
    model = {
        "corpus": "python-docs",
        "tokenizer": "own",
        "checkpoints": [{"name": "karpathy/stories260K"}],
        "task": "causal",
        "context": 16,
        "analysis": {"windows": 8, "queries_keys": 8},
        "scores": {"sequences": 4},
    }
    config = {**places, "models": {"own": model}, "compare": ["own"], "targets": ["phrenology"]}
    (fresh.folder / CONFIG).write_text(yaml.safe_dump(config))
    fetched = fresh.snakemake("fetch", "--cores", "1", config=CONFIG)
    assert {rule for rule, _ in fetched.jobs} == {"fetch_tokenizer", "fetch_model"}
    without_network = ["unshare", "--net"]
    if shutil.which("unshare") and not subprocess.run([*without_network, "true"], capture_output=True).returncode:
        fresh.through = without_network
    attempts = tmp_path / "attempts"
    cut = {"HF_HUB_OFFLINE": "1", "PYTHONPATH": str(tmp_path), "ATTEMPTS": str(attempts)}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in cut.items():
            patch.setenv(name, value)
        ran = fresh.snakemake("results/scores/own.parquet", "--cores", "1", config=CONFIG)
        assert {rule for rule, _ in ran.done.computed} >= {"sample_windows", "score_heads"}
        assert not attempts.exists(), attempts.read_text()
        probe = "import socket; socket.create_connection(('192.0.2.1', 80), 1)"
        assert subprocess.run([sys.executable, "-c", probe], capture_output=True).returncode
        assert "192.0.2.1" in attempts.read_text()  # whoever had tried would have been seen


def wait_for(condition, process):
    deadline = time.monotonic() + 300
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_code_edited_while_a_run_goes_on_poisons_nothing(fresh):
    target = "results/study/tokenizers/planted-words/tokenizer.json"
    module = fresh.folder / "scripts" / "headatlas" / "data" / "tokenizer_training.py"
    own = module.read_text()
    process = fresh.start(target, "--cores", "1", config=STUDY)
    wait_for((fresh.folder / "results/study/logs/fetch_corpus/planted.log").exists, process)
    module.write_text(own.replace('PAD, MASK, UNKNOWN = "<|pad|>"', 'PAD, MASK, UNKNOWN = "<|padding|>"'))
    said, _ = process.communicate()
    assert process.returncode != 0
    assert "headatlas/data/tokenizer_training.py was edited after this run began; nothing of it was kept" in said
    assert not (fresh.folder / target).exists()
    module.write_text(own)
    fresh.snakemake(target, "--cores", "1", config=STUDY)
    assert "<|pad|>" in (fresh.folder / target).read_text()
    for entry in (fresh.folder / ".cache").rglob("tokenizer"):
        assert "<|padding|>" not in entry.read_text()


MEETING = """
import glob, os, time

open(f"{os.getpid()}.met", "w").close()
deadline = time.monotonic() + 240
while len(glob.glob("*.met")) < 2:
    assert time.monotonic() < deadline, "the other never came"
    time.sleep(0.05)
"""


def test_two_configurations_run_at_once_from_one_checkout(fresh):
    """Each one's job goes on only when the other's is there."""
    script = fresh.folder / "scripts" / "fetch_corpus.py"
    script.write_text(script.read_text().replace('if "snakemake"', f'{MEETING}\nif "snakemake"'))
    names = ("one", "other")
    for name in names:
        text = yaml.safe_dump({"results": f"results/{name}", "corpora": {"mine": MINE}, "store": f"{name}.store"})
        (fresh.folder / f"{name}.yaml").write_text(text)
    targets = [CORPUS.replace("results", f"results/{name}") for name in names]
    running = [
        fresh.start(target, "--cores", "1", config=f"{name}.yaml") for name, target in zip(names, targets, strict=True)
    ]
    for process in running:
        said, _ = process.communicate()
        assert process.returncode == 0, said
    assert len(list(fresh.folder.glob("*.met"))) == 2
    assert (fresh.folder / targets[0]).read_bytes() == (fresh.folder / targets[1]).read_bytes()


def test_fetch_makes_all_downloads_and_nothing_else(fresh):
    for preset, expected in (
        ("config/circuits-imdb.yaml", {"fetch_corpus"}),
        ("config/attentionviz-paper.yaml", {"fetch_corpus", "fetch_tokenizer", "fetch_model"}),
        ("tests/study.yaml", set()),
    ):
        jobs = fresh.snakemake("-n", "fetch", config=preset).jobs
        assert {rule for rule, _ in jobs} == expected, preset


def test_ctrl_c_ends_a_run_within_seconds_and_says_what_is_kept(fresh):
    target = "results/study/models/tiny/model.safetensors"
    process = fresh.start(target, "--cores", "1", config=STUDY)
    log = fresh.folder / "results/study/logs/train_model/tiny.log"
    wait_for(lambda: log.exists() and "device:" in log.read_text(), process)
    os.killpg(process.pid, signal.SIGINT)
    asked = time.monotonic()
    process.communicate()
    assert time.monotonic() - asked < 20  # of a busy machine, Snakemake's own end among it
    assert "stopped: nothing of train_model is kept" in log.read_text()
    assert not [path for path in (fresh.folder / "results").rglob(".*") if path.is_file()]


def test_results_copied_from_another_machine_rerun_nothing(finished, tmp_path):
    """With their times, and without Snakemake's notes and the store; a result that is missing is computed alone."""
    folder = tmp_path / "copied"
    copy_of_tree(folder)
    shutil.copytree(finished.results, folder / "results" / "tiny")
    copied = Checkout(folder)
    assert copied.snakemake("-n").jobs == {}
    tree = subprocess.run(
        ["python", "-m", "headatlas.jobs.lineage", "--short", "results/tiny/summary.md"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": "scripts"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "by fetch_corpus planted" in tree
    assert "CHANGED" not in tree
    assert "would be computed anew" not in tree


def test_results_copied_without_their_times_are_taken_into_the_store(finished, tmp_path):
    folder = tmp_path / "copied"
    copy_of_tree(folder)
    shutil.copytree(finished.results, folder / "results" / "tiny", copy_function=shutil.copyfile)
    copied = Checkout(folder)
    said = subprocess.run(
        ["python", "-m", "headatlas.jobs.store", ".cache", "--take", "results/tiny"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": "scripts"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "taken" in said
    assert copied.snakemake("--cores", "1").done.computed == set()


def test_a_report_of_a_partial_run_is_one_line_that_says_what_to_do(checkout):
    """What is whole can be reported; nothing is computed for a report unless it is asked for."""
    figure = checkout.results / "figures" / "training" / "tiny-a.png"
    figure.unlink()
    shutil.rmtree(checkout.folder / ".snakemake" / "metadata", ignore_errors=True)
    ran = run_plainly(checkout, "--cores", "1", "--report", "partial.html")
    assert ran.returncode == 1
    assert [line for line in ran.stdout.splitlines() if not line.startswith(BEGUN)] == [
        "results/tiny/figures/training/tiny-a.png: not made yet, so there is no report of it; "
        "--report-after-run makes it first, and a target that is whole can be reported alone"
    ]
    assert not (checkout.folder / "partial.html").exists()
    assert not figure.exists()
    ran = run_plainly(checkout, "circuits", "--cores", "1", "--report", "partial.html")
    assert ran.returncode == 0, ran.stdout
    assert "fig09" in (checkout.folder / "partial.html").read_text()
    assert not figure.exists()


BEGUN = ("Using workflow specific profile", "Config file", "Creating report")


def run_plainly(checkout, *arguments):
    """Snakemake as a person starts it, with no details asked for."""
    return subprocess.run(
        [sys.executable, "-m", "snakemake", *arguments, "--configfile", "tests/workflow/tiny.yaml"],
        cwd=checkout.folder,
        env={name: value for name, value in os.environ.items() if not name.startswith(("SNAKEMAKE", "HEADATLAS"))},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


FAILING = """
with open("runs", "a") as file:
    file.write(f"{snakemake.resources.mem_mb}\\n")
raise SystemExit(1)
"""


def test_a_failure_is_tried_as_often_as_asked_each_time_with_more_memory(fresh):
    """Retries do not multiply: no attempt is made twice at the memory that was too little."""
    (fresh.folder / "scripts" / "fetch_corpus.py").write_text(FAILING)
    ran = fresh.snakemake(CORPUS, "--cores", "1", "--retries", "2", config=CONFIG, check=False)
    assert ran.code != 0
    first, *others = map(int, (fresh.folder / "runs").read_text().split())
    assert others == [2 * first, 3 * first]
